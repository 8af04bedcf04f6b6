"""Rules for numbers that break."""
