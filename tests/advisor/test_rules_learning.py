"""Rules for runs that learned too little: what is an alarm in a run that came out badly by its own evidence, what is only told in one that
did well, and which of several explanations is named."""

from __future__ import annotations

import math
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from loralab.core.events import Evaluated, Event
from loralab.core.records import Score
from loralab.planning.planner import propose
from tests.support.built_cases import case, curve, falling, finished, looks
from tests.support.machines import examples, here, laptop

NARROW = {"trainable": 2_000}  # weights that learn, for the 20,000 tokens of tests/built_cases


def ran(updates: int, *heldout: float, start: float = 3.0, rate: float = 2e-4, **settings: Any) -> Case:
    """A run that ended, with so many updates and, evenly spread, these looks at the held-out examples; the training loss beside them."""
    seen = [(round(updates * n / len(heldout)), loss) for n, loss in enumerate(heldout, 1)]
    losses = [next(loss for step, loss in seen if step >= n) for n in range(1, updates + 1)]
    return case([*curve(losses, rate=rate), *looks(start, *seen), finished(updates)], learning_rate=rate, **settings)


def said(one: Case, identity: str) -> Finding | None:
    return next((finding for finding in diagnose(one).findings if finding.id == identity), None)


def first(one: Case) -> tuple[str, bool]:
    """The first thing that is said, and whether it is an alarm."""
    found = diagnose(one).findings[0]
    return found.id, found.alarm


FALLING = (2.8, 2.6, 2.4, 2.2)
SETTLED = (2.3, 2.22, 2.21, 2.2)


def test_a_handful_of_updates_is_an_alarm_where_more_would_have_helped() -> None:
    assert first(ran(8, *FALLING, max_steps=8)) == ("R37", True)
    assert said(ran(8, *SETTLED, max_steps=8), "R37") is None  # done, however short it was
    some = said(ran(16, *FALLING, max_steps=16), "R37")
    assert some is not None
    assert not some.alarm  # better, and not by a handful: told
    assert said(ran(150, *FALLING, max_steps=150), "R37") is None


def test_of_a_run_that_ended_the_updates_it_made_are_told_not_those_its_rounds_would_need() -> None:
    """In version 0.1.0 most updates were not a limit: a run could make more of them than its rounds needed."""
    found = said(ran(24, 2.99, 2.995, max_steps=24, epochs=0.1), "R37")
    assert found is not None
    assert found.words.startswith("24 updates")


@pytest.mark.parametrize(("epochs", "changed"), [(0.2, {"max_steps", "epochs"}), (50.0, {"max_steps"})])
def test_a_higher_limit_comes_with_the_rounds_that_reach_it(epochs: float, changed: set[str]) -> None:
    """Most updates are a limit: raised alone, it changes nothing where the rounds end the run before."""
    one = ran(8, *FALLING, max_steps=8, epochs=epochs)
    found = said(one, "R37")
    assert found is not None
    assert found.settings.keys() == changed
    assert one.facts is not None
    repaired = one.plan.model_copy(update=found.settings)
    assert repaired.updates(math.ceil(one.facts.n_train / repaired.effective_batch)) == found.settings["max_steps"]


@pytest.mark.parametrize("model", ["starter", "smollm2-135m"])
def test_what_the_planner_chose_is_not_called_too_few_updates(model: str) -> None:
    """Planner and rule share one number; a plan that a person made smaller is called that."""
    for n in (9, 12, 17, 18, 40, 99, 100, 150, 400):
        data, check = examples(n), here(model)
        plan = propose(data, check, laptop(), {}).plan
        facts = {"n_train": data.n_train, "n_heldout": data.n_heldout, "parameters": check.parameters}
        assert said(case(facts=facts, **plan), "R37") is None, n
    fewer = {"epochs": 1.0, "effective_batch": 16}
    assert said(case(facts={"n_train": 360, "parameters": here(model).parameters}, **fewer), "R37") is not None


def test_updates_far_smaller_than_usual_count_as_fewer() -> None:
    """Forty at a tenth of the usual rate are worth four; what is proposed is more of them, and of the usual size."""
    small = ran(40, *FALLING, rate=2e-5, epochs=0.7)
    assert first(small) == ("R37", True)
    found = said(small, "R37")
    assert found is not None
    assert "as far as 4" in found.words
    assert found.settings == {"epochs": 2.0, "learning_rate": 2e-4}
    assert said(ran(40, *FALLING, epochs=0.7), "R37") is None
    assert said(ran(40, *SETTLED, rate=2e-5, epochs=0.7), "R37") is None


