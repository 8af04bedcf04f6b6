"""Adapters from elsewhere: read, checked against their base, made into runs."""
