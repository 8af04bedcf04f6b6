"""Models that see: the backbone, what is put on top of it, and loading both."""
