"""Questions that people ask of a result, in their own words: half open for development, half closed to the end."""
