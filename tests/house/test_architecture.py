"""The walls of docs/DESIGN.md: rooms and who may import whom, sizes, what is not done here. Each test reports all breaches at once."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from loralab.core.paths import CHECKOUT

PARTS = ("loralab", "advisor", "ui", "tests")
FILES = [CHECKOUT / "launch.py", *sorted(p for part in PARTS for p in (CHECKOUT / part).rglob("*.py"))]
OURS = [p for p in FILES if p.relative_to(CHECKOUT).parts[0] != "tests"]
HEAVY = {"torch", "transformers", "peft", "trl", "diffusers", "accelerate", "datasets", "bitsandbytes"}
TORCH_ROOMS = {"train", "sessions", "evaluations", "exports", "serve", "runtimes"}
ALL = {"core", "tasks", "runs", "machine", "models", "datasets", "planning", "runtimes", "evaluations", "exports", "serve", "reports"}
ALL |= {"cluster", "history", "adapters", "lab", "sharing", "telemetry", "templates"}
# Room -> rooms it may import. `evaluations` reaches `serve` for writing answers only, the command line `setup` for where the running
# app is; a key `room.package` grants more to that package.
MAY = {
    "core": set(),
    "setup": {"core"},
    "tasks": {"core"},
    "runs": {"core", "tasks"},
    "machine": {"core", "setup"},  # an optional part is added by what set LoRALab up
    "models": {"core"},
    "datasets": {"core", "models"},
    "planning": {"core", "tasks", "machine", "models", "datasets"},
    "runtimes": {"core"},
    "train": {"core", "tasks", "runs", "machine"},
    "evaluations": {"core", "datasets", "runtimes", "serve.generate", "serve.together", "models.tokenize"},
    "sessions": {"core", "tasks", "runs", "machine", "train", "models", "datasets", "evaluations", "runtimes"},
    # An export is measured by the measures of its run, written answers included; how much memory there is decides what is offered.
    "exports": {"core", "tasks", "models", "datasets", "runtimes", "reports", "runs", "evaluations", "serve.generate", "machine.hardware"},
    "serve": {"core", "runs", "models", "datasets", "runtimes"},
    "reports": {"core", "tasks", "runs", "models", "datasets", "evaluations.shared", "evaluations.images"},
    "history": {"core", "tasks", "runs", "models", "datasets"},
    "adapters": {"core", "runs", "models", "datasets"},
    # What is shared is frozen, served by its own process, and proven before it leaves.
    "sharing": {"core", "tasks", "runs", "models", "datasets", "runtimes", "exports", "serve", "reports", "machine"},
    "telemetry": {"core", "tasks", "runs", "machine.gpu", "reports.incidents"},
    "templates": {"core", "datasets"},
    # Where a run is done: its keeper, on another computer.
    "cluster": {"core", "runs"},
    "lab": ALL,
    "pipeline": {"core", "lab", "models.tokenize", "runtimes.onnx"},
    "cli": {"core", "lab", "pipeline", "setup.opened"},
    "advisor": {"core", "lab"},
    # One command line has one set of options, one form of output and one way to follow a run.
    "advisor.cli": {"cli.console", "cli.terminal"},
    "ui": {"core", "lab", "advisor"},
}
FILE_LINES, FUNCTION_LINES = 400, 50
# What the rules above do not allow yet. May only shrink: a line that is no longer a breach must go.
KNOWN = (Path(__file__).parent / "known_breaches.txt").read_text("utf-8").splitlines()


def name_of(path):
    return path.relative_to(CHECKOUT).as_posix()


@cache
def tree(path):
    return ast.parse(path.read_text("utf-8"), str(path))


def module_of(path):
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(path): path for path in OURS}


@cache
def imports(path):
    """Full names of what a module imports, wherever in it: `from a import b` counts as a.b where that is a module, else as a."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            found |= {inner if (inner := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
    return found


def room(module):
    """The room of a module: `loralab.train.loop` is in train, `loralab.lab` is lab, `ui.app` is ui."""
    parts = module.split(".")
    if parts[0] != "loralab" or len(parts) == 1:
        return parts[0]
    return parts[1]


def reaches(path):
    """What a module imports of other rooms that it may not."""
    here = room(module_of(path))
    may = MAY.get(here, set()) | MAY.get(".".join(module_of(path).split(".")[:2]), set())
    if module_of(path) in ("loralab", "loralab.__main__", "launch"):
        return
    for wanted in imports(path) & MODULES.keys():
        there = room(wanted)
        # A whole room, or a part of it, named `room.module` or `room.package`.
        names = wanted.split(".")[1:]
        allowed = there in may or any(".".join(names[: i + 1]) in may for i in range(len(names)))
        if there != here and wanted != "loralab" and not allowed:
            yield f"{module_of(path)} -> {wanted}"
        private = [part for part in wanted.split(".") if part.startswith("_")]
        if private and not module_of(path).startswith(wanted.partition("._")[0]):
            yield f"{module_of(path)} -> {wanted} (private)"


def test_rooms_import_whom_they_may():
    found = {line for path in OURS for line in reaches(path)}
    known = {line for line in KNOWN if " -> " in line}
    assert sorted(found - known) == [], "a new breach"
    assert sorted(known - found) == [], "no breach any more: take it out of known_breaches.txt"


