"""Runs that learn to draw: pictures with captions -> the loss of a model that turns noise into pictures, with an adapter."""
