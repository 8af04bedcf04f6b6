"""Files that are too large to be held: read piece by piece into the workspace, once, and looked at from there."""
