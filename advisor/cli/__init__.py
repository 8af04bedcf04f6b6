"""The advisor's commands of `python -m loralab`."""
