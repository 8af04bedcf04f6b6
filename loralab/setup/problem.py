"""Owns the one error a person can meet while setting up. Invariant: its text is a sentence that says what to do."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Signs are looked for in the installer's output in this order: the first that is found names the cause.
_SIGNS: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|Errno 28|disk full|not enough space",
        "The disk filled up: free about 4 GB and start again; what is already installed is kept.",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|Failed to establish|getaddrinfo|name resolution|Network is unreachable",
        "The internet could not be reached: connect this computer (only this first set-up needs it) and start again.",
    ),
    (
        r"SSLError|CERTIFICATE_VERIFY_FAILED",
        "A secure connection could not be made: check this computer's date and time, or ask whoever runs the network, and start again.",
    ),
    (
        r"ProxyError|407 Proxy",
        "The network's proxy refused the connection: ask whoever runs the network for its settings, then start again.",
    ),
    (
        r"ReadTimeoutError|IncompleteRead|Connection reset|Connection broken|RemoteDisconnected|ProtocolError|ConnectionError|timed out",
        "The download was interrupted: start again and it goes on where it stopped.",
    ),
    (
        r"HASHES|hash mismatch|THESE PACKAGES DO NOT MATCH|BadZipFile|has an invalid wheel",
        "A downloaded file arrived damaged: start again and it is fetched anew.",
    ),
    (
        r"Permission denied|Access is denied|Errno 13|WinError 5\b|externally-managed|Read-only file system",
        "This folder may not be written: move LoRALab into a folder of your own, close other LoRALab windows, and start again.",
    ),
    (r"MemoryError|Killed", "This computer ran out of memory: close other programs and start again."),
    (
        r"\(from versions: none\)",  # pip says no more when an index does not answer and it was told not to ask twice
        "The packages could not be found: connect this computer to the internet and start again, or use Python 3.12 instead of {python}.",
    ),
    (
        r"No matching distribution found for|Could not find a version that satisfies",
        "A needed package has no build for this Python ({python}): install Python 3.12 from python.org and start launch.py with it.",
    ),
)


class SetupProblem(Exception):
    """Set-up cannot go on; `str(error)` is one sentence with the next step."""


class Interrupted(SetupProblem):
    """The person stopped the set-up."""


def explain(output: str, log: Path) -> str:
    """One sentence for a failed installation, from what the installer said. `log` holds the rest."""
    for sign, sentence in _SIGNS:
        if re.search(sign, output):
            return sentence.format(python=f"{sys.version_info[0]}.{sys.version_info[1]}")
    wrong = re.findall(r"(?m)^ERROR: (.+)$", output)
    said = f" ({wrong[-1][:160]})" if wrong else ""
    return f"The installation stopped{said}: start again, and if it stops at the same place the details are in {log}."
