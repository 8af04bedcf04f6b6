"""The fourth tab: did it get better."""
