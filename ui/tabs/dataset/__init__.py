"""The first tab: examples."""
