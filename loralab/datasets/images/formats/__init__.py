"""The ways in which labels of pictures are written down, one per file with a FORMAT constant; the folder is the registry."""
