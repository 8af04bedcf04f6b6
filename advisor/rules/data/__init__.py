"""Rules for the examples."""