def test_a_time_limit_that_left_a_handful_is_what_is_raised() -> None:
    found = said(ran(8, *FALLING, max_minutes=2.0), "R37")
    assert found is not None
    assert found.settings == {"max_minutes": 25}


def test_one_cause_has_one_name() -> None:
    """A run of a handful of updates is not said to be undertrained as well, nor one with tiny corrections to have had too few."""
    assert said(ran(8, *FALLING, max_steps=8), "R34") is None
    tiny = ran(60, *FALLING, rate=2e-6, max_steps=60)
    assert first(tiny) == ("R33", True)
    assert said(tiny, "R37") is None
    many = ran(150, *FALLING, rate=1e-5, max_steps=150)  # enough in number: it was their size
    assert first(many) == ("R33", True)
    assert said(ran(2000, *FALLING, rate=1e-5, max_steps=2000), "R33") is None  # worth a hundred


def test_a_run_that_slowed_down_may_fall_still() -> None:
    """As steeply at the end as at the beginning is an alarm; what a long run at a constant rate gains at its end is told."""
    assert first(ran(60, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.2, 2.1, epochs=1.0)) == ("R34", True)
    told = said(ran(60, 2.2, 1.7, 1.4, 1.25, 1.15, 1.05, 0.95, 0.85, epochs=1.0), "R34")
    assert told is not None
    assert not told.alarm


def test_a_large_batch_that_left_a_handful_of_updates_is_an_alarm() -> None:
    assert first(ran(8, *FALLING, effective_batch=128)) == ("R29", True)
    settled = said(ran(8, *SETTLED, effective_batch=128), "R29")
    assert settled is not None
    assert not settled.alarm


def test_left_out_parts_are_named_before_rank() -> None:
    """Where attention alone learns that is what is said, an alarm where its weights have no room; elsewhere rank is told and no alarm."""
    assert first(ran(150, *SETTLED, targets="q_proj", facts=NARROW)) == ("R35", True)
    assert said(ran(150, *SETTLED, targets="q_proj", facts=NARROW), "R36") is None
    roomy = said(ran(150, *SETTLED, targets="q_proj"), "R35")
    assert roomy is not None
    assert not roomy.alarm
    rank = said(ran(150, *SETTLED, facts=NARROW), "R36")
    assert rank is not None
    assert not rank.alarm


def test_a_small_rank_is_an_alarm_only_where_hardly_anything_was_gained() -> None:
    losses = [2.97] * 150
    stuck = case([*curve(losses), *looks(3.0, (75, 2.96), (150, 2.96)), finished(150)], facts=NARROW, max_steps=150)
    found = said(stuck, "R36")
    assert found is not None
    assert found.alarm


@pytest.mark.parametrize(
    ("heldout", "alarm"),
    [((3.4, 2.9, 2.6, 2.4), True), ((2.4, 2.31, 2.3, 2.3), True), ((2.6, 2.4, 2.2, 2.0), False), ((1.2, 0.9, 0.89, 0.89), False)],
    ids=["it rose first", "it came to rest early and high", "it got better to the end", "most of it was learned"],
)
def test_a_rate_far_too_high_is_an_alarm_where_the_curve_shows_it(heldout: tuple[float, ...], alarm: bool) -> None:
    found = said(ran(150, *heldout, rate=4e-3), "R27")
    assert found is not None
    assert found.alarm is alarm


def test_a_rate_somewhat_too_high_is_told_where_the_loss_came_to_rest_half_way() -> None:
    told = said(ran(150, 2.4, 2.31, 2.3, 2.3, rate=1.2e-3), "R27")
    assert told is not None
    assert not told.alarm
    assert told.settings == {"learning_rate": 2e-4}
    assert said(ran(150, 2.6, 2.4, 2.2, 2.0, rate=1.2e-3), "R27") is None
    assert said(ran(150, 2.4, 2.31, 2.3, 2.3, rate=6e-4), "R27") is None


