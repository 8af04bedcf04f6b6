"""Owns how docs/walkthrough.ipynb is made of docs/walkthrough.py, which is the one that is edited.

    python -m benchmarks.make_walkthrough

Cells begin with “# %%”, those of words with “# %% [markdown]”. Invariant: the same script, the same notebook.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCRIPT, NOTEBOOK = DOCS / "walkthrough.py", DOCS / "walkthrough.ipynb"
_MARK = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def main() -> None:
    """Write it."""
    NOTEBOOK.write_text(notebook(SCRIPT.read_text("utf-8")), "utf-8")


def cells(script: str) -> list[tuple[str, str]]:
    """(markdown or code, its text) of each cell."""
    parts = _MARK.split(script)[1:]
    found: list[tuple[str, str]] = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        words = "\n".join(re.sub(r"^# ?", "", line) for line in text.strip().splitlines())
        found.append(("markdown", words) if mark else ("code", text.strip()))
    return found


def notebook(script: str) -> str:
    """The script as a notebook of Jupyter's format 4.5, without outputs."""
    made: list[dict[str, Any]] = []
    for place, (kind, text) in enumerate(cells(script)):
        name = hashlib.sha256(f"{place} {text}".encode()).hexdigest()[:8]
        cell: dict[str, Any] = {"cell_type": kind, "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}
        made.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return json.dumps({"cells": made, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    main()
