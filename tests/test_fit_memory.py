"""What past runs taught corrects the next estimate, never by much, and margins are only read from runs enough."""

from __future__ import annotations

import pytest

from loralab.estimate import MARGINS, device, footprint, stage_words
from loralab.experience import CAP, Experience, correction, key, margin, usual_error
from loralab.hardware import Speed
from loralab.memory_modes import host_bytes, optimiser, parts
from loralab.tasks.text import TextPlan
from tests.machines import examples, here, laptop, with_card


def test_too_few_runs_change_nothing_and_one_odd_run_hardly_anything():
    assert correction([]) == correction([1.4, 1.4]) == 1.0
    assert correction([1.02, 1.03, 9.0]) == 1.03
    assert correction([3.0] * 30) == 1 + CAP
    assert correction([0.1] * 30) == 1 - CAP


def test_a_quantile_takes_nine_runs_for_ninety_and_nineteen_for_ninety_five_per_cent():
    assert margin([1.5] * 8, 1.08) == 1.08, "eight runs have not shown what nine of ten stay below"
    rising = [1 + n / 100 for n in range(9)]
    assert margin(rising, 1.08) == pytest.approx(1.08 / 1.04), "of nine runs the largest, over the middle"
    many = [1 + n / 100 for n in range(39)]
    assert margin(many, 1.08) == pytest.approx(1.37 / 1.15), "of 39 runs the last but one: 95 % of 40"


def test_the_usual_error_is_told_when_there_are_runs():
    assert usual_error([1.1, 0.9]) is None
    assert usual_error([1.0, 1.1, 0.8, 1.05, 3.0]) == pytest.approx(0.2)


def test_runs_like_this_one_correct_the_number_and_say_so_and_others_do_not():
    plan, model, data = TextPlan(base_model="starter"), here("starter"), examples()
    bare = footprint(plan, model, laptop(), data)
    taught = key(device(laptop()), model.architecture, plan)
    past = laptop(speed=Speed(past=Experience(memory={taught: (1.1,) * 20})))
    found = footprint(plan, model, past, data)
    assert found.memory_bytes == pytest.approx(1.1 * bare.memory_bytes, rel=1e-6)
    assert found.careful_bytes == pytest.approx(found.memory_bytes, rel=1e-6), "twenty runs alike leave no margin"
    assert "20 runs" in stage_words(found)
    other = footprint(plan.model_copy(update={"recompute": "full"}), model, past, data)
    assert other.runs == 0
    assert other.careful_bytes == int(other.memory_bytes * MARGINS["closed form"])


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
            parts(TextPlan(attention=kind, max_length=row, micro_batch=1), here("starter"), laptop(), None) for kind in ("eager", "sdpa")
        ]
        return both[0]["activations"] - both[1]["activations"]

    assert attention(1024) == pytest.approx(4 * attention(512), rel=0.01)
