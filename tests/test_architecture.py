"""The walls of docs/DESIGN.md: who may import whom, how big things may be, what is not done here. Read from the source."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from loralab.paths import CHECKOUT

PARTS = ("loralab", "advisor", "ui", "tests")
FILES = sorted(p for part in PARTS for p in (CHECKOUT / part).rglob("*.py")) + [p for p in [CHECKOUT / "launch.py"] if p.exists()]
OURS = [p for p in FILES if p.relative_to(CHECKOUT).parts[0] != "tests"]
HEAVY = {"torch", "transformers", "peft", "trl", "diffusers", "accelerate", "datasets", "bitsandbytes"}
ROOMS_OF_A_WORKER = ("loralab/train/", "loralab/evaluations/", "loralab/exports/", "loralab/serve/")
ROOT_OF_THE_COMMANDS = "loralab/__main__.py"  # where the commands of all parts come together; nobody imports it
OPEN_THE_DOOR = {"loralab/downloads.py"}  # jobs and, with them, tasks: they import a session inside a function that only a worker calls
FILE_LINES, FUNCTION_LINES = 300, 50
# What is bigger than that. May only shrink.
BIG_FILES: set[str] = set()
BIG_FUNCTIONS: set[str] = set()


def name_of(path):
    return path.relative_to(CHECKOUT).as_posix()


@cache  # four tests ask about each file
def tree(path):
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path):
    """Full names of what a module imports, wherever in it: `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts[: -node.level]) if node.level else ""
            base = ".".join(filter(None, (package, node.module or "")))
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def roots(path):
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_imports_go_one_way(path):
    name, used = name_of(path), roots(path)
    if name.startswith("loralab/"):
        assert not used & ({"ui", "launch"} if name == ROOT_OF_THE_COMMANDS else {"ui", "advisor", "launch"})
        assert "gradio" not in used
    if name.startswith("advisor/"):
        assert not used & {"ui", "launch", "gradio"}
    if not name.startswith(ROOMS_OF_A_WORKER):
        assert not used & HEAVY, "these are for workers"
        reached = {wanted for wanted in imports(path) if wanted.startswith("loralab.train.")}
        allowed = {"loralab.train.run", "loralab.train.run.RunFolder", "loralab.train.session", "loralab.train.session.Session"}
        assert name in OPEN_THE_DOOR or name.startswith("loralab/tasks/") or reached <= allowed
    if name.startswith(ROOMS_OF_A_WORKER):
        assert not used & {"gradio", "sqlite3", "sqlite_utils", "advisor"}
    if not name.startswith("loralab/history/"):
        assert not used & {"sqlite3", "sqlite_utils"}, "SQL lives in loralab/history"
    if name.startswith("ui/tabs/"):
        assert not {wanted for wanted in imports(path) if wanted.startswith("ui.tabs")}, "tabs do not know each other"


SETUP = [p for p in FILES if name_of(p) == "launch.py" or name_of(p).startswith("loralab/setup/")]


@pytest.mark.parametrize("path", SETUP, ids=name_of)
def test_what_runs_before_anything_is_installed_needs_nothing_installed(path):
    allowed = set(sys.stdlib_module_names)
    for name in imports(path):
        bare = name in ("loralab", "loralab.paths") or name.startswith(("loralab.setup", "loralab.paths."))
        assert bare or name.partition(".")[0] in allowed, name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_readable(path):
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= FILE_LINES or name_of(path) in BIG_FILES
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES or f"{name_of(path)}:{node.name}" in BIG_FUNCTIONS, f"{node.name} has {length} lines"


def test_the_lists_of_exceptions_hold_nothing_that_is_small_by_now():
    for name in BIG_FILES:
        assert len((CHECKOUT / name).read_text("utf-8").splitlines()) > FILE_LINES
    for entry in BIG_FUNCTIONS:
        name, _, function = entry.partition(":")
        named = [n for n in ast.walk(tree(CHECKOUT / name)) if isinstance(n, ast.FunctionDef) and n.name == function]
        sizes = [(n.end_lineno or 0) - n.lineno + 1 for n in named]
        assert max(sizes) > FUNCTION_LINES


def banned(path):
    """What the house style does not allow, with its line."""
    speaks = name_of(path) in ("launch.py", "loralab/cli.py")
    for node in ast.walk(tree(path)):
        match node:
            case ast.Global():
                yield node.lineno, "global"
            case ast.ExceptHandler(type=None):
                yield node.lineno, "bare except"
            case ast.ExceptHandler(type=ast.Name(), body=[ast.Pass()]):
                yield node.lineno, "silent except"
            case ast.Call(func=ast.Name(id="print")) if not speaks:
                yield node.lineno, "print"
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield node.value.lineno, "shell=True"
            case ast.keyword(arg="trust_remote_code", value=ast.Constant(value=True)):
                yield node.value.lineno, "trust_remote_code"
            case ast.Call(func=ast.Attribute(attr="execute" | "query" | "executescript"), args=[ast.JoinedStr(), *_]):
                yield node.lineno, "SQL by f-string"
            case ast.ClassDef(name=name) if re.search(r"(Manager|Handler|Engine|Helper|Utils|Common)$|^Base[A-Z]", name):
                yield node.lineno, f"the name {name}"


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_what_is_not_done_here_is_not_done(path):
    assert list(banned(path)) == []


BAD = """
global x
try: ...
except: ...
try: ...
except E:
    pass
print(1)
run("a", shell=True)
db.execute(f"select {x}")
class RunManager: ...
"""


def test_the_search_for_what_is_banned_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "CHECKOUT", tmp_path)
    (tmp_path / "bad.py").write_text(BAD)
    found = [words for _, words in sorted(banned(tmp_path / "bad.py"))]
    assert found == ["global", "bare except", "silent except", "print", "shell=True", "SQL by f-string", "the name RunManager"]


@pytest.mark.parametrize("path", [p for p in FILES if p.stat().st_size], ids=name_of)
def test_every_module_opens_by_saying_what_it_owns(path):
    assert ast.get_docstring(tree(path))


def test_no_machine_path_is_written_into_the_source():
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"/(work|root|home/\w+)/", node.value), f"{name_of(path)}:{node.lineno}"


@pytest.mark.parametrize(
    "code",
    [
        "from loralab import Lab; Lab().runs()",
        "import loralab.cli",
        "import loralab.worker",
        pytest.param("import ui.app; from loralab import Lab; ui.app.build(Lab())", marks=pytest.mark.slow),
    ],
)
def test_this_process_never_sees_torch(code, home):
    ask = f"import sys; {code}; print(sorted({{name.partition('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    environment = {**os.environ, "LORALAB_HOME": str(home), "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_the_checkout_holds_no_folder_but_those_of_the_design():
    allowed = {"loralab", "advisor", "ui", "data", "tests", "docs", "benchmarks", "launch.py", "requirements.txt", "README.md", "LICENSE"}
    allowed |= {"pyproject.toml", "Makefile", ".ci", ".gitignore"}
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {Path(line).parts[0] for line in listed.stdout.splitlines()} <= allowed
