"""Owns the measurement of how well a wish is understood: two hundred wishes with what they mean, and the shares that are read right.

Invariant: errors on held-out wishes are counted, never shown; the wishes are not changed after they were first measured.
"""