def test_a_start_without_a_warm_up_that_cost_much_of_the_run_is_named() -> None:
    losses = [3.8] * 40 + [2.7] * 110
    seen = looks(3.0, (40, 3.2), (80, 2.7), (120, 2.5), (150, 2.4))

    def bold(losses: list[float], seen: list[Event], **settings: Any) -> Case:
        return case([*curve(losses), *seen, finished(150)], learning_rate=1e-3, **settings)

    assert first(bold(losses, seen, warmup=0.0)) == ("R23", True)
    assert said(bold(losses, seen, warmup=0.1), "R23") is None
    short = said(bold([3.8] * 4 + [2.7] * 146, looks(3.0, (80, 2.7), (150, 2.4)), warmup=0.0), "R23")
    assert short is None or not short.alarm
    assert said(bold([2.9] * 40 + [2.7] * 110, looks(3.0, (80, 2.7), (150, 2.4)), warmup=0.0), "R23") is None


def test_what_a_model_forgot_that_knew_little_explains_nothing_else() -> None:
    """It comes after what the run itself lacked, whatever that is; of a model that knew much it is an alarm."""

    def forgot(before: float, after: float) -> Case:
        score = Score(name="forgetting", before=before, after=after, n=50, difference=after - before, verdict="worse")
        judged = Evaluated(step=200, split="final", loss=1.0, n=50, scores=(score,), verdict="better")
        return case([*falling()[:-1], judged, finished(200)], targets="attention")

    assert [finding.id for finding in diagnose(forgot(5.4, 6.6)).findings][:2] == ["R35", "R47"]
    assert first(forgot(1.9, 3.4)) == ("R47", True)


def test_small_faults_of_the_examples_are_read_last() -> None:
    """After what tells how the run was trained and how far its verdict carries; where many examples are at fault that is an alarm."""
    small = {"repeated": 30, "near_shared": 3, "questions_repeated": 20, "n_heldout": 20}
    told = [finding.id for finding in diagnose(case(falling(), targets="attention", facts=small)).findings]
    assert told == ["R35", "R68", "R63", "R83", "R84"]
    assert diagnose(case(falling(), facts={"repeated": 300})).alarms[0].id == "R83"


def test_what_is_odd_is_put_right_and_the_rest_stays() -> None:
    """A rate that makes up for an odd alpha would leave half of the adapter standing still: it is alpha that is changed."""
    flat = (2.99, 2.99, 2.985, 2.985)
    quiet = said(ran(150, *flat, alpha=0.08, rank=8), "R33")
    assert quiet is not None
    assert quiet.settings == {"alpha": 16.0}
    both = said(ran(150, *flat, alpha=0.08, rank=8, rate=1e-6), "R33")
    assert both is not None
    assert both.settings == {"alpha": 16.0, "learning_rate": 2e-4}
    slow = said(ran(150, *flat, rate=1e-6), "R33")
    assert slow is not None
    assert slow.settings == {"learning_rate": 2e-4}


def test_attention_without_room_gets_a_usual_rank_as_well() -> None:
    tight = said(ran(150, *SETTLED, targets="q_proj", facts=NARROW, rank=4, alpha=8), "R35")
    assert tight is not None
    assert tight.settings == {"targets": "all-linear", "rank": 16, "alpha": 32.0}
    wide = said(ran(150, *SETTLED, targets="q_proj", facts=NARROW, rank=32, alpha=64), "R35")
    assert wide is not None
    assert wide.settings == {"targets": "all-linear"}


def test_what_is_offered_against_copies_changes_something() -> None:
    """One example a thousand times in one round: no fewer rounds are possible, so it is the copies that go."""
    copies = {"n_train": 1000, "repeated": 999, "rows": {"repeated": (1,) * 20}}
    found = said(case(None, epochs=1.0, facts=copies), "R46")
    assert found is not None
    assert (found.fixes[0].data, found.fixes[0].settings) == ("deduplicate", {})
    assert "one example" in found.words
    many = said(case(None, epochs=40.0, facts={"n_train": 30, "repeated": 0}), "R46")
    assert many is not None
    assert 0 < many.settings["epochs"] < 40
    again = said(case(None, epochs=1.0, facts=copies), "R83")
    assert again is not None
    assert "(row 1)" in again.evidence[0].words
