"""Taking away what learned to draw: one file per form, each tried by its own program in a fresh process before it is called done.

Invariant: what learned from pictures of patients is not handed on: it may draw one of them again.
"""
