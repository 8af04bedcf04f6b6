"""Failures of training on pictures: what is in them, how they are looked at, and what their curves and verdicts say."""
