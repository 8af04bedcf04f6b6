"""The optional language model of the advisor. It chooses among the rules' own answers; its own sentences are marked as its own.

Invariants: everything works without a model; a choice is always one of the options; a sentence of the model's own is shown only where each
number in it is in the run's evidence.
"""
