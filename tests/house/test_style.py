"""What is imported is pinned. The linter and the type checker are steps of their own: see the Makefile."""

from __future__ import annotations

import ast
import sys
from importlib import metadata

from packaging.utils import canonicalize_name

from loralab.core.paths import CHECKOUT
from loralab.setup.environment import Place

ROOMS = ("launch.py", "loralab", "advisor", "ui")
# Imported only where they are there: another binding of llama.cpp that does as well, and what onnxscript brings.
OPTIONAL = {"llama-cpp-python", "onnx-ir"}


def _imported() -> set[str]:
    """The first names of all absolute imports in the product."""
    files = [path for room in ROOMS for path in ([CHECKOUT / room] if room.endswith(".py") else (CHECKOUT / room).rglob("*.py"))]
    found: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_what_is_imported_is_pinned():
    lines = [line for file in Place().files(["core"]) for line in file.read_text("utf-8").splitlines()]
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line} | OPTIONAL
    sources = metadata.packages_distributions()
    outside = _imported() - set(sys.stdlib_module_names) - {"loralab", "advisor", "ui"}
    assert {"gradio", "pydantic", "torch"} <= outside, "the search itself works"
    unpinned = {name for name in outside if not pinned & {canonicalize_name(owner) for owner in sources.get(name, [name])}}
    assert unpinned == set()
