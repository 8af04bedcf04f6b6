"""Rules for runs that learn by heart or forget."""
