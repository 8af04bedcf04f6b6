"""The list of runs, their names, and the welcome after one was lost."""
