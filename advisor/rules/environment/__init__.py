"""Rules for the computer."""
