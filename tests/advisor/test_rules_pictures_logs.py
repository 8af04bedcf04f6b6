"""Rules on kept logs of real trainings on pictures: the cause put in is named first, and nothing above a hint in runs that do well."""

from __future__ import annotations

import pytest

from benchmarks.golden_pictures import LOGS, SHAPES
from tests.support import kept_logs

# A log that benchmarks/golden_pictures.py makes, and the cause that was put in
CAUSES = {
    "pictures_rate_too_high": "diverged",
    "pictures_shuffled": "cannot_be_told",
    "pictures_shortcut": "shortcut",
    "pictures_always_one": "always_the_same",
    "pictures_tiny": "tiny_things",
    "pictures_few_of_a_class": "few_of_a_class",
    "pictures_too_small": "looked_at_too_small",
    "pictures_mirrored": "turned_labels",
    "pictures_headless": "not_saved_whole",
}
NAMED = {"pictures_moved": "eyes_moved", "pictures_leak": "put_aside", "pictures_wrong_labels": "likely_wrong_labels"}  # among others
HEALTHY = tuple(log.name for log in LOGS if "healthy" in log.name)


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_that_was_put_in_is_named_first(name: str) -> None:
    cause = kept_logs.diagnosis(name).cause
    assert cause is not None
    assert cause.rule == CAUSES[name]


@pytest.mark.parametrize("name", NAMED)
def test_what_was_put_in_is_among_what_is_named(name: str) -> None:
    assert NAMED[name] in {finding.rule for finding in kept_logs.diagnosis(name).findings}


@pytest.mark.parametrize("rule", sorted({*CAUSES.values(), *NAMED.values()} - {"diverged"}))
def test_no_rule_speaks_of_a_fault_that_was_not_put_in(rule: str) -> None:
    """Of the runs that do well, and of those with another fault; some faults bring a second with them."""
    own = {name for name, cause in (CAUSES | NAMED).items() if cause == rule}
    own |= {"not_saved_whole": {"pictures_moved"}, "cannot_be_told": {"pictures_always_one"}}.get(rule, set())
    for name in kept_logs.names("pictures_"):
        told = {finding.rule for finding in kept_logs.diagnosis(name).findings if finding.severity != "info"}
        assert rule not in told or name in own, name


def test_a_head_that_is_not_in_the_file_is_told_from_other_faults_of_saving() -> None:
    lost, moved = (kept_logs.diagnosis(f"pictures_{name}").findings[0] for name in ("headless", "moved"))
    assert "The part that answers is not in the file." in lost.words
    assert "not in the file" not in moved.words


def test_copies_between_learning_and_test_do_not_count_as_learned_and_tested() -> None:
    facts = kept_logs.case("pictures_leak").facts
    assert facts is not None
    assert (facts.near_shared, facts.apart) == (0, 12)


@pytest.mark.parametrize("name", [*HEALTHY, "pictures_short"])
def test_nothing_above_a_hint_is_said_of_a_run_that_does_well(name: str) -> None:
    case, found = kept_logs.case(name), kept_logs.diagnosis(name)
    assert case.view is not None
    assert case.view.state == "finished"
    assert case.judged["tables"], "the verdict's tables are kept with the log"
    assert [(finding.rule, finding.words) for finding in found.findings if finding.severity != "info"] == []


def test_each_kind_of_training_on_pictures_has_a_healthy_log() -> None:
    assert {kept_logs.case(name).plan.task for name in HEALTHY} == {"classify", "segment", "detect"}


def test_pictures_in_the_wrong_folder_are_named_and_no_others() -> None:
    case = kept_logs.case("pictures_wrong_labels")
    found = next(finding for finding in kept_logs.diagnosis("pictures_wrong_labels").findings if finding.rule == "likely_wrong_labels")
    misfiled = {
        row["row"]
        for row in case.judged["rows"]["accuracy"]
        if row["label"] != SHAPES[int(row["media"].rpartition("/")[2].partition(".")[0]) // 60]  # sixty of each, numbered in that order
    }
    assert set(found.evidence[0].rows) == misfiled
    assert len(misfiled) >= 2


def test_a_rate_that_ran_away_is_tried_again_with_what_the_run_came_to() -> None:
    cause = kept_logs.diagnosis("pictures_rate_too_high").cause
    assert cause is not None
    assert cause.settings["learning_rate"] <= kept_logs.case("pictures_rate_too_high").plan.learning_rate
    assert cause.action == "retry"


def test_facts_and_plan_of_a_kept_log_are_of_pictures() -> None:
    for name in kept_logs.names("pictures_"):
        case = kept_logs.case(name)
        assert case.facts is not None, name
        assert case.facts.unit == "pixels"
        assert case.facts.of_class
        assert case.facts.sides
