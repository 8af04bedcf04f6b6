"""docs/lab.md says only what is so."""

from __future__ import annotations

import re

from loralab.core.events import RunView
from loralab.core.paths import CHECKOUT
from loralab.core.report import run_report
from loralab.lab import Lab

PAGE = (CHECKOUT / "docs" / "lab.md").read_text("utf-8")


def test_every_call_on_the_page_exists_and_every_method_is_on_the_page():
    named = set(re.findall(r"lab\.(\w+)\(", PAGE))
    real = {name for kind in Lab.__mro__[:-1] for name in vars(kind) if not name.startswith("_")}
    assert named == real


def test_the_report_has_exactly_the_keys_of_the_page(tmp_path):
    listed = PAGE[PAGE.index("exactly these keys") : PAGE.index("## After a run")]
    keys = run_report(RunView(run="r"), tmp_path)
    assert [name for name in re.findall(r"`(\w+)`", listed) if name in keys or name.endswith("_loss")] == list(keys)


def test_every_command_on_the_page_is_there():
    from loralab.cli.app import app

    there = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert set(re.findall(r"^python -m loralab (\w+)", PAGE, re.MULTILINE)) <= there
