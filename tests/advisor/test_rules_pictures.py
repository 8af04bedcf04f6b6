"""Rules for pictures, each beside a neighbour in which it must stay silent; how numbers are told, and what a way out changes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from advisor.rules import rules
from advisor.rules.pictures.turned_labels import clashes
from advisor.tasks import PICTURE_TASKS
from loralab.core.records import DatasetProfile
from loralab.datasets.fixes import OPERATIONS
from tests.support.picture_cases import done, facts, final, incident, judged, planned, ran, rows
from tests.support.spoiled import ended, found

FALLING = [0.6 * 0.97**n for n in range(60)]
FLAT = [0.5 - 0.0001 * n for n in range(60)]
SEEN = [0.5, 0.4, 0.35, 0.33, 0.32, 0.32]
BETTER = (0.8, 0.9, "better")
SAME = (0.88, 0.89, "no difference seen")
PROFILE = DatasetProfile(id="", name="a", path="pictures.zip", shape="classes", n_read=100, n_kept=100, task="classify")


def sorted_as(said: list[tuple[str, int, int]]) -> list[dict[str, object]]:
    """The table of classes: label, how many there are, how many are said."""
    return [{"label": label, "n": n, "found": min(n, times), "said": times} for label, n, times in said]


ALL_CATS, BOTH = sorted_as([("cat", 20, 40), ("dog", 20, 0)]), sorted_as([("cat", 20, 22), ("dog", 20, 18)])
CAPPED = final("classify", 0.5, 0.9, capped="Most are copies.")

# rule -> (a case in which it speaks, one in which it must not)
CASES: dict[str, tuple[Case, Case]] = {
    "few_of_a_class": (planned(known=facts(of_class={"cat": 50, "dog": 1})), planned(known=facts(of_class={"cat": 50, "dog": 15}))),
    "uneven_classes": (
        planned(known=facts(of_class={"cat": 300, "dog": 30}), class_weights="none"),
        planned(known=facts(of_class={"cat": 300, "dog": 30})),
    ),
    "tiny_things": (planned("detect", facts(tiny=80, small_side=0.015)), planned("detect", facts(tiny=4))),
    "looked_at_too_small": (
        ran(*done()[:1], final("classify", 0.5, 0.7, usable="partly"), *done()[1:], losses=FALLING, looks=SEEN),
        ran(*done()[:1], final("classify", 0.5, 0.95), *done()[1:], losses=FALLING, looks=SEEN),
    ),
    "enlarged": (planned(known=facts(sides={"p50": 32})), planned(known=facts(sides={"p50": 90}))),
    "turned_labels": (
        planned(known=facts(of_class={"turn left": 50, "turn right": 50})),
        planned(known=facts(of_class={"turn left": 50, "turn right": 50}), augmentation="xray"),
    ),
    "mirrored": (planned(known=facts(medical=True)), planned(known=facts(medical=True), augmentation="xray")),
    "on_both_sides": (planned(known=facts(group_shared=6)), planned(known=facts(group_shared=0))),
    "put_aside": (planned(known=facts(apart=1)), planned(known=facts(apart=0))),
    "shortcut": (
        planned(known=facts(shortcuts=("The brightness alone tells the classes apart: AUC 0.93, where 0.5 is chance and 1 is always.",))),
        planned(),
    ),
    "odd_masks": (planned("segment", facts(blank=60)), planned("segment", facts(blank=40))),
    "seldom_marked": (
        planned("segment", facts(n_train=400, of_class={"vein": 20, "leaf": 380})),
        planned("segment", facts(n_train=400, of_class={"vein": 60, "leaf": 380})),
    ),
    "two_classes": (planned(known=facts(two_classes=8)), planned(known=facts(two_classes=0))),
    "few_to_choose_by": (planned(known=facts(n_watched=4)), planned(known=facts(n_watched=8))),
    "rate_far_off": (planned(learning_rate=0.1), planned(learning_rate=3e-3)),
    "quick_look_lost": (
        ran(*done(), losses=FALLING, looks=[0.9, 0.8, 0.75, 0.7], judged=judged(probe=(0.9, 0.85, "no difference seen"))),
        ran(*done(), losses=FALLING, looks=[0.9, 0.8, 0.75, 0.7], judged=judged(probe=BETTER)),
    ),
    "nothing_beyond_quick_look": (
        ran(*done(), losses=FALLING, looks=SEEN, judged=judged(probe=SAME)),
        ran(*done(), losses=FALLING, looks=SEEN, judged=judged(probe=BETTER)),
    ),
    "always_the_same": (
        ran(*done(), losses=FALLING, looks=SEEN, judged=judged(per_class=ALL_CATS)),
        ran(*done(), losses=FALLING, looks=SEEN, judged=judged(per_class=BOTH)),
    ),
    "likely_wrong_labels": (
        ran(
            final("classify", 0.5, 0.9),
            *done(),
            losses=FALLING,
            judged=judged(rows=rows(40, [(0.97, "dog"), (0.99, "dog"), (0.93, "dog")])),
        ),
        ran(final("classify", 0.5, 0.9), *done(), losses=FALLING, judged=judged(rows=rows(40, [(0.97, "cat"), (0.6, "dog")]))),
    ),
    "pictures_by_heart": (
        ran(*done(), losses=FALLING, looks=[0.5, 0.4, 0.5, 0.55, 0.6]),
        ran(*done(), losses=FALLING, looks=[0.5, 0.4, 0.38, 0.39, 0.39]),
    ),
    "still_getting_better": (
        ran(*done(), losses=FALLING, looks=[0.58, 0.5, 0.42, 0.35, 0.28, 0.2]),
        ran(*done(), losses=FALLING, looks=[0.4, 0.3, 0.25, 0.249, 0.2485, 0.248]),
    ),
    "hardly_trained": (
        ran(final("classify", 0.5, 0.6, usable="partly"), *done(), losses=FALLING[:2], looks=[0.5], max_steps=2),
        ran(final("classify", 0.5, 0.9), *done(), losses=FALLING[:2], looks=[0.5], max_steps=2),
    ),
    "cannot_be_told": (
        ran(
            final("classify", 0.5, 0.5, learned="no", usable="no"),
            *done(),
            losses=FLAT,
            looks=[0.69] * 4,
            base=0.7,
            judged=judged(rows=rows(40)),
        ),
        ran(final("classify", 0.5, 0.9), *done(), losses=FALLING, looks=SEEN, judged=judged(rows=rows(40))),
    ),
    "not_saved_whole": (
        ran(incident("reload_differs", difference=0.4, missing=["head.weight"]), *done(), losses=FALLING),
        ran(incident("reload_differs", difference=1e-6), *done(), losses=FALLING),
    ),
    "eyes_moved": (
        ran(incident("base_moved", names=["blocks.0.bn.running_mean"]), *done(), losses=FALLING),
        ran(incident("rolled_back"), *done(), losses=FALLING),
    ),
    "picture_too_large": (ran(ended("does_not_fit", "stopped"), losses=FALLING), ran(ended("", "stopped"), losses=FALLING)),
}


def test_each_rule_on_pictures_alone_has_a_case() -> None:
    ours = {name for name, rule in rules().items() if rule.tasks is not None and rule.tasks <= PICTURE_TASKS}
    assert ours == CASES.keys()
    assert len(ours) >= 12


@pytest.mark.parametrize("rule", CASES)
def test_it_is_found_with_its_evidence_and_a_way_out(rule: str) -> None:
    case = CASES[rule][0]
    told = found(case, rule)
    assert told is not None
    assert told.evidence
    assert told.words
    assert told.fixes
    for fix in told.fixes:
        type(case.plan).model_validate(case.plan.model_dump() | fix.settings)  # within bounds, each a setting there is
        assert fix.data not in OPERATIONS, "what is done with files of text cannot be done with pictures"


@pytest.mark.parametrize("rule", CASES)
def test_its_neighbour_is_left_alone(rule: str) -> None:
    assert found(CASES[rule][1], rule) is None


@pytest.mark.parametrize("task", sorted(PICTURE_TASKS))
def test_nothing_is_said_of_a_usual_plan(task: str) -> None:
    assert diagnose(planned(task)).findings == ()


@pytest.mark.parametrize("rule", CASES)
def test_a_way_out_leads_out(rule: str) -> None:
    """With what the first way out sets, the same rule is silent before the run, where it needs no run to speak."""
    case = CASES[rule][0]
    told = found(case, rule)
    assert told is not None
    if case.view is not None or not told.settings:
        return
    plan = case.plan.model_copy(update=told.settings)
    again = replace(case, plan=plan, asked=plan)
    if rule == "tiny_things" and again.facts is not None:  # they are counted anew for another size
        again = replace(again, facts=again.facts.model_copy(update={"tiny": 20}))
    assert found(again, rule) is None or rule == "few_of_a_class"


@pytest.mark.parametrize("rule", CASES)
def test_each_number_that_is_told_is_in_the_evidence(rule: str) -> None:
    told = found(CASES[rule][0], rule)
    assert told is not None
    known = " ".join(evidence.words for evidence in told.evidence).replace(",", "")
    settings = [f"{value:g}" for fix in told.fixes for value in fix.settings.values() if isinstance(value, int | float)]
    for number in re.findall(r"(?<![\w“/])\d[\d,]*(?:\.\d+)?", told.words):
        value = float(number.replace(",", ""))
        assert any(abs(value - float(one)) <= 0.05 * max(1.0, abs(value)) for one in re.findall(r"\d+(?:\.\d+)?", known)) or (
            f"{value:g}" in settings or number in ("1", "8", "15", "0.5")
        ), (number, told.words, known)


# ---- words -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"cat": 50, "dog": 1}, "1 class has fewer than 8 pictures to learn from: “dog” (1)."),
        ({"cat": 0, "dog": 2}, "2 classes have fewer than 8 pictures to learn from: “cat” (0) and “dog” (2)."),
        ({"cat": 50, "dog": 12}, "1 class has fewer than 15 pictures to learn from: “dog” (12)."),
    ],
)
def test_counts_of_a_class_read_right(counts: dict[str, int], said: str) -> None:
    told = found(planned(known=facts(of_class=counts)), "few_of_a_class")
    assert told is not None
    assert told.words == said


def test_one_more_picture_is_asked_for_in_the_singular() -> None:
    told = found(planned(known=facts(of_class={"cat": 50, "dog": 14})), "few_of_a_class")
    assert told is not None
    assert told.fixes[0].words == "Add at least 1 more picture of “dog”."
    assert told.severity == "info"


def test_boxes_are_counted_in_boxes() -> None:
    told = found(planned("detect", facts(of_class={"cell": 400, "platelet": 3})), "few_of_a_class")
    assert told is not None
    assert "fewer than 8 boxes to learn from: “platelet” (3)" in told.words


def test_a_larger_picture_size_says_what_it_costs() -> None:
    told = found(CASES["tiny_things"][0], "tiny_things")
    assert told is not None
    assert told.settings == {"image_size": 544}  # 8 pixels by 0.015 of the longer side, to the next multiple of 32
    assert told.fixes[0].words == "Use a picture size of 544 pixels; it takes about 1.7 times as long."
    after = found(CASES["looked_at_too_small"][0], "looked_at_too_small")
    assert after is not None
    assert after.settings == {"image_size": 352}
    assert "this run took about 5 minutes" in after.fixes[0].words


def test_things_too_small_for_any_size_are_to_be_cut_out() -> None:
    told = found(planned("detect", facts(tiny=150, small_side=0.002)), "tiny_things")
    assert told is not None
    assert [fix.settings for fix in told.fixes] == [{}]
    assert "pieces" in told.fixes[0].words


def test_a_size_far_below_the_pictures_own_is_told_before_a_run_only_where_nobody_would_propose_it() -> None:
    assert found(planned(known=facts(sides={"p50": 4000})), "looked_at_too_small") is None
    told = found(planned(known=facts(sides={"p50": 4000}), image_size=64), "looked_at_too_small")
    assert told is not None
    assert told.settings == {"image_size": 96}


# ---- directions --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("labels", "augmentation", "pairs"),
    [
        (["left", "right"], "photo", 1),
        (["left", "right"], "none", 0),
        (["left", "right"], "xray", 0),
        (["arrow_left", "arrow_right", "arrow_up", "arrow_down"], "photo", 1),
        (["arrow_left", "arrow_right", "arrow_up", "arrow_down"], "microscope", 2),
        (["Pfeil links", "Pfeil rechts"], "photo", 1),
        (["gauche", "droite"], "photo", 1),
        ([*"0123456789"], "microscope", 1),
        ([*"abcd"], "photo", 1),
        (["clockwise", "counter-clockwise"], "photo", 1),
        (["right", "wrong"], "photo", 0),
        (["cat", "dog"], "microscope", 0),
        (["north wind", "south pole", "cat"], "microscope", 0),
        (["hand_left", "foot_right", "hand_right"], "photo", 1),
    ],
)
def test_classes_that_are_each_others_mirror_image(labels: list[str], augmentation: str, pairs: int) -> None:
    assert len(clashes(labels, augmentation)) == pairs


def test_digits_that_are_mirrored_are_told_though_none_becomes_another() -> None:
    told = found(planned(known=facts(of_class=dict.fromkeys("0123456789", 50))), "turned_labels")
    assert told is not None
    assert told.settings == {"augmentation": "xray"}
    assert told.alarm


def test_names_of_x_rays_are_told_and_are_no_alarm() -> None:
    told = found(planned(known=facts(of_class={"normal": 50, "pneumonia": 50})), "mirrored")
    assert told is not None
    assert told.severity == "info"
    one_sided = found(planned(profile=PROFILE.model_copy(update={"views": "xray"})), "mirrored")
    assert one_sided is not None
    assert one_sided.alarm
    assert found(planned(profile=PROFILE.model_copy(update={"views": "photo"})), "mirrored") is None


# ---- curves and verdicts -----------------------------------------------------------------------------------------------------
def test_a_rate_far_too_high_is_one_cause_with_one_name() -> None:
    case = ran(
        *done(), losses=[2.0, 5.0, 3.0, 2.5] * 15, looks=[3.0, 2.0, 1.5, 1.2], learning_rate=0.3, judged=judged(probe=(0.9, 0.5, "worse"))
    )
    told = diagnose(case)
    assert told.cause is not None
    assert told.cause.rule in ("rate_far_off", "diverged")
    assert told.cause.settings["learning_rate"] <= 3e-3
    assert found(case, "quick_look_lost") is None


def test_a_run_that_the_guard_took_back_is_tried_again_gentler() -> None:
    away = incident("diverged", "The training ran away.", heldout=5.0, start=0.6)
    told = found(ran(away, ended("diverged"), losses=[0.6, 3.0, 5.0] * 5, learning_rate=0.02), "diverged")
    assert told is not None
    assert told.action == "retry"
    assert told.settings["learning_rate"] < 0.02


def test_whatever_is_shown_nothing_is_found() -> None:
    empty = final("detect", 0.0, 0.0, learned="no", usable="no", alarm="empty")
    told = found(ran(empty, *done(), task="detect", losses=FALLING, judged=judged("detect", rows=rows(9))), "always_the_same")
    assert told is not None
    assert told.words == "It finds nothing, in any picture."
    assert found(ran(final("detect", 0.0, 0.6), *done(), task="detect", losses=FALLING), "always_the_same") is None


def test_one_answer_is_right_where_nearly_all_pictures_are_of_one_class() -> None:
    mostly = sorted_as([("cat", 38, 40), ("dog", 2, 0)])
    assert found(ran(*done(), losses=FALLING, judged=judged(per_class=mostly)), "always_the_same") is None


def test_likely_wrong_labels_are_listed_the_surest_first() -> None:
    told = found(CASES["likely_wrong_labels"][0], "likely_wrong_labels")
    assert told is not None
    assert told.evidence[0].rows == (2, 1, 3)
    assert told.evidence[1].words == "cat/1.png: its folder says “cat”, it sees “dog”: 99 %"
    assert told.words.startswith("3 of 40 held-out pictures seem to be in the wrong class")
    assert told.alarm
    one = found(
        ran(final("classify", 0.5, 0.9), *done(), losses=FALLING, judged=judged(rows=rows(40, [(0.97, "dog")]))), "likely_wrong_labels"
    )
    assert one is not None
    assert "1 of 40 held-out pictures seems to be in the wrong class" in one.words
    assert not one.alarm


def test_a_model_that_is_often_wrong_is_no_judge_of_labels() -> None:
    poor = ran(final("classify", 0.5, 0.6), *done(), losses=FALLING, judged=judged(rows=rows(40, [(0.97, "dog")] * 4)))
    assert found(poor, "likely_wrong_labels") is None


def test_the_head_that_is_missing_is_named() -> None:
    told = found(CASES["not_saved_whole"][0], "not_saved_whole")
    assert told is not None
    assert "The part that answers is not in the file." in told.words
    assert told.severity == "error"


def test_a_verdict_that_is_capped_is_surer_of_the_leak() -> None:
    told = found(ran(CAPPED, *done(), losses=FALLING, known=facts(near_shared=30)), "on_both_sides")
    assert told is not None
    assert told.confidence == 0.9


# ---- rules for every kind of training ----------------------------------------------------------------------------------------
def test_memory_is_told_in_pixels_and_asks_for_no_setting_that_pictures_do_not_have() -> None:
    full = incident(
        "out_of_memory", "2 examples of update 4 (300,000 pixels) did not fit into memory.", cost=300_000, rows=[1, 2], unit="pixels"
    )
    case = ran(full, full, *done(), losses=FALLING, token_budget=300_000)
    told = found(case, "too_many_at_once")
    assert told is not None
    assert "300,000 pixels at once did not fit" in told.words
    assert told.settings == {"token_budget": 240_000}
    killed = found(ran(incident("killed_for_memory"), *done(), losses=FALLING, token_budget=300_000), "killed_for_memory")
    assert killed is not None
    assert killed.settings == {"token_budget": 150_000}
    looking = incident("out_of_memory", "The held-out examples did not fit.", cost=300_000, rows=[1], unit="pixels")
    seen = found(ran(looking, *done(), losses=FALLING), "looking_memory")
    assert seen is not None
    assert "300,000 held-out pixels at once" in seen.words


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("broken_examples", ran(incident("bad_row", rows=[7]), *done(), losses=FALLING)),
        ("damaged_base", ran(ended("corrupt_weights"), losses=())),
        ("adapter_number_lost", ran(incident("non_finite", "A number in the adapter is not finite (x)."), *done(), losses=FALLING)),
        ("passing_nan", ran(incident("non_finite", "Tried again, each of its examples alone is fine."), *done(), losses=FALLING)),
        ("never_right", ran(*[incident("diverged")] * 4, ended("diverged"), losses=FALLING, learning_rate=0.1)),
        ("comparing_memory", ran(incident("out_of_memory", "Comparing: comparing before and after."), *done(), losses=FALLING)),
        ("few_held_out", planned(known=facts(n_heldout=9))),
        ("disk_full", ran(ended("disk_full"))),
        ("stopped_by_person", ran(ended("", "stopped"), losses=FALLING)),
    ],
)
def test_rules_for_every_kind_work_on_pictures(rule: str, case: Case) -> None:
    if rule == "never_right":
        case = replace(case, plan=case.plan.model_copy(update={"learning_rate": 1e-4}))
    told = found(case, rule)
    assert told is not None
    for fix in told.fixes:
        type(case.plan).model_validate(case.plan.model_dump() | fix.settings)
    assert not any(fix.data in ("drop", "shorten") for fix in told.fixes), "an operation that knows text alone"


def test_no_rule_for_text_alone_is_asked_about_pictures() -> None:
    said: set[str] = set()
    for case, _ in CASES.values():
        findings: tuple[Finding, ...] = diagnose(case).findings
        said |= {finding.rule for finding in findings}
    known = {name for name, rule in rules().items() if rule.tasks is None or rule.tasks & PICTURE_TASKS}
    assert said <= known
