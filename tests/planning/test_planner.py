"""A plan must be complete, argued, within the machine, and faithful to what a person fixed."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loralab.core.errors import UserError
from loralab.core.parts import part_of
from loralab.core.words import about
from loralab.machine.hardware import Speed
from loralab.planning import duration
from loralab.planning.estimate import HEADROOM, fits, total_steps
from loralab.planning.fit import budgets
from loralab.planning.plan_checks import check_text
from loralab.planning.planner import PROVEN, USUAL_RATE, propose
from loralab.tasks import parse_plan
from loralab.tasks.text import TextPlan
from tests.support.machines import GB, examples, here, laptop, with_card

BITS = part_of("bitsandbytes").model_copy(update={"present": True, "obstacle": ""})


def codes(problems, severity=None):
    return {p.code for p in problems if severity in (None, p.severity)}


def proposed(profile=None, model="starter", machine=None, **changes):
    return propose(profile or examples(), here(model), machine or laptop(), changes)


def test_every_setting_has_a_value_and_a_reason_in_a_sentence():
    found = proposed()
    assert set(found.plan) == set(found.reasons) == set(TextPlan.model_fields)
    assert all(len(reason) > 10 and reason.endswith((".", "!")) for reason in found.reasons.values())
    assert parse_plan(found.plan)
    assert not codes(found.problems, "error")


FAST = Speed(fp32_tflops=20.0, bf16_tflops=40.0)
SLOW = Speed(fp32_tflops=0.02, bf16_tflops=0.02)
SORT = {"shape": "label", "tokens": {"p50": 30, "p90": 40, "p95": 45, "p99": 50, "max": 60, "total": 18_000, "learned": 3_000}}
SHORT = {"tokens": {"p50": 60, "p90": 70, "p95": 75, "p99": 80, "max": 90, "total": 36_000, "learned": 9_000}}


def test_numbers_that_lie_in_half_precision_and_are_learned_with_in_full_are_told():
    for width, told in ((2, True), (4, False)):
        model = here("starter").model_copy(update={"dtype_bytes": width})
        found = propose(examples(), model, laptop(), {})
        assert found.plan["precision"] == "fp32"
        assert ("half precision; they are made exact" in found.reasons["precision"]) is told


@pytest.mark.parametrize(
    ("data", "model", "updates"),
    [
        (examples(600, 30, **SORT), "starter", 270),
        (examples(600, 60, **SHORT), "starter", 340),
        (examples(600, 150), "starter", 200),
        (examples(600, 30, **SORT), "smollm2-135m", 120),
        (examples(600, 150), "qwen3-0.6b", 200),
        (examples(9000, 30, **SORT | {"tokens": {"p50": 30, "max": 60, "total": 270_000, "learned": 45_000}}), "starter", 1000),
    ],
)
def test_how_much_is_learned_is_decided_by_the_examples_and_the_model_and_by_no_clock(data, model, updates):
    plans = [proposed(data, model=model, machine=laptop(memory_free=64 * GB, speed=speed)).plan for speed in (FAST, SLOW)]
    settings = [(plan["epochs"], plan["effective_batch"], plan["max_steps"], plan["max_minutes"]) for plan in plans]
    assert settings[0] == settings[1]
    assert updates <= total_steps(TextPlan.model_validate(plans[0]), data) < 1.35 * updates + 100
    assert plans[0]["epochs"] <= 10


@pytest.mark.parametrize("n", [12, 20, 30, 45, 80, 99])
def test_few_examples_still_make_a_hundred_corrections(n):
    data = examples(n, 40)
    plan = TextPlan.model_validate(proposed(data).plan)
    assert total_steps(plan, data) >= 0.9 * min(100, 10 * data.n_train)
    assert plan.epochs <= 10


def test_a_quick_look_is_offered_where_it_saves_half_of_the_time():
    slow = laptop(speed=SLOW, memory_free=64 * GB)
    found = proposed(examples(600, 30, **SORT), machine=slow)
    assert found.quick_look is not None
    again = proposed(examples(600, 30, **SORT), machine=slow, **found.quick_look.settings)
    assert again.plan["max_steps"] == found.quick_look.settings["max_steps"] >= 20
    whole, quick = found.footprint.seconds or 0.0, again.footprint.seconds or 0.0
    assert quick < whole / 2
    assert ("about a minute" if 45 <= quick < 80 else about(quick)) in found.quick_look.words
    assert again.quick_look is None
    assert proposed(examples(600, 30, **SORT), machine=laptop(speed=FAST)).quick_look is None
    assert proposed(examples(600, 300), model="qwen3-0.6b", machine=slow).quick_look is None, "twenty updates would take an hour"


def test_what_was_best_of_a_sweep_on_a_sample_is_its_plan_and_the_person_still_decides(lab):
    entry = next(one for one in lab.samples() if one.model == "starter" and "learning_rate" in one.settings)
    own = lab.propose(entry.profile)
    assert {name: own.plan[name] for name in entry.settings} == entry.settings
    assert own.reasons["learning_rate"] == PROVEN
    assert lab.propose(entry.profile, learning_rate=1e-4).plan["learning_rate"] == 1e-4
    elsewhere = lab.propose(entry.profile.model_copy(update={"path": "mine.csv"}))
    assert elsewhere.reasons["learning_rate"] != PROVEN
    assert lab.sample_seconds(entry.name) == own.footprint.seconds


def test_few_examples_are_seen_more_often_in_smaller_steps_and_many_less():
    few, some, many = (proposed(examples(n, 30), model="smollm2-135m", machine=with_card()).plan for n in (60, 1000, 30_000))
    assert few["epochs"] > some["epochs"] > many["epochs"] == 1
    assert (few["effective_batch"], some["effective_batch"], many["effective_batch"]) == (4, 8, 16)
    assert few["dropout"] == many["dropout"] == 0
    assert total_steps(TextPlan.model_validate(few), examples(60, 30)) >= 100


def test_the_learning_rate_follows_the_size_of_the_model_and_the_loudness_of_the_adapter():
    assert proposed(model="smollm2-360m").plan["learning_rate"] == USUAL_RATE
    louder = proposed(model="smollm2-360m", alpha=128).plan
    assert louder["learning_rate"] == pytest.approx(USUAL_RATE / 4)
    assert louder["alpha"] == 128
    assert proposed(model="smollm2-360m", rank=64).plan["alpha"] == 128, "what depends on the rank follows it"
    assert proposed(model="smollm2-360m", rank=64).plan["learning_rate"] == USUAL_RATE


def test_plain_text_is_learned_whole():
    assert proposed(examples(shape="text")).plan["learn_from"] == "everything"
    assert proposed(examples()).plan["learn_from"] == "replies"


def test_length_covers_all_but_one_in_a_hundred_and_says_how_many_are_cut():
    found = proposed(examples(400, 50))
    assert found.plan["max_length"] == 256
    assert found.reasons["max_length"] == "Long enough for every example."
    cut = proposed(examples(400, 100))
    assert cut.plan["max_length"] == 448
    assert "about 4 of 400" in cut.reasons["max_length"]
    bound = proposed(examples(400, 1000))
    assert bound.plan["max_length"] <= 1024, "the starter reads no further"


@pytest.mark.parametrize(
    ("machine", "model", "precision"),
    [
        (laptop(), "smollm2-135m", "fp32"),
        (laptop(avx512_bf16=True), "smollm2-135m", "bf16"),
        (laptop(amx_bf16=True), "starter", "fp32"),
        (with_card(24), "qwen3-1.7b", "bf16"),
        (with_card(9), "mistral-7b", "nf4"),
        (laptop(optional=(BITS,)), "smollm2-135m", "fp32"),
        (laptop(optional=(BITS,), memory_free=4 * GB), "qwen3-1.7b", "nf4"),
    ],
)
def test_the_number_format_follows_machine_and_model(machine, model, precision):
    assert proposed(examples(400, 40), model=model, machine=machine).plan["precision"] == precision


def test_what_a_person_fixed_is_kept_and_marked():
    found = proposed(epochs=7, rank=4, max_length=128)
    assert (found.plan["epochs"], found.plan["rank"], found.plan["max_length"]) == (7, 4, 128)
    assert found.reasons["epochs"] == found.reasons["rank"] == "You chose this."
    assert found.reasons["learning_rate"] != "You chose this."


def test_a_setting_out_of_bounds_or_unknown_is_named():
    with pytest.raises(UserError, match="rank"):
        proposed(rank=0)
    with pytest.raises(UserError, match="speed"):
        proposed(speed=3)


def test_text_from_a_command_line_becomes_numbers():
    assert proposed(epochs="2", use_dora="true").plan["epochs"] == 2.0


def test_fewer_tokens_at_once_when_memory_is_short_and_the_update_stays_the_same():
    free, profile = int(1.7 * GB), examples(400, 60)
    tight = proposed(profile, model="smollm2-135m", machine=laptop(memory_free=free))
    roomy = proposed(profile, model="smollm2-135m", machine=laptop(memory_free=64 * GB))
    assert tight.plan["effective_batch"] == roomy.plan["effective_batch"] == 8
    less = (tight.plan["token_budget"], tight.plan["recompute"]), (roomy.plan["token_budget"], roomy.plan["recompute"])
    assert less[0] != less[1]
    assert roomy.plan["recompute"] == "none"
    assert "does_not_fit" not in codes(tight.problems)
    assert fits(tight.footprint, laptop(memory_free=free), HEADROOM)


def test_never_the_largest_budget_that_fits_but_the_smallest_near_the_best_speed():
    machine, profile, model = laptop(memory_free=500 * GB), examples(6000, 300), here("smollm2-360m")
    plan = TextPlan.model_validate(propose(profile, model, machine, {}).plan)
    times = {
        b: duration.update_seconds(plan.model_copy(update={"token_budget": b}), model, machine, profile) or 0.0
        for b in budgets(plan, profile, {})
    }
    best = min(times.values())
    assert plan.token_budget == min(b for b, seconds in times.items() if seconds <= 1.03 * best)
    assert plan.token_budget < max(times), "everything would fit here"


def test_the_mode_ladder_goes_down_as_memory_shrinks():
    profile = examples(400, 400)
    taken = [proposed(profile, model="mistral-7b", machine=with_card(free)).plan for free in (80, 22, 17, 9)]
    assert [plan["precision"] for plan in taken] == ["bf16", "bf16", "nf4", "nf4"]
    assert [plan["recompute"] for plan in taken] == ["none", "selective", "selective", "selective"]
    assert [plan["offload"] for plan in taken] == [False, True, False, True]
    assert {plan["effective_batch"] for plan in taken} == {8}


def test_a_plan_that_does_not_fit_is_refused_with_two_ways_that_do():
    profile, machine = examples(400, 400), laptop(memory_free=4 * GB)
    asked = {"micro_batch": 8, "max_length": 2048, "precision": "fp32", "token_budget": 0, "recompute": "none"}
    found = proposed(profile, model="smollm2-135m", machine=machine, **asked)
    (problem,) = [p for p in found.problems if p.code == "does_not_fit"]
    assert problem.severity == "error"
    assert problem.todo.startswith("These fit: ")
    assert len(re.findall(r"; or ", problem.todo)) == 1
    assert len(found.alternatives) == 2
    for way in found.alternatives:
        again = proposed(profile, model="smollm2-135m", machine=machine, **(asked | way.settings))
        assert "does_not_fit" not in codes(again.problems)
        assert again.plan["effective_batch"] == found.plan["effective_batch"]


def test_a_model_far_too_large_points_to_models_that_fit():
    found = proposed(model="llama-3-8b")
    (problem,) = [p for p in found.problems if p.code == "does_not_fit"]
    named = [way.settings["base_model"] for way in found.alternatives]
    assert all(name in problem.todo for name in named)
    assert len(named) == 2
    for name in named:
        assert "does_not_fit" not in codes(proposed(model=name).problems)


@pytest.mark.parametrize(
    ("profile", "settings_", "code", "severity"),
    [
        (examples(5), {}, "too_few_examples", "error"),
        (examples(20), {}, "few_examples", "warning"),
        (examples(certain=False), {}, "roles_unclear", "warning"),
        (examples(shape="text"), {"learn_from": "replies"}, "no_replies", "error"),
        (examples(mean=300), {"max_length": 128}, "mostly_cut", "warning"),
        (examples(), {"epochs": 50}, "by_heart", "warning"),
        (examples(), {"effective_batch": 400}, "few_updates", "warning"),
        (examples(), {"learning_rate": 0.1}, "rate_high", "warning"),
        (examples(), {"targets": "all linear!"}, "bad_targets", "error"),
        (examples(), {"micro_batch": 16, "effective_batch": 4}, "micro_over_effective", "warning"),
        (examples(), {"precision": "nf4"}, "squeezed_needs_bitsandbytes", "error"),
        (examples(), {"optimizer": "paged_adamw_8bit"}, "optimiser_needs_bitsandbytes", "error"),
        (examples(), {"precision": "fp16"}, "fp16_on_cpu", "warning"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_go_wrong_is_said_before_the_start(profile, settings_, code, severity):
    found = proposed(profile, **settings_)
    assert code in codes(found.problems, severity), found.problems
    assert code not in codes(proposed(examples()).problems), "and not when all is well"


def test_the_machine_has_its_say():
    assert "squeezed_needs_bitsandbytes" in codes(proposed(machine=with_card(bits=False), precision="nf4").problems)
    apple = laptop(apple_gpu="M2", optional=(BITS,))
    assert "squeezed_not_here" in codes(proposed(machine=apple, precision="int8").problems, "error")
    slow = laptop(optional=(BITS,))
    assert not codes(proposed(machine=slow, precision="nf4").problems, "error")
    assert "compute_slow" in codes(proposed(machine=slow, precision="nf4", compute="bf16").problems, "warning")
    assert "torch_without_cuda" in codes(proposed(machine=with_card(torch_cuda="")).problems)
    assert "disk_full" in codes(proposed(machine=laptop(disk_free=1000)).problems, "error")
    assert "takes_long" in codes(proposed(examples(50_000, 300), model="llama-3.2-1b", machine=laptop(memory_free=64 * GB)).problems)


def test_a_plan_is_checked_without_data_too():
    assert check_text(TextPlan(), None) == []


def test_an_absent_model_can_be_planned_with_and_says_what_is_missing(home):
    from loralab.models.catalog import Catalog

    found = propose(examples(), Catalog(home).check("gpt2"), laptop(), {})
    assert codes(found.problems, "error") == {"not_downloaded"}
    assert found.footprint.memory_bytes > 0
    unknown = propose(examples(), Catalog(home).check("some/model"), laptop(), {})
    assert unknown.footprint.stage == "unknown"
    assert unknown.plan["learning_rate"] == USUAL_RATE


FIXED = st.fixed_dictionaries(
    {},
    optional={
        "max_length": st.sampled_from([64, 512, 2048]),
        "micro_batch": st.integers(1, 16),
        "token_budget": st.sampled_from([0, 500, 8000]),
        "recompute": st.sampled_from(["none", "selective", "full"]),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "rank": st.sampled_from([8, 64]),
    },
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(1, 200_000),
    mean=st.integers(1, 5000),
    memory=st.integers(1, 120),
    model=st.sampled_from(["starter", "gpt2", "qwen3-0.6b", "llama-3-8b"]),
    card=st.booleans(),
    fixed=FIXED,
)
def test_any_plan_on_any_machine_fits_or_is_refused_with_plans_that_fit(n, mean, memory, model, card, fixed):
    machine, profile = with_card(memory) if card else laptop(memory_free=memory * GB), examples(n, mean)
    found = propose(profile, here(model), machine, fixed)
    plan = parse_plan(found.plan)
    assert {name: found.plan[name] for name in fixed} == fixed, "what a person fixed is kept"
    refused = "does_not_fit" in codes(found.problems, "error")
    assert fits(found.footprint, machine) != refused
    assert bool(found.alternatives) <= refused
    assert len(found.alternatives) <= 2
    if not fixed:
        assert plan.micro_batch <= plan.effective_batch
    for way in (one.settings for one in found.alternatives):
        assert "effective_batch" not in way
        other = {name: value for name, value in (fixed | way).items() if name != "base_model"}
        again = propose(profile, here(way.get("base_model", model)), machine, other)
        assert "does_not_fit" not in codes(again.problems)
