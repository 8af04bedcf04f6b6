"""What the documentation of the Lab tells to type is typed, in fresh processes."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.make_walkthrough import SCRIPT, cells
from loralab.core.paths import CHECKOUT, SAMPLES

pytestmark = [pytest.mark.worker, pytest.mark.nightly, pytest.mark.long]
ROWS = 61  # of a bundled data set, so that the page is done in a minute


def typed(code: str, place: Path) -> str:
    """What a program says that is run in a folder of its own with a workspace of its own."""
    env = os.environ | {"LORALAB_HOME": str(place / "home"), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=place, env=env, capture_output=True, text=True, check=False, timeout=3000)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_page_of_the_lab_can_be_typed(tmp_path: Path) -> None:
    lines = (SAMPLES / "customer_messages.csv").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "examples.csv").write_text("".join(itertools.islice(lines, ROWS)))
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "lab.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) > 1
    said = typed("\n".join(blocks), tmp_path)
    assert re.search(r"[\d.]+ -> [\d.]+ on \d+ held-out examples", said)


def test_the_walkthrough_can_be_walked(tmp_path: Path) -> None:
    code = [text for kind, text in cells(SCRIPT.read_text("utf-8")) if kind == "code"]
    said = typed("\n".join((*code, "print(repr(against_size(points)))", "assert {one.parity for one in taken} == {'proven'}")), tmp_path)
    assert len(re.findall(r"^(gguf|onnx) \w+ +\S+ \S+ +[01]\.\d+$", said, re.MULTILINE)) > 5
