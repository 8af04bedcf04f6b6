"""Owns `python -m loralab`: the one place where the commands of loralab and of the advisor come together."""

import sys

from advisor import check_command, commands
from loralab import cli

if __name__ == "__main__":
    commands.register(cli.app)
    sys.exit(cli.main(check_command.begin))
