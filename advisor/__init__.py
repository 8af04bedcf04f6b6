"""Owns what the app says about a run: rules find, words explain. Invariant: works without a language model."""
