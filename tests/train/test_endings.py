"""Why a run ends is decided once: what happens after its first reason does not change what it is told to have ended for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Evaluated, Noted, Stepped
from loralab.sessions import job
from tests.support import models, troubles

pytestmark = pytest.mark.worker

SETTINGS: dict[str, Any] = {"max_steps": 6, "eval_every": 1}


def damaged(folder: Path, base: Path, data: Path, *, stop: bool = False, **settings: Any) -> troubles.Outcome:
    """A run whose base model breaks before its third update; with `stop` it is asked to stop in that very update."""

    def act(run: Any) -> None:
        troubles.break_base(run)
        if stop:
            (run.folder.path / "stop").touch()

    with troubles.before_update(3, act):
        return troubles.train(folder, base, data, **SETTINGS | settings)


@pytest.mark.parametrize("settings", [{"patience": 1}, {"patience": 0, "stop": True}, {"patience": 1, "stop": True}], ids=str)
def test_a_failure_stays_one(tmp_path: Path, llama: Path, data: Path, settings: dict[str, Any]) -> None:
    """Neither patience that is used up in the same evaluation nor a stop request turns it into something else."""
    found = damaged(tmp_path / "run", llama, data, **settings)
    assert (found.result["outcome"], found.result["code"]) == ("failed", "corrupt_weights")
    assert "damaged" in found.result["what"]
    assert "Delete this model" in found.result["todo"]
    assert not any(event.split == "final" for event in models.told(found.folder, Evaluated)), "broken weights are not judged"
    assert not any("Ended early" in note.text for note in models.told(found.folder, Noted))


@pytest.mark.usefixtures("short_answers")
def test_a_stop_request_after_early_stopping_cuts_the_verdict_short_and_not_the_ending(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had ended before it was asked to stop: nothing is left to go on with."""
    chosen = models.plan(data, max_steps=20, eval_every=1, patience=1, learning_rate=0.5, schedule="constant", warmup=0.0)
    folder = models.run_folder(tmp_path / "run", chosen, llama)
    emit = folder.emit

    def asked_at_the_end(event: Any) -> bool:
        if isinstance(event, Evaluated) and event.step and not event.best:
            (folder.path / "stop").touch()
        return emit(event)

    monkeypatch.setattr(folder, "emit", asked_at_the_end)
    result = job.run(folder)
    assert "outcome" not in result
    assert any("has not improved" in note.text for note in models.told(folder, Noted))
    assert any(event.split == "final" for event in models.told(folder, Evaluated))
    assert len(models.told(folder, Stepped)) < 20
