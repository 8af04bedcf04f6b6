"""The third tab: the live run."""
