"""Logs of the first version: facts in a note's data and what a note means in its sentence are read as the events of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Compared, Event, Imported, Measured, Noted, Probed, fold, read
from loralab.core.facts import Facts
from loralab.core.old_logs import modern_judgement
from loralab.core.records import Provenance, Sample, Score

EARLY = "Ended early: the held-out loss has not improved for 3 looks. The best version, from update 5, is kept."
OLD: list[tuple[str, dict[str, Any], Event]] = [
    (
        "Learning from 9 examples.",
        {"trainable": 8, "n_train": 9, "n_heldout": 1, "facts": {"n_train": 9, "data": "d"}},
        Measured(text="Learning from 9 examples.", trainable=8, n_train=9, n_heldout=1, facts=Facts(n_train=9, data="d")),
    ),
    ("Learning.", {"n_train": 9, "n_heldout": 1, "facts": {"of_the_future": 1}}, Measured(text="Learning.", n_train=9, n_heldout=1)),
    (
        "Tried out.",
        {"stage": "probe", "bytes": 5, "free": 9, "tokens": 64, "measured": [3, 4], "seconds": 0.5},
        Probed(text="Tried out.", bytes=5, free=9, cost=64, measured=(3, 4), seconds=0.5),
    ),
    ("", {"stage": "probe", "skipped": "it is small"}, Probed(skipped="it is small")),
    ("", {"stage": "probe", "failed": "no memory", "tokens": 4}, Probed(failed="no memory", cost=4)),
    (
        "Brought in from mine.zip; made with Unsloth.",
        {"imported": {"by": "Unsloth", "from": "mine.zip", "run": ""}},
        Imported(text="Brought in from mine.zip; made with Unsloth.", origin=Provenance(by="Unsloth", source="mine.zip")),
    ),
    (
        "Proven.",
        {"parity": {"outcome": "proven", "runtime": "llama.cpp", "words": "Proven.", "checks": []}},
        Compared(text="Proven.", outcome="proven", runtime="llama.cpp"),
    ),
    (EARLY, {}, Noted(text=EARLY, code="ended_early", why="the held-out loss has not improved for 3 looks")),
    ("Went back to the start.", {}, Noted(text="Went back to the start.", code="rolled_back")),
    ("Went on from update 3 of 9.", {}, Noted(text="Went on from update 3 of 9.", code="resumed")),
    ("Waiting because it is hot.", {}, Noted(text="Waiting because it is hot.", code="waiting")),
    ("The computer slept or stood still for 2 min.", {}, Noted(text="The computer slept or stood still for 2 min.", code="slept")),
    ("2 examples have nothing to learn from.", {"rows": [4, 7]}, Noted(text="2 examples have nothing to learn from.", rows=(4, 7))),
    ("", {"bytes": 4, "total_bytes": 9}, Noted(text="")),
]


def alike(found: Event, wanted: Event) -> bool:
    return found.model_copy(update={"time": 0.0}) == wanted.model_copy(update={"time": 0.0})


@pytest.mark.parametrize(("text", "data", "meant"), OLD)
def test_a_note_of_the_first_version_is_what_it_meant(tmp_path: Path, text: str, data: dict[str, Any], meant: Event) -> None:
    log = tmp_path / "events.jsonl"
    old = {"time": 7.0, "step": 3, "type": "noted", "text": text, "phase": "", "fraction": None, "data": data}
    log.write_text(json.dumps(old, separators=(",", ":")) + "\n")
    (found,) = read(log)[0]
    assert (found.time, found.step) == (7.0, 3)
    assert alike(found.model_copy(update={"step": 0}), meant)
    log.write_text(found.model_dump_json() + "\n")
    assert read(log)[0] == [found], "what is written today is read as it is"


def test_a_sentence_of_today_means_nothing_to_code(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text(Noted(text=EARLY).model_dump_json() + "\n")
    (found,) = read(log)[0]
    assert isinstance(found, Noted)
    assert (found.code, found.why) == ("", "")


def test_what_was_measured_stands_in_the_view_and_its_sentences_among_the_notes() -> None:
    facts = Facts(n_train=9)
    events = [Measured(text="Learning.", n_train=9, facts=facts), Probed(skipped="small"), Probed(bytes=5), Probed(bytes=6)]
    view = fold("r", [*events, Imported(text="Brought in.", origin=Provenance(by="PEFT"))])
    assert view.facts == facts
    assert view.probed is not None
    assert view.probed.bytes == 5
    assert view.imported == Provenance(by="PEFT")
    assert [(note.text, note.code) for note in view.notes] == [("Learning.", "measured"), ("Brought in.", "imported")]


def test_a_judgement_of_an_earlier_version_has_its_sides_under_their_present_names() -> None:
    confusion = {"base": {"base": {"adapter": 8}}, "adapter": {"base": {"base": 8}}}  # a person's labels may have those names
    found = modern_judgement(
        {
            "verdict": "better",
            "rows": {
                "base_surprise": [{"row": 2, "base_surprise": 4.0, "adapter_surprise": 3.0}],
                "answers": [{"row": 2, "reference": "base", "base": "no", "adapter": "yes", "base_active": [], "adapter_active": ["x"]}],
                "judge": [{"row": 2, "asked": True, "first": "base", "second": "adapter", "winner": "tie"}],
            },
            "tables": {"label_accuracy": {"confusion": confusion, "labels": ["base"]}},
            "scores": [{"name": "base_surprise", "base": 4.0, "adapter": 3.0, "n": 1}],
            "samples": [{"prompt": "?", "base": "no", "adapter": "yes", "adapter_active": ["default"]}],
        }
    )
    assert found["rows"]["base_surprise"] == [{"row": 2, "before_surprise": 4.0, "after_surprise": 3.0}]
    (answer,) = found["rows"]["answers"]
    assert answer == {"row": 2, "reference": "base", "before": "no", "after": "yes", "before_active": [], "after_active": ["x"]}
    assert found["rows"]["judge"] == [{"row": 2, "asked": True, "first": "before", "second": "after", "winner": "tie"}]
    assert found["tables"]["label_accuracy"]["confusion"] == {"before": confusion["base"], "after": confusion["adapter"]}
    assert found["scores"] == [{"name": "base_surprise", "before": 4.0, "after": 3.0, "n": 1}]
    assert found["samples"] == [{"prompt": "?", "before": "no", "after": "yes", "after_active": ["default"]}]
    assert modern_judgement(found) == found


def test_answers_and_scores_in_an_old_log_are_those_of_before_and_after(tmp_path: Path) -> None:
    score = '{"name":"loss","base":4.0,"adapter":3.0,"n":8}'
    sample = '{"prompt":"p","reference":"","base":"b","adapter":"a","base_active":[],"adapter_active":["default"]}'
    path = tmp_path / "events.jsonl"
    path.write_text(
        f'{{"time":1,"step":2,"type":"evaluated","split":"final","loss":3.0,"n":8,"scores":[{score}]}}\n'
        f'{{"time":2,"step":2,"type":"previewed","samples":[{sample}]}}\n'
    )
    view = fold("old", read(path)[0])
    assert view.evaluations[0].scores == (Score(name="loss", before=4.0, after=3.0, n=8),)
    assert view.samples == (Sample(prompt="p", before="b", after="a", after_active=("default",)),)
