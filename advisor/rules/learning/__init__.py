"""Rules for runs that learn nothing."""