def circles():
    """Sets of modules that import each other, imports inside functions and for typing included."""
    edges = {module: imports(path) & MODULES.keys() - {module} for module, path in MODULES.items()}

    def reach(start):
        seen, waiting = set(), [start]
        while waiting:
            for module in edges[waiting.pop()] - seen:
                seen.add(module)
                waiting.append(module)
        return seen

    far = {module: reach(module) for module in edges}
    return {frozenset(other for other in far[m] if m in far[other]) for m in edges if m in far[m]}


def test_no_circle_of_modules():
    found = {f"circle: {' '.join(sorted(circle))}" for circle in circles()}
    known = {line for line in KNOWN if line.startswith("circle: ")}
    # A circle that lost members is smaller, not new.
    grown = [c for c in found if not any(set(c.split()) <= set(k.split()) for k in known)]
    assert sorted(grown) == []
    if not found:
        assert not known, "no circle any more: take it out of known_breaches.txt"


def test_heavy_libraries_stay_in_their_rooms():
    bad = []
    for path in OURS:
        module, roots = module_of(path), {name.partition(".")[0] for name in imports(path)}
        here = room(module)
        if here not in TORCH_ROOMS and roots & HEAVY:
            bad.append(f"{module}: {roots & HEAVY} are for workers")
        if here != "ui" and "gradio" in roots:
            bad.append(f"{module}: gradio is for ui")
        if here != "history" and roots & {"sqlite3", "sqlite_utils"}:
            bad.append(f"{module}: SQL lives in loralab/history")
        tab = module.split(".")[:3] if module.startswith("ui.tabs.") else None
        others = {w for w in imports(path) if tab and w.startswith("ui.tabs.") and w.split(".")[:3] != tab}
        bad += [f"{module} -> {other}: tabs do not know each other" for other in others if f"{module} -> {other}" not in KNOWN]
    assert bad == []


def test_what_runs_before_anything_is_installed_needs_nothing_installed():
    allowed = set(sys.stdlib_module_names) | {"loralab", "loralab.core", "loralab.core.lock", "loralab.core.paths"}
    for path in FILES:
        if name_of(path) == "launch.py" or name_of(path).startswith("loralab/setup/"):
            rest = {
                n for n in imports(path) if not n.startswith("loralab.setup") and n not in allowed and n.partition(".")[0] not in allowed
            }
            rest |= {n for n in imports(path) if n.startswith("loralab.") and not n.startswith("loralab.setup") and n not in allowed}
            assert not rest, f"{name_of(path)}: {rest}"


def test_files_and_functions_stay_readable():
    bad = []
    for path in FILES:
        if (lines := len(path.read_text("utf-8").splitlines())) > FILE_LINES:
            bad.append(f"{name_of(path)} has {lines} lines")
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LINES:
                    bad.append(f"{name_of(path)}:{node.name} has {length} lines")
        if path.stat().st_size and not ast.get_docstring(tree(path)):
            bad.append(f"{name_of(path)} does not open by saying what it is for")
    assert [line for line in bad if line not in KNOWN] == []


def lines_of_rooms():
    """Lines of product code per room: of loralab one for each folder, of advisor and ui one for all."""
    found = {}
    for path in OURS:
        if name_of(path).split("/")[0] in ("loralab", "advisor", "ui"):
            found[room(module_of(path))] = found.get(room(module_of(path)), 0) + len(path.read_text("utf-8").splitlines())
    return found


def test_rooms_keep_to_their_budget():
    """Budgets may only shrink, unless a new capability argues for more. Printed with `-rP`."""
    budgets = json.loads((Path(__file__).parent / "budgets.json").read_text("utf-8"))
    found = lines_of_rooms()
    print("\n".join(f"{name:12} {found[name]:6,} of {budgets.get(name, 0):6,}" for name in sorted(found)))
    print(f"{'all':12} {sum(found.values()):6,} of {sum(budgets.values()):6,}")
    assert {name: lines for name, lines in found.items() if lines > budgets.get(name, 0)} == {}


def banned(path):
    """What the house style does not allow, with its line."""
    speaks = name_of(path) in ("launch.py", "loralab/cli/app.py")
    for node in ast.walk(tree(path)):
        match node:
            case ast.Global():
                yield node.lineno, "global"
            case ast.ExceptHandler(type=None):
                yield node.lineno, "bare except"
            case ast.ExceptHandler(body=[ast.Pass()]):
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


def test_what_is_not_done_here_is_not_done():
    assert [f"{name_of(path)}:{line}: {what}" for path in OURS for line, what in banned(path)] == []


BAD = """
global x
try: ...
except: ...
try: ...
except (E, F):
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


def test_no_machine_path_is_written_into_the_source():
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"/(work|root|home/\w+)/", node.value), f"{name_of(path)}:{node.lineno}"


@pytest.mark.parametrize(
    "code",
    [
        "from loralab import Lab; Lab().runs(); import loralab.cli.app; import loralab.runs.worker",
        pytest.param("import ui.app; from loralab import Lab; ui.app.build(Lab())", marks=pytest.mark.worker),
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
    allowed |= {"pyproject.toml", "Makefile", ".ci", ".gitignore", ".gitattributes", "CONTRIBUTING.md", "CHANGELOG.md"}
    allowed |= {"LoRALab.bat", "LoRALab.command", "loralab.desktop"}
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {Path(line).parts[0] for line in listed.stdout.splitlines()} <= allowed
