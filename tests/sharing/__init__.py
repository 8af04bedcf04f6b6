"""Giving away: kept runs, the Hub, galleries."""
