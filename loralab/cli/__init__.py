"""`python -m loralab`: commands, each a few lines over the facade."""
