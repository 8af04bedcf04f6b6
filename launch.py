"""Owns the first second: refuses a Python that is too old in one sentence, then hands over to loralab.setup.

    python launch.py [--port N] [--home FOLDER] [--no-browser]      open the app
    python launch.py demo [--json]                                  train and judge an adapter without a screen
    python launch.py test                                           run the whole test-suite

Invariant: standard library only, and written so that any Python can read it far enough to say that it is too old.
"""

import os
import sys

if sys.version_info < (3, 10):
    sys.exit(
        "LoRALab needs Python 3.10 or newer and this is Python %d.%d: install Python 3.12 from python.org and open LoRALab again."
        % sys.version_info[:2]
    )

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from loralab.setup.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
