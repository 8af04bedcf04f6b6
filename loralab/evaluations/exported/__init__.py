"""Measuring an export in its own runtime, against what was trained: a kind of work of its own."""
