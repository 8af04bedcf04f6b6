"""The model that cannot do it: said before Start with the one that can, and again as the next step when nothing usable came of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.advisor import Advisor
from advisor.proposals.next_step import begin_step, next_step
from advisor.rules.learning import wrong_model
from loralab.core.events import Evaluated, RunView
from loralab.core.jobs import DownloadJob, TrainJob
from loralab.core.verdict import Verdict
from loralab.lab import Lab, ModelChoice
from tests.support import built_cases

GERMAN = "Vielen Dank für Ihre Nachricht Nummer {i}. Wir haben Ihre Bestellung heute verschickt, sie kommt in zwei Tagen bei Ihnen an."
NO = Verdict(learned="yes", learned_words="Yes.", usable="no", usable_words="Not yet.")


def card(name: str, parameters: int, *cannot: str, **more: Any) -> ModelChoice:
    known = {"title": name.title(), "words": "", "good_for": ("answer",), "fits": True, "minutes": 12.0, "download_bytes": 93_000_000}
    return ModelChoice(**{**known, "name": name, "parameters": parameters, "cannot": cannot, **more})


SMALL = card("starter", 8, "Starter knows English, and your examples are in German.")
ABLE = card("able", 135, recommended=True, source="package")
LARGER = card("larger", 500)


def found(*models: ModelChoice, verdict: Verdict | None = None) -> Any:
    events = None if verdict is None else [Evaluated(split="final", loss=1.0, n=20, conclusion=verdict)]
    return wrong_model.check.check(replace(built_cases.case(events), models=models))


def test_before_a_run_it_names_the_model_that_can_with_its_minutes_and_size() -> None:
    said = found(ABLE, SMALL)
    assert "German" in said.words
    assert said.fixes[0].settings == {"base_model": "able"}
    assert "12 minutes" in said.fixes[0].words
    assert "93 MB" in said.fixes[0].words
    assert "93 MB" not in found(ABLE.model_copy(update={"here": True}), SMALL).fixes[0].words


@pytest.mark.parametrize(
    ("models", "verdict"),
    [
        ((), None),  # nothing is known of models
        ((ABLE, card("starter", 8)), None),  # it can
        ((ABLE,), None),  # a folder of one's own: no card
        ((ABLE, SMALL), NO.model_copy(update={"usable": "yes"})),
        ((card("starter", 8),), NO),  # nothing larger is to be had
    ],
)
def test_it_stays_quiet_where_nothing_speaks_against_the_model(models: tuple[ModelChoice, ...], verdict: Verdict | None) -> None:
    assert found(*models, verdict=verdict) is None


def test_after_a_run_of_no_use_the_next_larger_model_is_proposed() -> None:
    said = found(card("starter", 8), LARGER, card("gated", 20, gated=True), verdict=NO)
    assert said.fixes[0].settings == {"base_model": "larger"}
    assert found(SMALL, ABLE, LARGER, verdict=NO).fixes[0].settings == {"base_model": "able"}
    assert found(SMALL, verdict=None).fixes == ()


@pytest.fixture
def german(lab: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "Fragen.csv"
    rows = "".join(f'Wann kommt meine Bestellung {i}?,"{GERMAN.format(i=i)}"\n' for i in range(60))
    path.write_text(f"question,answer\n{rows}", "utf-8")
    return path


def test_german_examples_on_the_starter_are_told_before_start(lab: Lab, german: Path) -> None:
    profile = lab.profile(german)
    assert (profile.language, profile.need) == ("de", "answer")
    advisor = Advisor(lab)
    told = [f for f in advisor.preflight(advisor.propose(profile).plan, profile).findings if f.rule == "wrong_model"]
    assert [f.alarm for f in told] == [True]
    name = told[0].settings["base_model"]
    assert "de" in next(c for c in lab.model_choices(profile) if c.name == name).languages


def test_as_a_next_step_it_is_fetched_first_and_planned_anew(lab: Lab, german: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = lab.propose(lab.profile(german)).plan | {"title": "Fragen"}
    folder = lab.home / "runs" / "first"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(TrainJob(run="first", plan=plan, model="starter").model_dump_json())
    seen = lab.view("first").model_copy(update={"evaluations": (Evaluated(split="final", loss=1.0, n=6, conclusion=NO),)})
    monkeypatch.setattr(Lab, "view", lambda self, run: seen)
    advisor = Advisor(lab)
    step = next_step(lab, advisor.diagnose("first"))
    assert step is not None
    assert step.rule == "wrong_model"
    assert step.seconds
    proposal, origin = begin_step(lab, step)
    assert origin.of == "first"
    assert proposal.plan["base_model"] == step.settings["base_model"] != "starter"
    assert proposal.plan["learning_rate"] < plan["learning_rate"], "a starter's rate would be far too bold"
    begun: list[Any] = []
    monkeypatch.setattr(Lab, "begin", lambda self, job: begun.append(job) or "next")
    assert advisor.improve(step) == "next"
    assert [type(job) for job in begun] == [DownloadJob, TrainJob]
    assert isinstance(seen, RunView)
