"""What the curve of a run shows: raw numbers, marks where trouble was, and words for what was done about it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from advisor.words.annotations import Annotation
from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Ended, Evaluated, Incident, Noted, RunView, Started, Stepped, fold
from loralab.reports.incidents import adjustment, told
from ui.tabs.train.curve import MARKS, MOST_NOTES, MOST_POINTS, curve, legend, marks, points, said


def stepped(step, loss=None, time=0.0):
    return Stepped(
        step=step,
        time=time or 100 + step,
        loss=5 / step if loss is None else loss,
        grad_norm=1.0,
        learning_rate=1e-4,
        tokens=10,
        tokens_per_second=10,
        memory_bytes=1,
        total_steps=20,
    )


def view(*events):
    begin = [Started(pid=1, time=100), Evaluated(split="base", loss=5.0, n=8, time=100)]
    return fold("r", [*begin, *events])


def incident(code, step, text="Something happened.", time=0.0):
    return Incident(code=code, step=step, text=text, time=time or 100.5 + step)


def adjusted(setting, before, after, reason="memory ran out", step=0, time=0.0):
    return Adjusted(step=step, setting=setting, before=before, after=after, reason=reason, time=time)


class Silent:
    """An advisor with these notes, or none to give."""

    def __init__(self, *notes: Annotation) -> None:
        self.notes = notes

    def annotations(self, run: str) -> tuple[Annotation, ...]:
        if not self.notes:
            raise UserError("It trained no adapter.", "")
        return self.notes


SILENT: Any = Silent()


def drawn_of(*events: Any, advisor: Any = SILENT) -> Any:
    return curve(advisor, view(*events))


# ---- what is drawn ---------------------------------------------------------------------------------------------------------


def test_a_quiet_run_has_no_marks_and_no_words_for_them():
    quiet = view(*(stepped(n) for n in range(1, 21)))
    assert marks(quiet) == ()
    assert "mark" not in legend(quiet)


def test_each_kind_of_trouble_has_a_mark_at_its_update():
    codes = {"non_finite": 4, "diverged": 9, "out_of_memory": 14, "from_the_future": 17}
    drawn = view(*(stepped(n) for n in range(1, 21)), *(incident(code, step) for code, step in codes.items()))
    assert [(mark.step, mark.kind) for mark in marks(drawn)] == [(4, "skipped"), (9, "back"), (14, "memory"), (17, "other")]
    for style in MARKS.values():
        assert f'<i class="mark {style.name}"></i>{style.words}' in legend(drawn)


def test_what_is_no_number_is_not_drawn_and_the_last_point_always_is():
    many = [stepped(n) for n in range(1, 3 * MOST_POINTS)]
    assert points([stepped(1, 4.0), stepped(2, math.nan), stepped(3, 2.0)]) == ((1, 4.0), (3, 2.0))
    assert (len(points(many)) <= MOST_POINTS + 1, points(many)[-1][0]) == (True, many[-1].step)
    found = drawn_of(Evaluated(split="heldout", loss=math.inf, n=8, step=1), Evaluated(split="heldout", loss=3.0, n=8, step=2))
    assert (found.base, found.held) == (5.0, ((2, 3.0),))
    assert curve(SILENT, RunView(run="empty")).held == ()


def test_the_advisor_writes_a_few_notes_apart_from_each_other_once_a_run_has_ended():
    notes = [Annotation(step=step, text=f"at {step}", kind="change") for step in (1, 2, 6, 10, 14, 18)]
    notes.append(Annotation(step=11, text="ran away", kind="trouble"))
    steps = [stepped(n) for n in range(1, 21)]
    assert drawn_of(*steps, advisor=Silent(*notes)).remarks == (), "while it goes on its marks say what happened"
    found = drawn_of(*steps, Ended(outcome="finished"), advisor=Silent(*notes)).remarks
    assert len(found) == MOST_NOTES
    assert [note.step for note in found] == sorted(note.step for note in found)
    assert {2, 10} & {note.step for note in found} == set(), "trouble first, and nothing on top of it"
    assert drawn_of(*steps, Ended(outcome="failed")).remarks == ()


# ---- what they say ---------------------------------------------------------------------------------------------------------


def test_a_mark_says_what_happened_and_what_was_done_about_it():
    drawn = view(
        *(stepped(n) for n in range(1, 6)),
        incident("out_of_memory", 2, "8 examples did not fit.", 200),
        adjusted("token_budget", 0, 512, "memory ran out. The result stays the same.", 2, 201),
        incident("diverged", 4, "The training ran away.", 210),
        Noted(step=3, time=211, text="Went back to the adapter as it was after update 2.", code="rolled_back"),
        adjusted("learning_rate", 0.01, 0.002, "the corrections were too big", 3, 212),
        adjusted("token_budget", 512, 256, "much later", 5, 400),
    )
    first, second = told(drawn)
    assert first.done == ("Fewer tokens at once (no limit → 512), because memory ran out. The result stays the same.",)
    assert (second.kind, second.done) == (
        "rolled back",
        (
            "Went back to the adapter as it was after update 2.",
            "Smaller corrections (learning rate 0.01 → 0.002), because the corrections were too big.",
        ),
    )
    assert said([second])[:2] == ("The training ran away.", "→ Went back to the adapter as it was after update 2.")


def test_a_non_finite_update_after_which_the_run_went_back_counts_as_taken_back():
    drawn = view(
        incident("non_finite", 3, time=200),
        Noted(step=2, time=201, text="Went back to the adapter as it was after update 1.", code="rolled_back"),
    )
    assert [each.kind for each in told(drawn)] == ["rolled back"]


def test_many_at_one_update_are_counted():
    drawn = view(*(incident("bad_row", 3, f"Row {n}", 200 + n) for n in range(5)))
    assert said(told(drawn)) == ("Row 0", "Row 1", "Row 2", "and 2 more like it")


@pytest.mark.parametrize(
    ("setting", "before", "after", "reason", "sentence"),
    [
        ("token_budget", 2048, 1024, "memory ran out.", "Fewer tokens at once (2,048 → 1,024), because memory ran out."),
        ("token_budget", 0, 64, "Too much.", "Fewer tokens at once (no limit → 64). Too much."),
        ("token_budget", 64, 0, "", "More tokens at once (64 → no limit)."),
        ("warmup", 0.05, 0.2, "it ran away", "A longer, gentler warm-up (5% → 20% of the run), because it ran away."),
        ("precision", "fp16", "fp32", "fp16 overflowed", "Numbers are kept more exactly (fp16 → fp32), because fp16 overflowed."),
        ("attention", "sdpa", "eager", "it gave NaN", "Attention is computed in the plain way (sdpa → eager), because it gave NaN."),
        ("offload", False, True, "", "What is not needed at the moment waits in main memory (off → on)."),
        ("recompute", "none", "full", "", "Less is kept in memory and more computed twice (none → full)."),
        ("optimizer", "adamw", "adamw_8bit", "", "The optimiser uses less memory (adamw → adamw_8bit)."),
        ("patience", 3, 5, "", "Patience changed (3 → 5)."),
        ("unheard_of", None, "x", "why not", "Unheard of changed (None → x), because why not."),
    ],
)
def test_every_adjusted_setting_is_a_sentence(setting, before, after, reason, sentence):
    assert adjustment(adjusted(setting, before, after, reason)) == sentence
