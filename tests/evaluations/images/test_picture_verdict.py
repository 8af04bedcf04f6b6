"""Both answers on pictures, and the controls that must never be called learned or usable."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from loralab.core.judgement import Judgement
from loralab.core.verdict import Verdict
from loralab.core.words import can_you_use_it
from loralab.evaluations import evaluations
from loralab.evaluations.images import told
from loralab.evaluations.images.boxes import Found
from loralab.evaluations.images.verdict import judge_boxes, judge_classes, judge_masks
from loralab.evaluations.shared.paired import FEWEST
from tests.evaluations.images import made

GOOD: dict[str, Callable[[int], Judgement]] = {
    "classes": lambda n: judge_classes(made.classes(n, 1.0)),
    "masks": lambda n: judge_masks(made.masks(n, 0.0)),
    "boxes": lambda n: judge_boxes(made.boxes(n, 1.0)),
}
BAD: dict[str, Callable[[int], Judgement]] = {
    "classes": lambda n: judge_classes(made.shuffled_classes(n, 3)),
    "masks": lambda n: judge_masks(replace(made.masks(n, 0.0), after=made.discs(n, 1, 5))),
    "boxes": lambda n: judge_boxes(made.boxes(n, 0.0)),
}


def concluded(found: Judgement) -> Verdict:
    assert found.conclusion is not None
    return found.conclusion


def answers(found: Judgement) -> tuple[str, str, str]:
    return found.verdict, concluded(found).learned, concluded(found).usable


# ---- what must come out ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", GOOD)
def test_perfect_is_learned_and_usable(kind: str):
    found = GOOD[kind](40)
    assert answers(found) == ("better", "yes", "yes")
    assert concluded(found).floors == ()
    assert all(check.passed for check in concluded(found).checks)
    assert found.scores[0].main
    assert found.scores[0].between is not None


@pytest.mark.parametrize("kind", BAD)
def test_what_knows_nothing_is_neither_better_nor_learned_nor_usable(kind: str):
    found = BAD[kind](40)
    assert found.verdict != "better"
    assert concluded(found).learned != "yes"
    assert concluded(found).usable == "no"
    assert "right" in concluded(found).floors  # so that nobody's liking lifts it


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("n", [1, 2, FEWEST - 1])
def test_too_few_tell_nothing_however_good_it_looks(kind: str, n: int):
    found = GOOD[kind](n)
    if not found.scores:  # in the one picture there is nothing to find
        assert (found.verdict, found.words) == ("cannot tell yet", "In the 1 picture kept aside there is nothing to find.")
        return
    assert (found.verdict, concluded(found).learned) == ("cannot tell yet", "unknown")
    assert concluded(found).usable != "yes"
    assert ("1 picture is too few" if n == 1 else f"{n} pictures are too few") in concluded(found).learned_words


@pytest.mark.parametrize("kind", GOOD)
def test_no_picture_at_all_is_told_and_no_error(kind: str):
    assert answers(GOOD[kind](0)) == ("cannot tell yet", "unknown", "you_decide")


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.8, 0.2), (0.4, 0.3, 0.3)])
def test_shuffled_labels_are_hardly_ever_called_learned(shares: tuple[float, ...]):
    called = [answers(judge_classes(made.shuffled_classes(60, seed, shares))) for seed in range(12)]
    assert sum(word == "better" or learned == "yes" for word, learned, _ in called) <= 1
    assert all(usable != "yes" for _, _, usable in called)


def test_no_score_of_a_shuffled_run_is_better():
    for seed in range(5):
        assert [s.name for s in judge_classes(made.shuffled_classes(60, seed, (0.4, 0.3, 0.3))).scores if s.verdict == "better"] == []


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.97, 0.03), (0.6, 0.3, 0.1)])
def test_always_the_same_kind_is_of_no_use(shares: tuple[float, ...]):
    seen = made.classes(120, 1.0, shares=shares)
    same = np.tile(np.eye(len(shares))[0] * 0.8 + 0.2 / len(shares), (120, 1))
    found = judge_classes(replace(seen, after=same))
    assert found.verdict != "better"
    assert (concluded(found).learned, concluded(found).usable, concluded(found).alarm) == ("no", "no", "alike")
    assert "every picture “a”" in concluded(found).usable_words


def test_marking_nothing_everything_or_the_usual_place_is_of_no_use():
    seen = made.masks(30, 0.0)
    for after in ([m * 0 for m in seen.truth], [m * 0 + 1 for m in seen.truth]):
        found = judge_masks(replace(seen, after=after))
        assert concluded(found).learned == "no"
        assert concluded(found).usable == "no"
    assert concluded(judge_masks(replace(seen, after=[m * 0 for m in seen.truth]))).alarm == "empty"
    lungs = [np.pad(np.ones((20, 30), np.uint8), ((14, 14), (17, 17))) for _ in range(30)]  # where they are in every picture
    random = np.random.default_rng(0)
    truth = [np.roll(lung, int(random.integers(-2, 3)), axis=0) for lung in lungs]
    found = judge_masks(replace(seen, truth=truth, watch_truth=lungs, after=lungs))
    assert concluded(found).learned == "no"
    assert "the usual places" in concluded(found).learned_words


def test_boxes_that_fit_every_picture_alike_are_not_learned():
    random, place = np.random.default_rng(0), np.array([[10.0, 10, 60, 60], [100, 100, 150, 150]])
    truth = [Found(place + random.normal(0, 4, place.shape), np.array([0, 1])) for _ in range(30)]
    same = [Found(place, np.array([0, 1]), np.array([0.9, 0.8])) for _ in range(30)]
    seen = replace(made.boxes(30, 1.0, kinds=2), truth=truth, before=[Found(place + 500, np.array([0, 1]), np.ones(2))] * 30, after=same)
    found = judge_boxes(seen)
    assert found.verdict != "better"
    assert concluded(found).learned == "unknown"
    assert concluded(found).usable != "yes"
    assert "usual places" in concluded(found).learned_words


def test_finding_nothing_raises_the_alarm():
    seen = made.boxes(30, 1.0)
    nothing = Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    found = judge_boxes(replace(seen, after=[nothing] * 30))
    assert (concluded(found).learned, concluded(found).usable, concluded(found).alarm) == ("no", "no", "empty")


# ---- near copies -----------------------------------------------------------------------------------------------------------
LEAKING: dict[str, Callable[[frozenset[int]], Judgement]] = {
    "classes": lambda leaked: judge_classes(made.classes(40, 1.0), leaked),
    "masks": lambda leaked: judge_masks(made.masks(40, 0.0), leaked),
    "boxes": lambda leaked: judge_boxes(made.boxes(40, 1.0), leaked),
}


@pytest.mark.parametrize("kind", LEAKING)
def test_where_most_are_copies_nothing_is_proven(kind: str):
    found = LEAKING[kind](frozenset(range(30)))
    assert answers(found) == ("cannot tell yet", "unknown", "you_decide")
    assert "30 of the 40 pictures" in concluded(found).capped
    assert found.scores[0].verdict == "cannot tell yet"


@pytest.mark.parametrize("kind", LEAKING)
def test_a_few_copies_are_left_out_and_said(kind: str):
    found = LEAKING[kind](frozenset({3, 99}))  # the second is none of them
    assert answers(found) == ("better", "yes", "yes")
    assert "1 picture too much like what it learned from was left out." in concluded(found).learned_words
    assert concluded(found).capped == ""
    (rows,) = found.rows.values()
    assert len(rows) == 39
    assert 4 not in [row["row"] for row in rows]


# ---- kinds -----------------------------------------------------------------------------------------------------------------
def test_the_main_measure_is_chosen_by_how_common_the_kinds_are():
    assert judge_classes(made.classes(60, 0.9)).scores[0].name == "accuracy"
    assert judge_classes(made.classes(60, 0.9, shares=(0.5, 0.5))).scores[0].name == "accuracy"
    for right in (0.9, 0.3):  # never by what came out
        assert judge_classes(made.classes(60, right, shares=(0.25, 0.75))).scores[0].name == "auc"
    names = [s.name for s in judge_classes(made.classes(60, 0.9, shares=(0.25, 0.75))).scores]
    assert names == ["auc", "accuracy", "macro_f1", "sensitivity", "specificity", "ece", "recall_a", "recall_b"]


def test_a_kind_that_it_does_not_know_is_named():
    seen = made.classes(150, 0.97)
    seen.after[seen.truth == 2] = seen.after[seen.truth == 2][:, [2, 1, 0]]  # takes the third for the first
    found = concluded(judge_classes(seen))
    assert (found.learned, found.usable, found.reach) == ("yes", "partly", "for 1 of 3 kinds")
    assert can_you_use_it(found) == "Only for 1 of 3 kinds"
    assert "Weak: “c”" in found.usable_words
    assert {"right", "kinds"} <= set(found.floors)


def test_a_kind_of_which_none_was_kept_aside_is_named():
    seen = made.classes(120, 1.0)
    seen = replace(seen, labels=("a", "b", "c", "d"), after=np.c_[seen.after, np.zeros(120)], learned=[*seen.learned, 30])
    seen = replace(seen, watch_after=np.c_[seen.watch_after, np.zeros(60)])
    found = concluded(judge_classes(seen))
    assert (found.usable, found.reach) == ("partly", "for 3 of 4 kinds")
    assert "Of “d” no picture was kept aside" in found.usable_words


def test_with_one_kind_kept_aside_nobody_can_tell():
    seen = made.classes(40, 1.0, shares=(1.0, 0.0))
    found = judge_classes(seen)
    assert concluded(found).learned == "unknown"
    assert [s.name for s in found.scores if s.name == "auc"] == []


def test_uneven_kinds_are_told_apart_though_always_the_common_one_is_right_as_often():
    seen = made.classes(400, 1.0, shares=(0.06, 0.94))
    random = np.random.default_rng(0)
    rare = np.clip(0.15 + 0.2 * (seen.truth == 0) + random.normal(0, 0.08, 400), 0.01, 0.49)  # never above a half
    found = concluded(judge_classes(replace(seen, after=np.c_[rare, 1 - rare], watch_truth=np.zeros(0, int))))
    assert found.learned == "yes"
    assert found.usable == "no"  # it calls all the same all the same


def test_being_too_sure_is_told_beside_the_answers():
    seen = made.classes(200, 0.8)
    found = concluded(judge_classes(replace(seen, after=np.where(seen.after > 0.5, 0.998, 0.001), watch_truth=np.zeros(0, int))))
    assert found.learned == "yes"
    assert found.but.startswith("But: It is too sure of itself:")
    assert concluded(judge_classes(seen)).but == ""  # the temperature sees to it


def test_what_it_doubts_is_chosen_on_the_watched_pictures_and_told():
    random = np.random.default_rng(0)
    seen = made.classes(200, 0.85)
    for truth, after in ((seen.truth, seen.after), (seen.watch_truth, seen.watch_after)):
        wrong = after.argmax(1) != truth
        after[wrong] = 0.3 + 0.1 * np.eye(3)[after[wrong].argmax(1)] + random.uniform(0, 0.01, (int(wrong.sum()), 3))
    found = judge_classes(seen)
    table = found.tables["accuracy"]
    assert 0.4 < table["threshold"] < 0.9
    assert table["answered_right"] > 0.9 > found.scores[0].after
    assert "it says “I do not know”" in concluded(found).usable_words
    silent = [row for row in found.rows["accuracy"] if not row["knows"]]
    assert len(silent) == round((1 - table["answered"]) * 200) > 0
    assert not any(row["after_right"] for row in silent)
    assert judge_classes(made.classes(200, 1.0)).tables["accuracy"]["threshold"] == 0.0  # nothing to doubt


def test_few_patients_are_too_few_however_many_pictures():
    groups = [f"patient {i % 4}" for i in range(80)]
    found = judge_classes(made.classes(80, 1.0, groups=groups))
    assert answers(found)[:2] == ("cannot tell yet", "unknown")
    assert "only 4 patients or sources" in concluded(found).learned_words


def test_pictures_are_split_by_what_they_share_where_enough_do():
    cameras = ["old"] * 40 + ["new"] * 40 + ["lent"] * 3
    seen = made.classes(83, 1.0, facts={"camera": cameras, "side": ["left"] * 83})
    seen.after[:20] = seen.after[:20][:, [1, 2, 0]]
    groups = judge_classes(seen).tables["accuracy"]["groups"]
    assert list(groups) == ["camera"]
    assert [(one["value"], one["n"], one["right"]) for one in groups["camera"]] == [("new", 40, 40), ("old", 40, 20)]


def test_a_real_model_from_before_must_be_beaten_too():
    seen = made.classes(200, 0.9)
    same = judge_classes(replace(seen, before=seen.after))
    assert (same.verdict, concluded(same).learned) == ("no difference seen", "unknown")
    assert concluded(judge_classes(replace(seen, before=made.classes(200, 0.4).after))).learned == "yes"


# ---- masks and boxes -------------------------------------------------------------------------------------------------------
def test_masks_of_several_kinds_are_told_kind_by_kind():
    seen = made.masks(40, 0.0, kinds=2)
    after = [np.where(mask == 2, 0, mask) for mask in seen.after]  # the second kind is never marked
    found = judge_masks(replace(seen, after=after))
    assert concluded(found).reach == "for 1 of 2 kinds"
    assert "It does well on “nucleus”. Weak: “border” (0 %)" in concluded(found).usable_words
    assert {"dice_nucleus", "dice_border"} <= {s.name for s in found.scores}


def test_one_picture_marked_quite_wrongly_is_told():
    seen = made.masks(30, 0.3)
    after = [*seen.after[:-1], np.zeros_like(seen.after[-1])]
    found = judge_masks(replace(seen, after=after))
    worst = next(s for s in found.scores if s.name == "worst_dice")
    assert (worst.after, worst.verdict) == (0.0, "")
    assert (concluded(found).learned, concluded(found).usable, concluded(found).floors) == ("yes", "partly", ("worst",))
    assert "1 picture is marked quite wrongly." in concluded(found).usable_words
    assert found.samples[0].prompt == "pictures/29.png"


def test_a_kind_that_is_not_found_is_named_and_scored():
    seen = made.boxes(60, 1.0)
    kept = [Found(a.places[a.kinds != 2], a.kinds[a.kinds != 2], a.sure[a.kinds != 2]) for a in seen.after if a.sure is not None]
    found = judge_boxes(replace(seen, after=kept))
    recall = next(s for s in found.scores if s.name == "recall_platelets")
    assert recall.after == 0.0
    assert (concluded(found).usable, concluded(found).reach) == ("partly", "for 2 of 3 kinds")
    assert "“Platelets” (none of" in concluded(found).usable_words


def test_boxes_of_which_most_are_wrong_are_not_simply_usable():
    seen = made.boxes(40, 1.0, beside=30)
    found = concluded(judge_boxes(replace(seen, confidence=0.01)))
    assert found.usable == "partly"
    assert "boxes" in found.floors


# ---- the probe -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("probe", "word", "says"),
    [
        (0.7, "better", "added 2"),
        (0.97, "no difference seen|cannot tell yet", "added nothing that can be seen over a quick look with fixed eyes"),
        (None, "", ""),
    ],
)
def test_what_training_inside_added_is_told_of_kinds(probe: float | None, word: str, says: str):
    seen = made.classes(200, 0.97)
    quick = None if probe is None else made.probabilities(seen.truth, 3, probe, np.random.default_rng(5))
    found = judge_classes(replace(seen, probe=quick))
    if quick is None:
        assert "probe" not in found.tables
        assert "fixed eyes" not in found.words
        return
    table = found.tables["probe"]
    assert re.fullmatch(word, table["verdict"])
    assert says in table["words"]
    assert table["words"] in found.words
    assert table["words"] in concluded(found).learned_words
    assert table["low"] <= table["difference"] <= table["high"]


def test_what_training_inside_cost_is_told_and_the_kind_it_lost():
    seen = made.classes(200, 0.97)
    worse = made.classes(200, 0.97).after
    worse[seen.truth == 1] = worse[seen.truth == 1][:, [1, 0, 2]]
    found = judge_classes(replace(seen, after=worse, probe=seen.after))
    assert found.tables["probe"]["verdict"] == "worse"
    assert "here the quick look alone does better" in found.words
    assert "It finds less of “b”" in concluded(found).but


def test_the_probe_is_held_against_masks_and_boxes_too():
    seen = made.masks(30, 0.2)
    assert judge_masks(replace(seen, probe=made.discs(30, 1, 0, 2.0))).tables["probe"]["verdict"] == "better"
    assert judge_masks(replace(seen, probe=seen.after)).tables["probe"]["words"].startswith("Training inside the model added nothing:")
    found = made.boxes(40, 1.0)
    quick = made.seen_as(list(found.truth), 3, found=0.6)
    assert judge_boxes(replace(found, probe=quick)).tables["probe"]["verdict"] == "better"


# ---- what is handed on -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", GOOD)
def test_all_of_it_can_be_written_and_every_sentence_is_whole(kind: str):
    for n in (1, 2, 30):
        for of in (GOOD, BAD):
            found = of[kind](n)
            json.dumps({"rows": found.rows, "tables": found.tables}, allow_nan=False)
            conclusion = concluded(found)
            said = [found.words, conclusion.learned_words, conclusion.usable_words, *(s.words for s in found.scores)]
            said += [*(s.help for s in found.scores), *(c.words for c in conclusion.checks)]
            for words in said:
                assert re.match(r"[A-Z\d“]", words), words
                assert words.endswith("."), words
                assert not re.search(r"\bnan\b|  | \.|\b1 (pictures|things|boxes|times|points)\b|\b0 (are|is|of)\b", words), words
                assert not re.search(r"diagnos|disease|patient'?s health|healthy", words.lower()), words


def test_rows_and_samples_are_of_the_pictures():
    found = judge_classes(made.classes(50, 0.8, groups=[f"p{i}" for i in range(50)]))
    row = found.rows["accuracy"][7]
    assert (row["row"], row["media"], row["group"]) == (8, "pictures/7.png", "p7")
    assert row["after_right"] == (row["after"] == row["label"])
    shown = [sample.prompt for sample in found.samples]
    assert len(set(shown)) == 5
    assert found.samples[0].after != found.samples[0].reference  # the worst first
    assert concluded(found).worst == found.samples[0]
    table = found.tables["accuracy"]
    assert sum(sum(given.values()) for given in table["confusion"]["after"].values()) == 50
    assert len(table["worst"]) == 50 - sum(row["after_right"] for row in found.rows["accuracy"])


def test_names_of_kinds_become_names_of_scores():
    assert told.slugs(["Red blood cell", "Red-blood cell", "Plättchen", "!!", "?"]) == [
        "red_blood_cell",
        "red_blood_cell__2",
        "plättchen",
        "kind",
        "kind__2",
    ]


def test_judges_of_pictures_are_no_measures_of_text():
    assert not {"classes", "masks", "boxes", "verdict"} & set(evaluations())


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 6, 20])
def test_pictures_to_look_at_are_different_ones_the_worst_first(n: int):
    quality: list[Any] = [((i * 7) % 20) / 20 for i in range(n)]
    places = told.shown(quality)
    assert len(set(places)) == len(places) == min(n, 5)
    assert [quality[i] for i in places[:3]] == sorted(quality)[:3]
