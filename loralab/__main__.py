"""Owns `python -m loralab`: the one place where the commands of loralab and of the advisor come together."""

import sys

from advisor.cli import check, commands
from loralab.cli import app

if __name__ == "__main__":
    commands.register(app.app)
    sys.exit(app.main(app.Ways(check.begin, check.propose)))
