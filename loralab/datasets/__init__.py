"""Files of examples to Examples: readers, columns, shapes, the split, checks, and facts of what a run learns from."""
