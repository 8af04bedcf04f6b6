"""Owns taking away models for pictures: one format per file, as in loralab.exports, and what they share: the graph, the programs beside it
and the gate.

Invariant: nothing here is asked of a run on text, and no format for text of a run on pictures. The formats are light; what makes and what
compares is opened by a worker only.
"""
