"""Owns putting many runs on a cluster of computers that Ray holds together (an optional part).

Invariant: a run's folder stays the truth, so the app shows what happens on any computer, and whoever takes a run over goes on from it.
"""
