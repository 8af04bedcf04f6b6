"""Rules for drawing, each beside a neighbour in which it must stay silent; what a way out changes; what is read of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.rules import rules
from advisor.tasks import DRAWING_TASKS
from loralab.core.events import Ended, Evaluated, Event, Measured, Saved, Started, Stepped, fold
from loralab.core.facts import Facts
from loralab.core.records import Artifact, Score
from loralab.core.verdict import Verdict
from loralab.datasets.fixes import OPERATIONS
from loralab.datasets.images.door import load_pictures
from loralab.datasets.images.run_facts import of_plan
from loralab.tasks import parse_plan
from tests.support import small_pictures
from tests.support.spoiled import found

KNOWN: dict[str, Any] = {"n_train": 30, "n_watched": 6, "n_heldout": 8, "unit": "pixels", "sides": {"p10": 400, "p50": 600, "p90": 900}}
KNOWN |= {"captions": 30}
LARGE = {"image_size": 512, "learning_rate": 1e-4}
BETTER, SAME, WORSE = "better", "no difference seen", "worse"


def planned(known: dict[str, Any] | None = None, **settings: Any) -> Case:
    """The case of a plan that has not run."""
    plan = parse_plan({"task": "draw", "dataset": "pictures.zip", **settings})
    return Case(plan=plan, asked=plan, facts=Facts.model_validate(KNOWN | (known or {})))


def ran(look: str = BETTER, loss: str = BETTER, table: dict[str, Any] | None = None, **settings: Any) -> Case:
    """The case of a run that was judged so."""
    before = planned(**settings)
    after = {BETTER: 0.3, SAME: 0.5, WORSE: 0.7}
    scores = tuple(
        Score(name=name, label=name, before=0.5, after=after[word], n=8, verdict=word, lower_is_better=True, group=name)
        for name, word in (("look", look), ("loss", loss))
    )
    learned = "yes" if look == loss == BETTER else "no"
    conclusion = Verdict(learned=learned, learned_words="So it went.", usable="you_decide", usable_words="Look at the drawings.")
    told: list[Event] = [Started(pid=1), Measured(facts=before.facts), Evaluated(split="base", loss=0.5, n=6)]
    rate = before.plan.learning_rate
    told += [
        Stepped(step=n, loss=0.5, grad_norm=1.0, learning_rate=rate, tokens=1, tokens_per_second=1.0, memory_bytes=0, total_steps=40)
        for n in range(1, 41)
    ]
    told.append(Evaluated(split="final", loss=0.4, n=8, scores=scores, verdict=look, words="So it went.", conclusion=conclusion))
    told += [Saved(artifact=Artifact(kind="adapter", path="adapter")), Ended(outcome="finished", result={"seconds": 60.0})]
    counted = {"drawn": 8, "copies": 0, "recalled": [{"copy": False}] * 8} | (table or {})
    return replace(before, view=fold("r", told), judged={"rows": {}, "tables": {"look": counted}})


# rule -> (a case in which it speaks, one in which it must not)
CASES: dict[str, tuple[Case, Case]] = {
    "copies_its_pictures": (ran(table={"copies": 3}), ran(table={"recalled": [{"copy": True}] * 2 + [{"copy": False}] * 6})),
    "few_to_draw_from": (planned({"n_train": 8}), planned({"n_train": 12})),
    "drawings_fall_apart": (planned(learning_rate=1e-2), planned(learning_rate=3e-3)),
    "captions_alike": (planned({"captions": 1}), planned({"captions": 20})),
    "trigger_is_a_word": (planned({"said_trigger": 4}), planned({"said_trigger": 30})),
    "shapes_cut_off": (planned({"oblong": 12}), planned({"oblong": 2})),
    "style_not_learned": (ran(SAME, SAME), ran()),
}
OTHERS: dict[str, tuple[str, Case, Case]] = {
    "learned captions that come back": (
        "copies_its_pictures",
        ran(table={"recalled": [{"copy": True}] * 5 + [{"copy": False}] * 3}),
        ran(table={"recalled": []}),
    ),
    "a rate of the starter on a larger base": ("drawings_fall_apart", planned(image_size=512), planned(**LARGE)),
    "drawings that got worse": ("drawings_fall_apart", ran(WORSE, learning_rate=5e-3), ran(WORSE, learning_rate=1e-3)),
    "a high rate that did well": ("drawings_fall_apart", ran(loss=WORSE, learning_rate=9e-3), ran(learning_rate=9e-3)),
    "no captions": ("captions_alike", planned({"captions": 5, "uncaptioned": 25}), planned({"captions": 25, "uncaptioned": 5})),
    "enlarged": ("shapes_cut_off", planned({"sides": {"p50": 300}}, **LARGE), planned({"sides": {"p50": 300}})),
    "worse is another story": ("style_not_learned", ran(SAME, SAME, learning_rate=1e-5), ran(WORSE, SAME)),
}


def test_each_rule_on_drawing_alone_has_a_case() -> None:
    assert {name for name, rule in rules().items() if rule.tasks == DRAWING_TASKS} == CASES.keys()


@pytest.mark.parametrize("rule", CASES)
def test_it_is_found_with_its_evidence_and_a_way_out_and_its_neighbour_is_left_alone(rule: str) -> None:
    case, neighbour = CASES[rule]
    told = found(case, rule)
    assert told is not None
    assert told.evidence
    assert told.words
    assert told.fixes
    for fix in told.fixes:
        type(case.plan).model_validate(case.plan.model_dump() | fix.settings)
        assert fix.data not in OPERATIONS, "what is done with files of text cannot be done with pictures"
    assert found(neighbour, rule) is None


@pytest.mark.parametrize("name", OTHERS)
def test_other_ways_it_shows(name: str) -> None:
    rule, case, neighbour = OTHERS[name]
    assert found(case, rule) is not None
    assert found(neighbour, rule) is None


@pytest.mark.parametrize("case", [planned(), planned(**LARGE), ran()], ids=["starter", "larger", "ran"])
def test_nothing_is_said_of_a_usual_plan_and_a_run_that_did_well(case: Case) -> None:
    assert diagnose(case).findings == ()


@pytest.mark.parametrize("rule", [name for name, (case, _) in CASES.items() if case.view is None])
def test_a_way_out_leads_out(rule: str) -> None:
    case = CASES[rule][0]
    told = found(case, rule)
    assert told is not None
    if not told.settings:
        return
    plan = case.plan.model_copy(update=told.settings)
    facts = case.facts and case.facts.model_copy(update={"said_trigger": 0})  # counted anew for another word
    assert found(replace(case, plan=plan, asked=plan, facts=facts), rule) is None


def test_captions_and_shapes_are_read_from_the_pictures(tmp_path: Path) -> None:
    pictures = load_pictures(small_pictures.captioned(tmp_path / "a.zip"), tmp_path, None)
    plan: Any = parse_plan({"task": "draw", "dataset": "a.zip", "trigger": "disc,"})
    facts = of_plan(pictures, plan)
    assert facts.captions == facts.n_train > 0
    assert (facts.uncaptioned, facts.oblong) == (0, 0)
    assert 0 < facts.said_trigger < facts.n_train, "half of the captions speak of a disc"
