"""Owns what is asked of a language model that writes rows: forms, the grid of cells that are to be filled, the loop.

Invariants: a writer is only shown rows to learn from, never held-out ones; one field a call, nothing to be parsed but a line or a
paragraph; every row that was written is in the result or in the bin; the number of written rows is held to that of the real ones.
"""
