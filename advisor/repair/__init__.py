"""What a failed run is tried again with, the chains of tries, and data that are put right."""
