"""Scripts that make the bundled data or measure; nothing the app imports."""
