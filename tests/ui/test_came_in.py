"""The sheet for what came in: its numbers add up, and a guess is shown with what else it could be."""

from __future__ import annotations

import re

import pytest

from loralab.core.records import Choice, DatasetProfile, Example, FieldUse, LeftOut, Message
from ui.tabs.dataset.sheet import choices_html, lines_of, reasons, sheet_html

ASKED = (Message(role="user", content="<b>Why?</b>"), Message(role="assistant", content="So."))


def profile(*, certain: bool = True, lost: int = 0, more: int = 0, fields: tuple[FieldUse, ...] = ()) -> DatasetProfile:
    left = tuple(LeftOut(row=at, reason=f"Reason {at % 11}.") for at in range(lost))
    roles = ({"prompt": "a", "answer": "b"}, {"prompt": "b", "answer": "a"})
    found = DatasetProfile(
        id="x",
        name="a.csv",
        path="a.csv",
        shape="prompt_completion",
        columns=("a", "b"),
        certain=certain,
        n_read=40 + lost + more,
        n_kept=40,
    )
    choices = () if certain else tuple(Choice(roles=one, examples=(Example(row=1, messages=ASKED),)) for one in roles)
    return found.model_copy(update={"left_out": left, "more_left_out": more, "fields": fields, "choices": choices})


@pytest.mark.parametrize(("lost", "more"), [(0, 0), (1, 0), (30, 0), (30, 1000)])
def test_rows_kept_and_left_out_add_up_to_the_rows_read(lost: int, more: int) -> None:
    found = profile(lost=lost, more=more)
    counted = sum(int(line.partition(" ×")[0].replace(",", "")) for line in reasons(found))
    assert counted + found.n_kept == found.n_read


def test_the_sheet_names_what_is_used_and_what_is_not_and_opens_where_that_tells() -> None:
    quiet = profile(fields=(FieldUse(name="a", used_for="the question", rows=40),))
    assert dict(lines_of(quiet))["Used"] == ["a: the question"]
    assert "Not used" not in dict(lines_of(quiet))
    assert '<details class="came-in">' in sheet_html(quiet)
    telling = profile(fields=(*quiet.fields, FieldUse(name="<i>note</i>", rows=12, telling=True)))
    assert dict(lines_of(telling))["Not used"] == ["<i>note</i> (12 rows)"]
    assert "&lt;i&gt;note" in sheet_html(telling)
    assert "open>" in sheet_html(telling)


def test_a_guess_offers_what_else_it_could_be_and_certainty_offers_nothing() -> None:
    drawn = choices_html(profile(certain=False))
    assert re.findall(r'data-pick="(\d+)"', drawn) == ["1"]
    assert "<b>Why?" not in drawn
    assert choices_html(profile()) == ""
