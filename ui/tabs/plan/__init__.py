"""The second tab: model and settings."""
