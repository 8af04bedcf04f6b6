"""Owns `python -m loralab`."""

import sys

from loralab.cli import main

if __name__ == "__main__":
    sys.exit(main())
