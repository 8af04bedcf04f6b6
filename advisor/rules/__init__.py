"""Owns the failure rules, one per file. Invariant: the folder is the registry."""
