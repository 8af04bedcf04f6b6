"""Rules for numbers, memory, instability and no learning on kept logs of real trainings: the cause put in is named first, and nothing in
runs that do well."""

from __future__ import annotations

import pytest

from advisor.diagnosis.findings import Diagnosis
from tests.support import kept_logs

OURS = frozenset({"non-finite", "memory", "instability", "no learning"})
RATE = {"R25", "R26"}  # the learning rate, by how badly it shows

# A log that benchmarks/golden.py makes and the causes any of which is right; an empty set: it did well in the end, there is nothing to say.
CAUSES: dict[str, set[str]] = {
    "trouble_learning_rate_x100_0_2": RATE,
    "trouble_learning_rate_x100_one_example_at_a_time": RATE,
    "trouble_every_correction_the_wrong_way": {"R78"},
    "trouble_a_row_that_gives_nan": {"R01"},
    "trouble_a_row_that_gives_nan_one_example_at_a_time": {"R01"},
    "trouble_an_all_masked_row": set(),
    "trouble_an_all_masked_row_one_example_at_a_time": {"R01"},
    "trouble_fp16_overflow": {"R03"},
    "trouble_a_nan_in_the_base_model_s_file": {"R70"},
    "trouble_a_nan_in_the_base_model_mid_run": {"R70"},
    "trouble_a_nan_in_the_adapter_mid_run": {"R71"},
    "trouble_the_fast_attention_kernel_gives_nan": {"R04"},
    "trouble_one_nan_that_does_not_come_back": set(),
    "trouble_three_nan_that_do_not_come_back": {"R72"},
    "trouble_numbers_overflow": {"R02"},
    "trouble_wild_update": set(),
    "trouble_two_kinds_of_numbers": {"R08"},
    "trouble_trl_rate_x100": RATE,
    "learning_rate_x10": RATE,
    "learning_rate_x30": RATE,
    "learning_rate_x10_one_at_a_time": RATE,
    "learning_rate_x10_no_warmup": {"R23", *RATE},
    "learning_rate_x100_no_warmup": RATE,
    "learning_too_loud": {"R28"},
    "learning_too_loud_rslora": {"R28"},
    "learning_rate_too_low": {"R33"},
    "learning_rate_too_low_tiny": {"R33"},
    "learning_rate_nothing": {"R33"},
    "learning_too_few_updates": {"R37"},
    "learning_batch_too_large": {"R29"},
    "learning_undertrained": {"R34", "R37"},
    "learning_enough": set(),
    "learning_rank_one": set(),  # what its 4,269 tokens say has room in 38,912 weights
    "learning_questions_too": {"R43"},
    "learning_no_gradient": {"R31"},
    "learning_not_connected": {"R32"},
    "learning_wrong_parts": {"R79"},
    "learning_nothing_fits_length": {"R38"},
    "learning_most_too_long": {"R38"},
    "memory_first_update": {"R10"},
    "memory_two_soon": {"R10"},
    "memory_optimiser": {"R11"},
    "memory_optimiser_never": {"R11"},
    "memory_looking": set(),
    "memory_one_example": {"R76"},
    "memory_killed": {"R18"},
}
TOLD = {
    "learning_attention_only": "R35",
    "learning_weight_decay": "R39",
    "memory_looking": "R13",
    "trouble_one_nan_that_does_not_come_back": "R72",
    "trouble_wild_update": "R22",
}


def _ours(found: Diagnosis) -> list[str]:
    return [finding.id for finding in found.alarms if finding.group in OURS]


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_that_was_put_in_is_named_first(name: str) -> None:
    alarms = _ours(kept_logs.diagnosis(name))
    assert (alarms[0] in CAUSES[name]) if CAUSES[name] else not alarms, alarms


@pytest.mark.parametrize("name", TOLD)
def test_what_is_worth_knowing_and_no_harm_is_told_without_an_alarm(name: str) -> None:
    found = [finding for finding in kept_logs.diagnosis(name).findings if finding.id == TOLD[name]]
    assert found
    assert not found[0].alarm


@pytest.mark.parametrize("name", kept_logs.names("healthy"))
def test_a_run_that_does_well_gives_no_alarm(name: str) -> None:
    assert _ours(kept_logs.diagnosis(name)) == []


def test_all_twenty_healthy_runs_are_kept() -> None:
    assert len(kept_logs.names("healthy")) == 20


@pytest.mark.parametrize("name", ["trouble_learning_rate_x100_0_2", "trouble_trl_rate_x100", "learning_rate_x30"])
def test_a_learning_rate_many_times_too_large_is_taken_for_nothing_else(name: str) -> None:
    first = kept_logs.diagnosis(name).cause
    assert first is not None
    assert first.settings["learning_rate"] < kept_logs.case(name).asked.learning_rate / 2
    assert not {"R33", "R34", "R37", "R44"} & {finding.id for finding in kept_logs.diagnosis(name).alarms}


def test_the_update_that_was_not_finite_is_named() -> None:
    for name in kept_logs.names("trouble"):
        broken = kept_logs.case(name).signals.incidents("non_finite")
        found = [f for f in kept_logs.diagnosis(name).alarms if f.group == "non-finite"]
        if broken and found:
            assert broken[0].step in [evidence.step for finding in found for evidence in finding.evidence], name
