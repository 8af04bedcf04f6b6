"""Rules for numbers, memory, instability and no learning on built cases: each fires on its cause and is quiet on its neighbour."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis
from advisor.rules import rules
from loralab.core.events import Evaluated
from loralab.core.records import Footprint, Score
from loralab.machine.gpu import Holder
from tests.support import machines
from tests.support.built_cases import card_said, case, change, curve, did_not_fit, failed, falling, finished, incident, loading, looks

GB = 1_000_000_000
OURS = frozenset({"non-finite", "memory", "instability", "no learning"})
WELL = falling()
STEADY = [*curve([3.0] * 60), *looks(3.0, (20, 3.0), (40, 2.995), (60, 2.99)), finished(60)]
AWAY = [*curve([3.0] * 4 + [11.0] * 20), *looks(3.0)]
RAN = [*AWAY, incident("diverged", 7, heldout=11.0), change("learning_rate", 2e-4, 4e-5, 6), finished(24)]
UNEVEN = [did_not_fit(step, 2, 1600) for step in (40, 90)]


def _card(**changes: Any) -> Any:
    machine = machines.with_card(free=20.0)
    return machine.model_copy(update={"gpus": (machine.gpus[0].model_copy(update=changes),)})


def _needs(memory: float, free: float, weights: float) -> Footprint:
    return Footprint(
        memory_bytes=int(memory * GB), upper_bytes=int(1.08 * memory * GB), free_bytes=int(free * GB), parts={"weights": int(weights * GB)}
    )


def _judged(difference: float) -> Evaluated:
    score = Score(name="loss", before=3.0, after=3.0 + difference, n=50, difference=difference, verdict="no difference seen")
    return Evaluated(step=200, split="final", loss=3.0, n=50, scores=(score,), verdict="no difference seen")


NOT_ALONE = "Example 3 (1,600 tokens) does not fit into memory, not even alone and with every saving on."
EXACT = "The model computes numbers that are not finite, although its weights are in order, even as exactly as possible."
FINE = "Update 9 gave numbers that are not finite; it was left out. Tried again, each of its examples alone is fine."
BROKEN = "Update 9 gave numbers that are not finite; it was left out. A number in the adapter is not finite (lora_A)."

# rule -> (a case it must name first, a neighbour in which it must be silent)
PAIRS: dict[str, tuple[Case, Case]] = {
    "R01": (case([*WELL[:-1], incident("bad_row", 9, rows=[17]), finished()]), case([*WELL[:-1], incident("non_finite", 9), finished()])),
    "R02": (
        case([*curve([2.0] * 9, [0.5] * 6 + [40.0, 900.0, 2e5]), incident("non_finite", 10), change("learning_rate", 2e-4, 4e-5, 9)]),
        case([*curve([2.0] * 9), incident("non_finite", 10, FINE)]),
    ),
    "R03": (
        case([incident("non_finite", 1), change("precision", "fp16", "fp32"), *WELL], precision="fp16"),
        case([incident("non_finite", 1), failed("corrupt_weights")], precision="fp16"),
    ),
    "R04": (
        case([incident("non_finite", 1), change("attention", "sdpa", "eager"), *WELL]),
        case([incident("non_finite", 1), change("attention", "sdpa", "eager"), failed("non_finite", EXACT)]),
    ),
    "R07": (
        case([failed("unexpected")], log="RuntimeError: bf16 is not supported on this device", precision="bf16"),
        case(WELL, precision="bf16", machine=machines.with_card()),
    ),
    "R08": (
        case([failed("unexpected", "RuntimeError: mat1 and mat2 must have the same dtype, but got BFloat16 and Float")], precision="bf16"),
        case([failed("unexpected", "RuntimeError: mat1 and mat2 shapes cannot be multiplied")], precision="bf16"),
    ),
    "R10": (case([did_not_fit(), did_not_fit(1), change("token_budget", 0, 640, 1), *WELL]), case([did_not_fit(doing="looking"), *WELL])),
    "R11": (case([did_not_fit(doing="optimiser"), *WELL]), case([did_not_fit(), *WELL])),
    "R12": (case([*UNEVEN, *WELL]), case([did_not_fit(40, 8, 800), did_not_fit(90, 8, 800), *WELL])),
    "R14": (
        case([did_not_fit(error=card_said(wanted=700, ours=23.7, used=17.0, unused=6.0)), *WELL]),
        case([did_not_fit(error=card_said(wanted=7000, ours=23.7, used=17.0, unused=6.0)), *WELL]),
    ),
    "R15": (
        case([did_not_fit(error=card_said(wanted=594)), *WELL], facts={"vocabulary": 152_064}),
        case([did_not_fit(error=card_said(wanted=594)), *WELL]),
    ),
    "R16": (case([did_not_fit(error=card_said(ours=14.0, used=13.0)), *WELL]), case([did_not_fit(error=card_said(ours=23.0)), *WELL])),
    "R18": (
        case([*curve([2.0] * 9), incident("killed_for_memory", 9, oom_kills=1), failed("out_of_memory", outcome="killed")]),
        case([*curve([2.0] * 9), failed("worker_gone", outcome="killed")]),
    ),
    "R19": (case([*WELL[:-1], did_not_fit(200, doing="comparing"), finished()]), case([*WELL[:-1], did_not_fit(5), finished()])),
    "R20": (
        case([did_not_fit(3, 2, 4096), *WELL], attention="eager", max_length=2048),
        case([did_not_fit(3, 2, 4096), *WELL], max_length=2048),
    ),
    "R21": (case([loading(), failed("out_of_memory")]), case([loading(), *curve([2.0] * 9), failed("out_of_memory")])),
    "R23": (
        case([*AWAY, incident("diverged", 7, heldout=11.0), finished()], warmup=0.0, learning_rate=1e-3),
        case([*AWAY, incident("diverged", 7, heldout=11.0), finished()], warmup=0.0, learning_rate=2e-2),
    ),
    "R26": (case(RAN, learning_rate=2e-2), case(WELL, learning_rate=2e-2)),
    "R28": (case(RAN, rank=4, alpha=128.0), case(RAN, rank=4, alpha=8.0)),
    "R29": (
        case([*curve([3.0] * 12), *looks(3.0, (6, 3.0), (12, 2.98)), finished()], effective_batch=128),
        case([*curve([3.0] * 12), *looks(3.0, (6, 2.5), (12, 2.0)), finished()], effective_batch=128),
    ),
    "R31": (
        case([*curve([3.0, 2.9, 3.1, 3.0], [0.0] * 4), *looks(3.0, (4, 3.0)), finished()]),
        case([*curve([3.0, 2.9, 3.1, 3.0], [0.0, 0.1, 0.1, 0.1]), *looks(3.0, (4, 3.0)), finished()]),
    ),
    "R32": (
        case([failed("unexpected", "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn")]),
        case([failed("unexpected", "RuntimeError: something else")]),
    ),
    "R33": (case(STEADY, learning_rate=1e-6), case(STEADY, learning_rate=2e-4)),
    "R35": (case(STEADY, targets="q_proj,v_proj", epochs=3.0), case(STEADY, targets="mlp")),
    "R37": (
        case([*curve([3.0] * 6), *looks(3.0, (3, 3.0), (6, 2.98)), finished()], max_steps=6),
        case([*curve([3.0] * 6), *looks(3.0, (3, 2.12), (6, 2.1)), finished()], max_steps=6),
    ),
    "R38": (case([failed("nothing_to_learn")], facts={"n_train": 0, "n_heldout": 0, "unlearned": 500}), case(WELL, facts={"unlearned": 3})),
    "R39": (
        case([*curve([3.0] * 200, rate=5e-3), *looks(3.0, (100, 2.98), (200, 2.99)), finished()], weight_decay=0.8),
        case([*curve([3.0] * 200, rate=2e-4), *looks(3.0, (100, 2.98), (200, 2.99)), finished()], weight_decay=0.8),
    ),
    "R40": (case([*WELL[:-1], _judged(0.0), finished()]), case([*WELL[:-1], _judged(-1.0), finished()])),
    "R43": (case(STEADY, learn_from="everything"), case(STEADY, learn_from="everything", facts={"plain": True})),
    "R70": (case([failed("corrupt_weights", "The base model is damaged.")]), case([failed("unexpected")])),
    "R71": (case([*curve([2.0] * 8), incident("non_finite", 9, BROKEN), *WELL]), case([incident("non_finite", 9, FINE), *WELL])),
    "R72": (case([*(incident("non_finite", step, FINE) for step in (9, 29, 49)), *WELL]), case([incident("non_finite", 9, BROKEN), *WELL])),
    "R73": (case([incident("non_finite", 1), failed("non_finite", EXACT)]), case([incident("non_finite", 1), *WELL])),
    "R74": (
        case([*(incident("non_finite", n, rows=[n, 7]) for n in range(1, 5)), failed("non_finite")], engine="trl"),
        case([*(incident("non_finite", n, rows=[n, 7]) for n in range(1, 5)), failed("non_finite")]),
    ),
    "R76": (
        case([did_not_fit(3, 1, 1600, doing="one example"), failed("does_not_fit", NOT_ALONE, "stopped")]),
        case([did_not_fit(3, 1, 1600, doing="one example"), change("recompute", "none", "selective", 3), *WELL]),
    ),
    "R77": (
        case([incident("memory_spill", 9, "Update 9 took 6.0 s instead of 1.0 s.", tokens=1000), change("token_budget", 0, 800, 9), *WELL]),
        case([did_not_fit(9), *WELL]),
    ),
    "R78": (
        case(
            [
                *AWAY,
                *(
                    e
                    for n in range(3)
                    for e in (incident("diverged", 7 + 9 * n, heldout=11.0), change("learning_rate", 2e-3, 2e-3 / 5 ** (n + 1), 6 + 9 * n))
                ),
                incident("diverged", 40, heldout=11.0),
                failed("diverged"),
            ],
            learning_rate=2e-3,
        ),
        case([*AWAY, incident("diverged", 7, heldout=11.0), failed("diverged")], learning_rate=2e-3),
    ),
    "R79": (case([failed("bad_targets")], targets="nose"), case([failed("unexpected")], targets="nose")),
}


def _ids(found: Diagnosis) -> list[str]:
    return [finding.id for finding in found.findings]


@pytest.mark.parametrize("rule", PAIRS)
def test_a_rule_names_its_cause_first_and_is_no_alarm_beside_it(rule: str) -> None:
    fires, neighbour = (diagnose(one) for one in PAIRS[rule])
    assert fires.cause is not None, _ids(fires)
    assert fires.cause.id == rule, [(f.id, f.confidence) for f in fires.findings]
    assert fires.cause.evidence
    assert rule not in [finding.id for finding in neighbour.alarms]


GEMMA = {"architecture": "Gemma2ForCausalLM"}
BEFORE: dict[str, tuple[Case, Case]] = {
    "R03": (
        case(precision="fp16", facts={"architecture": "Gemma2ForCausalLM"}),
        case(precision="bf16", facts={"architecture": "Gemma2ForCausalLM"}),
    ),
    "R16": (
        case(machine=_card(holders=(Holder(pid=1, name="game", bytes=8 * GB),)), needs=_needs(18, 16, 3)),
        case(machine=_card(holders=(Holder(pid=1, name="desktop", bytes=GB),)), needs=_needs(18, 16, 3)),
    ),
    "R21": (case(needs=_needs(20, 8, 14)), case(needs=_needs(20, 24, 14))),
    "R27": (case(learning_rate=2e-2), case(learning_rate=1e-3)),
    "R28": (case(rank=4, alpha=256.0), case(rank=4, alpha=16.0)),
    "R29": (case(effective_batch=256), case(effective_batch=8)),
    "R37": (case(epochs=1.0, facts={"n_train": 60}), case(epochs=3.0, facts={"n_train": 600})),
    "R38": (case(facts={"unlearned": 9000}), case(facts={"unlearned": 9})),
    "R75": (case(needs=_needs(20, 16, 4)), case(needs=_needs(10, 16, 4))),
}


@pytest.mark.parametrize("rule", BEFORE)
def test_what_can_be_known_before_the_first_update_is_said_then(rule: str) -> None:
    fires, quiet = (diagnose(one) for one in BEFORE[rule])
    assert rule in [finding.id for finding in fires.alarms], _ids(fires)
    assert rule not in [finding.id for finding in quiet.alarms], _ids(quiet)


def test_a_low_learning_rate_is_seen_before_a_run_too() -> None:
    found = diagnose(case(learning_rate=1e-6)).cause
    assert found is not None
    assert (found.id, found.settings) == ("R27", {"learning_rate": 2e-4})


def test_a_run_that_settles_well_gives_no_alarm() -> None:
    assert [f for f in diagnose(case(WELL)).alarms if f.group in OURS] == []


def test_a_spike_that_recovers_is_told_and_is_no_alarm() -> None:
    losses = [2.0 - 0.001 * n for n in range(100)]
    losses[60] = 9.0
    found = diagnose(case([*curve(losses), *looks(2.1, (50, 1.95), (100, 1.9)), finished()]))
    [spike] = [f for f in found.findings if f.id == "R22"]
    assert spike.evidence[0].step == 61
    assert not spike.alarm


def test_what_clipping_hides_is_seen_in_the_held_out_examples() -> None:
    up = [3.0 + 0.01 * (n % 7) + 0.002 * n for n in range(100)]
    found = diagnose(case([*curve(up, [20.0] * 100), *looks(3.0, (50, 3.2), (100, 3.45)), finished()], learning_rate=1e-3))
    assert {f.id for f in found.alarms} & {"R24", "R25"}
    quiet = diagnose(case([*curve(up, [20.0] * 100), *looks(3.0, (50, 2.2), (100, 2.0)), finished()], learning_rate=1e-3))
    assert not {f.id for f in quiet.alarms} & {"R24", "R25"}


def test_overfitting_is_not_taken_for_corrections_that_are_too_big() -> None:
    learned = [3.0 * 0.97**n for n in range(150)]
    seen = looks(3.0, (30, 2.2), (60, 2.6), (90, 3.1), (120, 3.6), (150, 4.2))
    alarms = diagnose(case([*curve(learned), *seen, finished()], learning_rate=1e-3)).alarms
    assert not {f.id for f in alarms} & {"R24", "R25", "R26"}, [f.id for f in alarms]


def test_a_retry_is_told_what_to_change_as_numbers() -> None:
    for rule, (fires, _) in PAIRS.items():
        found = next(f for f in diagnose(fires).findings if f.id == rule)
        if found.action == "retry":
            assert found.settings or not found.fixes or rule in ("R08", "R71"), rule
        for fix in found.fixes:
            type(fires.plan).model_validate(fires.plan.model_dump() | fix.settings)  # within bounds, each a setting there is


def test_every_rule_has_a_page_and_an_id_of_its_own() -> None:
    ids = [rule.id for rule in rules().values()]
    assert len(ids) == len(set(ids))
    for name, rule in rules().items():
        page = sys.modules[rule.check.__module__].__doc__ or ""
        assert all(part in page for part in ("What it looks like:", "Why:", "What to do:")), name
        assert rule.title[0].isupper()
        assert not rule.title.endswith("."), name


class _Counted(tuple[Any, ...]):
    """Updates that count how often they are gone through."""

    __slots__ = ()
    passes = 0

    def __iter__(self) -> Any:
        type(self).passes += 1
        return super().__iter__()


def test_the_updates_are_gone_through_a_few_times_whatever_the_number_of_rules() -> None:
    one = case(WELL)
    assert one.view is not None
    _Counted.passes = 0
    diagnose(Case(plan=one.plan, asked=one.asked, facts=one.facts, view=one.view.model_copy(update={"steps": _Counted(one.view.steps)})))
    assert 0 < _Counted.passes <= 15


def test_that_the_longest_come_first_does_not_hide_that_only_they_do_not_fit() -> None:
    def named(*events: Any) -> str:
        cause = diagnose(case([*events, *WELL])).cause
        return cause.id if cause else ""

    first, later = did_not_fit(0, 2, 1600), did_not_fit(29, 2, 1600)
    assert named(first, later, change("token_budget", 0, 1280, 29)) == "R12"
    assert named(first, change("token_budget", 0, 1280, 1)) == "R10", "nobody knows whether the others would have fitted"
