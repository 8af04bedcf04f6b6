"""Owns answering: a worker that holds a base model with its adapter and streams answers over loopback HTTP. Torch lives here."""
