"""Owns a whole way as one file: from examples to what is taken away, done again only where something changed.

Invariant: a step is skipped only where what it was made from is, by content, what it was made from, and what it made is still there.
"""
