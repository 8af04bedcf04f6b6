"""The loss chart: raw numbers, marks where trouble was, and words for what was done about it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from loralab.core.events import Adjusted, Evaluated, Incident, Noted, RunView, Started, Stepped, fold
from loralab.reports.incidents import adjustment, told
from ui.charts import legend, loss_chart, smooth
from ui.tabs.train.incident_markers import MARKS, height, said


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


def marks(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.mode == "markers"}


# ---- where the marks stand -------------------------------------------------------------------------------------------------


def test_a_quiet_run_has_no_marks_and_no_words_for_them():
    quiet = view(*(stepped(n) for n in range(1, 21)))
    assert marks(loss_chart(quiet)) == {}
    assert "mark" not in legend(quiet)


def test_each_kind_of_trouble_has_a_mark_on_the_line_where_it_happened():
    codes = {"non_finite": 4, "diverged": 9, "out_of_memory": 14, "disk_full": 17}
    drawn = view(*(stepped(n) for n in range(1, 21)), *(incident(code, step) for code, step in codes.items()))
    figure = loss_chart(drawn)
    line = smooth([5 / n for n in range(1, 21)])
    assert {name: (list(m.x), [round(v, 6) for v in m.y]) for name, m in marks(figure).items()} == {
        style.words: ([step], [round(line[step - 1], 6)]) for style, step in zip(MARKS.values(), codes.values(), strict=True)
    }
    assert len({m.marker.symbol for m in marks(figure).values()}) == 4, "told apart without colours"
    for style in MARKS.values():
        assert f'<i class="mark {style.name}"></i>{style.words}' in legend(drawn)


def test_an_update_without_a_number_is_marked_where_the_line_passes():
    drawn = view(stepped(1, 4.0), stepped(2, math.nan), stepped(3, 2.0), incident("non_finite", 2))
    (mark,) = marks(loss_chart(drawn)).values()
    low, high = sorted(smooth([4.0, 2.0]))
    assert list(mark.x) == [2]
    assert low < mark.y[0] < high


def test_trouble_before_the_first_update_and_after_the_last_stays_on_the_chart():
    drawn = view(stepped(1), stepped(2), incident("out_of_memory", 0), incident("killed_for_memory", 9))
    (mark,) = marks(loss_chart(drawn)).values()
    assert list(mark.x) == [1, 2]


def test_a_run_that_never_learned_from_a_number_can_be_drawn():
    assert marks(loss_chart(view(stepped(1, math.nan), incident("non_finite", 1)))) == {}
    assert loss_chart(RunView(run="empty")) is not None


@pytest.mark.parametrize(("step", "wanted"), [(0, 1.0), (2, 1.0), (3, 2.0), (4, 3.0), (9, 3.0)])
def test_the_height_of_a_line(step, wanted):
    assert height(step, [2, 4], [1.0, 3.0]) == wanted


def test_a_code_nobody_has_thought_of_is_still_shown():
    drawn = view(stepped(1), stepped(2), incident("from_the_future", 2, "The moon was full."))
    (mark,) = marks(loss_chart(drawn)).values()
    assert mark.name == "noticed"
    assert "The moon was full." in mark.hovertext[0]


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
    words = said(4, [second])
    assert words.startswith("<b>Update 4</b><br>The training ran away.<br>→ Went back")


def test_a_non_finite_update_after_which_the_run_went_back_counts_as_taken_back():
    drawn = view(
        incident("non_finite", 3, time=200),
        Noted(step=2, time=201, text="Went back to the adapter as it was after update 1.", code="rolled_back"),
    )
    assert [each.kind for each in told(drawn)] == ["rolled back"]


def test_what_a_file_says_is_never_markup_and_many_are_counted():
    drawn = view(*(incident("bad_row", 3, f"Row {n}: <img src=x>", 200 + n) for n in range(5)))
    words = said(3, told(drawn))
    assert "<img" not in words
    assert "&lt;img src=x&gt;" in words
    assert words.endswith("and 2 more like it")
    assert max(len(line) for line in words.split("<br>")) < 80


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
        ("optimizer", "adamw", "adamw_8bit", "", "The optimiser keeps smaller notes (adamw → adamw_8bit)."),
        ("patience", 3, 5, "", "Patience changed (3 → 5)."),
        ("unheard_of", None, "x", "why not", "Unheard of changed (None → x), because why not."),
    ],
)
def test_every_adjusted_setting_is_a_sentence(setting, before, after, reason, sentence):
    assert adjustment(adjusted(setting, before, after, reason)) == sentence
