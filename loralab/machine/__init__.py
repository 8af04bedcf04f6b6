"""This computer: what it is, its cards, how fast it was measured to be, what to do about it."""
