"""Owns pages that answer by themselves: one HTML file (a folder, where the model is large) with the model and a program for browsers in it.

Invariants: such a page asks nobody for anything, and its policy forbids it to; every byte of the model is compared with its checksum before
it is used; a green tick stands only where the browser gave, number for number, the answers that were written down when the page was made.
"""
