"""What an open page is told while it is open: message (what is new), stream (the one road it takes), tending (what the app does itself)."""
