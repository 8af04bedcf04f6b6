"""No sentence for people ends in a command line: what is missing is added with a button, what is to be started with a double click."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT

# Whose strings are arguments of the installer, or what it prints.
INSTALLER = {*(f"loralab/setup/{name}.py" for name in ("environment", "installer", "steps")), "loralab/models/wheels.py"}
# Whose strings are the command line itself, read in a terminal by people who asked for one.
TERMINAL = ("loralab/cli/", "advisor/cli/", "loralab/setup/commands.py", "loralab/__main__.py", "ui/app.py")
PIP = re.compile(r"\bpip\b", re.IGNORECASE)
LINE = re.compile(r"\bpython3? -m |\blaunch\.py\b|\bhf auth\b|\bsudo \w|(?<![\w-])--(home|port|clean-up)\b")
ARGUMENT = re.compile(r"^(launch\.py|--\w+)$")  # a string that is nothing but a word of a command we give


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """What people may come to read of a file, with its line: strings without docstrings, but a rule's page is its docstring."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield from enumerate(text.splitlines(), 1)
        return
    tree = ast.parse(text)
    documented = [
        n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(n) is not None
    ]
    page = "advisor/rules/" in path.as_posix()
    quiet = {id(n.body[0].value) for n in documented if isinstance(n.body[0], ast.Expr) and not (page and isinstance(n, ast.Module))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet and not ARGUMENT.match(node.value):
            yield node.lineno, node.value


def files() -> list[Path]:
    kinds = (".py", ".jinja", ".html", ".json", ".js")
    rooms = (CHECKOUT / room for room in ("loralab", "advisor", "ui"))
    found = [path for room in rooms for path in sorted(room.rglob("*")) if path.suffix in kinds]
    return [CHECKOUT / "launch.py", CHECKOUT / "data" / "models.json", CHECKOUT / "data" / "parts.json", *found]


@pytest.mark.parametrize("what", ["pip", "command line"])
def test_no_sentence_for_people_holds(what):
    sign = PIP if what == "pip" else LINE
    bad: list[str] = []
    for path in files():
        name = path.relative_to(CHECKOUT).as_posix()
        if name in INSTALLER if what == "pip" else name.startswith(TERMINAL):
            continue
        bad += [f"{name}:{line}: {words.strip()[:120]}" for line, words in strings(path) if sign.search(words)]
    assert bad == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Install it (pip install bitsandbytes).", True),
        ("Ask python -m loralab doctor.", True),
        ("run “hf auth login” once", True),
        ("Choose another folder with --home.", True),
        ("A pipe is not a line; add the part with one click.", False),
        ("python.org", False),
    ],
)
def test_the_search_finds_what_it_looks_for(words, found):
    assert bool(PIP.search(words) or LINE.search(words)) == found
