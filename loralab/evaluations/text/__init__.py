"""Measures on text, one a file. Only here may a measure know a text plan."""

TEXT = frozenset({"text", "preference"})  # the tasks they mean something for
