"""Failures of learning to draw: pictures and captions, the rate, and what the verdict's drawings show."""
