"""Pages that answer by themselves."""
