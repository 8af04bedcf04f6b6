"""Three lines to a verdict, and how runs and verdicts show themselves in a notebook."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.make_walkthrough import NOTEBOOK, SCRIPT, cells, notebook
from loralab.core.errors import RunFailed, UserError
from loralab.core.events import Ended, Evaluated, Started, Stepped, fold
from loralab.core.verdict import Verdict
from loralab.lab import Lab, against_size
from loralab.lab.fitted import curve, progress
from tests.support import tiny
from tests.support.learned import SETTINGS

FOUND = Verdict(learned="yes", learned_words="It <learned>.", usable="partly", usable_words="For some.", but="But: it forgot.")


@pytest.mark.worker
def test_three_lines_to_a_verdict(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, data = tiny.model_folder(tmp_path / "base"), tiny.examples_file(tmp_path / "colours.jsonl")
    run = Lab(home).fit(data, str(base), **SETTINGS)
    assert run.verdict is not None
    assert run.verdict.learned_words in repr(run)
    shown = run._repr_html_()
    assert "Did it learn?" in shown
    assert shown.count("<polyline") == 2
    assert re.search(r"\d+ of \d+ updates", capsys.readouterr().err), "it said how far it was"
    assert Lab(home).run().id == run.id
    assert isinstance(run.predict("what is the colour of grass?"), str)
    taken = run.export("adapter")
    assert taken.path.exists()
    assert taken.bytes > 0


def test_what_cannot_be_fitted_is_refused_before_anything_starts(tmp_path: Path, home: Path) -> None:
    (tmp_path / "odd.csv").write_text("alpha,beta,gamma\n" + "\n".join(f"x{i} y,z{i} w,q{i} v" for i in range(30)))
    with pytest.raises(UserError, match="is a guess"):
        Lab(home).fit(tmp_path / "odd.csv")
    with pytest.raises(UserError, match="Nothing was trained here"):
        Lab(home).run()
    assert Lab(home).names() == []


def view(*, ended: bool = False) -> Any:
    one = Stepped(step=1, loss=5, grad_norm=1, learning_rate=1, tokens=1, tokens_per_second=1, memory_bytes=1, total_steps=9)
    steps = [one, one.model_copy(update={"step": 2, "loss": 2.5})]
    return fold("r", [Started(pid=1), *steps, Evaluated(step=2, loss=2, n=4), *([Ended(outcome="stopped")] if ended else [])])


def test_a_verdict_shows_itself_escaped() -> None:
    shown = FOUND.as_html()
    assert "It &lt;learned&gt;." in shown
    assert "But: it forgot." in shown
    assert "Can you use it?" in shown


def test_in_a_notebook_one_display_changes_and_in_a_terminal_a_line_is_said_once(monkeypatch: Any, capsys: Any) -> None:
    tell = progress()
    tell(view())
    tell(view())
    assert capsys.readouterr().err.count("2 of 9 updates") == 1
    drawn: list[str] = []
    handle = SimpleNamespace(update=drawn.append)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=lambda first, display_id: handle))
    draw = progress()
    draw(view())
    draw(view())
    assert len(drawn) == 2
    assert "<progress value=" in drawn[0]
    assert "<svg" in drawn[0]
    assert capsys.readouterr().err == ""


def test_a_curve_needs_two_updates() -> None:
    assert curve(fold("r", [Started(pid=1)])) == ""


def test_a_run_that_was_stopped_is_no_success(monkeypatch: Any, home: Path) -> None:
    lab = Lab(home)
    monkeypatch.setattr(lab, "wait", lambda run, watch, every: view(ended=True))
    from loralab.lab import Run

    with pytest.raises(RunFailed, match="was stopped"):
        Run(lab, "r").wait()


def test_quality_against_size_is_drawn_and_told() -> None:
    drawing = against_size([("gguf q8_0", 9e6, 0.9), ("gguf <q4>", 6e6, 0.8)], "share right")
    shown = drawing._repr_html_()
    assert shown.count("<circle") == 2
    assert "&lt;q4&gt;" in shown
    assert repr(drawing).splitlines()[0].startswith("gguf <q4>"), "the smallest first"
    assert "Nothing to draw" in against_size([])._repr_html_()


def test_the_notebook_is_what_its_script_says() -> None:
    script = SCRIPT.read_text("utf-8")
    assert NOTEBOOK.read_text("utf-8") == notebook(script)
    made = json.loads(notebook(script))
    assert {cell["cell_type"] for cell in made["cells"]} == {"markdown", "code"}
    for kind, text in cells(script):
        if kind == "code":
            compile(text, "cell", "exec")
    assert cells("# %%\nx = 1\n# %% [markdown]\n# words\n#\n# more\n") == [("code", "x = 1"), ("markdown", "words\n\nmore")]
