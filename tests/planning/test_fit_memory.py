"""What past runs taught corrects the next estimate, never by much, and margins are only read from runs enough; memory modes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loralab.core.records import Footprint, Predicted
from loralab.core.words import size
from loralab.planning.calibration import CAP, Experience, correction, error_words, key, margin, usual_error
from loralab.planning.estimate import MARGINS, device, disk_words, footprint, stage_words
from loralab.planning.memory import host_bytes, optimiser, parts
from loralab.tasks.text import TextPlan
from tests.support.machines import examples, here, laptop, with_card


def test_too_few_runs_change_nothing_and_one_odd_run_hardly_anything():
    assert correction([]) == correction([1.4, 1.4]) == 1.0
    assert correction([1.02, 1.03, 9.0]) == 1.03
    assert correction([3.0] * 30) == 1 + CAP
    assert correction([0.1] * 30) == 1 - CAP


def test_a_quantile_takes_nine_runs_for_ninety_and_nineteen_for_ninety_five_per_cent():
    assert margin([1.5] * 8, 1.08) == 1.08, "eight runs have not shown what nine of ten stay below"
    rising = [1 + n / 100 for n in range(9)]
    assert margin(rising, 1.08) == pytest.approx(1.08 / 1.04), "of nine runs the largest, over the middle"
    many = [1 + n / 200 for n in range(39)]
    assert margin(many, 1.08) == pytest.approx(1.185 / 1.095), "of 39 runs the last but one: 95 % of 40"
    assert margin([1.0] * 8 + [9.0], 1.08) == pytest.approx(1.08 * (1 + CAP)), "one odd run among few does not keep the next from starting"


def test_the_usual_error_is_what_is_left_after_the_correction_and_is_told_when_there_are_runs():
    assert usual_error([1.1, 0.9]) is None
    assert usual_error([1.1, 1.1, 1.1]) == 0.0
    assert usual_error([1.0, 1.1, 0.8, 1.05, 3.0]) == pytest.approx(1 - 0.8 / 1.05)
    assert [error_words(off) for off in (None, 0.0, 0.11, 0.2, 3.0)] == [
        "",
        "usually within 5 %",
        "usually within 15 %",
        "usually within 20 %",
        "a rough guess",
    ]


PLAN, MODEL, DATA = TextPlan(base_model="starter"), here("starter"), examples()
TAUGHT = key(device(laptop()), MODEL.architecture, PLAN)


def after(step=(), process=(), plan=PLAN, **changes):
    """The footprint on a laptop with such a past."""
    past = Experience(memory={f"closed form | {TAUGHT}": step}, process={"cpu": process}, **changes)
    return footprint(plan, MODEL, laptop(), DATA, past=past)


def test_without_past_runs_nothing_changes():
    assert after() == footprint(PLAN, MODEL, laptop(), DATA)


def predicted(needs: Footprint) -> Predicted:
    """What was said before any correction."""
    assert needs.predicted is not None
    return needs.predicted


def test_runs_like_this_one_correct_the_number_and_say_so_and_others_do_not():
    bare, found = after(), after((1.1,) * 20, (0.9,) * 20)
    said = predicted(bare)
    assert found.predicted == said, "what is remembered is never corrected, or corrections would feed on themselves"
    assert found.memory_bytes == pytest.approx(said.weights + 1.1 * said.step["closed form"] + 0.9 * said.process, rel=1e-6)
    assert found.upper_bytes == pytest.approx(found.memory_bytes, rel=1e-6), "twenty runs alike leave no margin"
    assert stage_words(found) == "Corrected by 20 runs measured on this computer; usually within 5 %."
    other = PLAN.model_copy(update={"recompute": "full"})
    assert after((1.1,) * 20, plan=other).runs == 0
    assert after((1.1,) * 20, plan=other).upper_bytes == int(after(plan=other).memory_bytes * MARGINS["closed form"])


def test_the_weights_of_a_model_are_never_corrected_by_what_small_ones_taught():
    large, plan = here("smollm2-135m"), PLAN.model_copy(update={"base_model": "smollm2-135m"})
    tiny_process = Experience(process={"cpu": (0.1,) * 30})
    bare, found = footprint(plan, large, laptop(), DATA), footprint(plan, large, laptop(), DATA, past=tiny_process)
    assert bare.parts["weights"] == found.parts["weights"]
    assert bare.memory_bytes - found.memory_bytes == pytest.approx(CAP * predicted(bare).process, abs=10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 100.0), max_size=40), st.floats(0.001, 1000.0))
def test_no_past_and_no_odd_run_moves_a_number_beyond_the_cap(ratios, odd):
    bare = after()
    for past in (tuple(ratios), (odd, *ratios)):
        found = after(past, past)
        assert abs(found.memory_bytes / bare.memory_bytes - 1) <= CAP + 1e-6
        assert found.upper_bytes <= bare.memory_bytes * (1 + CAP) * MARGINS["closed form"] * (1 + CAP) + 10
        assert sum(found.parts.values()) == found.memory_bytes


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.9, 1.1), min_size=5, max_size=30), st.floats(0.001, 1000.0))
def test_one_odd_run_among_steady_ones_moves_nothing_beyond_what_they_say(steady, odd):
    assert min(steady) <= correction([odd, *steady]) <= max(steady)


@pytest.mark.parametrize("truth", [0.88, 1.0, 1.12])
def test_a_simulated_history_brings_the_number_to_what_is_measured(truth):
    draw = random.Random(7)
    past: list[float] = []
    whole = predicted(after())
    for run in range(12):
        found = after(tuple(past), tuple(past))
        true = whole.weights + truth * (whole.step["closed form"] + whole.process)
        if run >= 6:
            assert found.memory_bytes == pytest.approx(true, rel=0.03)
            assert found.runs == run
        past.insert(0, truth * draw.gauss(1, 0.01))


def test_time_learns_what_start_and_judgement_take_and_tells_its_error():
    bare = after()
    assert bare.seconds
    pace = f"cpu | {predicted(bare).pace}"
    found = after(seconds={pace: (1.1, 1.1, 1.05, 1.1)}, beside={"starter": (20.0, 20.0, 20.0)})
    training = predicted(bare).seconds or 0.0
    assert training < bare.seconds
    assert found.seconds == pytest.approx(1.1 * training + 20.0)
    assert predicted(found).seconds == training
    assert "(usually within 5 %)" in found.words
    assert "usually" not in bare.words
    assert "a rough guess" in after(seconds={pace: (1.0, 3.0, 0.2)}, beside={"starter": (20.0,) * 3}).words


def test_disk_is_corrected_too_and_the_download_of_a_model_is_not():
    bare, found = after(), after(disk=(0.5, 0.9, 0.9))
    assert found.disk_bytes == pytest.approx(0.9 * bare.disk_bytes, rel=1e-6)
    assert found.disk_error == pytest.approx(1 - 0.5 / 0.9)
    assert disk_words(bare) == f"Fills about {size(bare.disk_bytes)} of disk."
    assert "usually within 45 %" in disk_words(found)
    entry = here("smollm2-135m").entry
    assert entry is not None
    absent = MODEL.model_copy(update={"present": False, "entry": entry})
    past = Experience(disk=(0.9,) * 3)
    fetched = footprint(PLAN, absent, laptop(), DATA, past=past).disk_bytes - found.disk_bytes
    assert fetched == entry.download_bytes


def test_each_memory_mode_takes_less_than_the_one_before():
    model, data, card = here("llama-3.2-1b"), examples(mean=300), with_card(24)
    modes = [{}, {"recompute": "selective"}, {"recompute": "full"}, {"recompute": "full", "offload": True}]
    needs = [
        footprint(TextPlan.model_validate({"precision": "bf16", "max_length": 1024} | m), model, card, data).memory_bytes for m in modes
    ]
    assert needs == sorted(needs, reverse=True)
    assert len(set(needs)) == len(needs)
    assert optimiser(TextPlan(optimizer="adamw_8bit"), 1_000_000) < 0.3 * optimiser(TextPlan(), 1_000_000)


def test_offloading_fills_main_memory_and_does_nothing_on_a_processor():
    model, data, plan = here("llama-3.2-1b"), examples(mean=300), TextPlan(offload=True, max_length=1024)
    assert host_bytes(plan, model, with_card(24), data) > 1e9
    assert host_bytes(plan, model, laptop(), data) == 0
    kept = plan.model_copy(update={"offload": False})
    assert parts(plan, model, laptop(), data) == parts(kept, model, laptop(), data)


def test_plain_attention_costs_the_square_of_the_length():
    def attention(row: int) -> int:
        both = [
            parts(TextPlan(attention=kind, max_length=row, micro_batch=1, dropout=0.1), here("starter"), laptop(), None)
            for kind in ("eager", "sdpa")  # with dropout, because blocks by hand keep less of all else
        ]
        return both[0]["activations"] - both[1]["activations"]

    assert attention(1024) == pytest.approx(4 * attention(512), rel=0.01)
