"""How a run looks in a terminal, and how settings are read from a command line."""

from __future__ import annotations

import io

import pytest

from loralab.cli import console, terminal
from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Incident, fold
from tests.core.test_events import ALL, step


def test_the_live_line_says_step_loss_speed_and_time_left():
    going = step(3, 1.234).model_copy(update={"seconds_left": 65.0})
    text = terminal.line(fold("r", [ALL[0], going]))
    for part in ("step 3/10", "1.234", "100 tokens/s", "1 min 5 s left"):
        assert part in text


def test_trouble_and_what_was_done_about_it_get_lines_of_their_own_once():
    trouble = Incident(step=3, code="out_of_memory", text="Memory ran out.", time=11)
    done = Adjusted(step=3, setting="token_budget", before=64, after=32, reason="memory ran out", time=12)
    screen = io.StringIO()
    live = terminal.LiveLine(screen)
    live(fold("r", [ALL[0], step(3, 1.2)]))
    for _ in range(2):
        live(fold("r", [ALL[0], step(3, 1.2), trouble, done]))
    said = screen.getvalue()
    assert said.count("  Memory ran out.\n") == 1
    assert said.count("  Fewer tokens at once (64 → 32), because memory ran out.\n") == 1
    assert said.index("Memory ran out.") < said.index("Fewer tokens")


def test_two_answers_stand_side_by_side_and_below_each_other_where_it_is_narrow():
    wide = terminal.side_by_side("one " * 30, "two", ("before", "after"), 100)
    assert max(map(len, wide.splitlines())) <= 100
    assert all("│" in row for row in wide.splitlines())
    narrow = terminal.side_by_side("one", "two", ("before", "after"), 40)
    assert narrow.splitlines() == ["before:", "one", "after:", "two"]


def test_values_are_read_as_their_settings_type():
    assert console.chosen(["epochs=2", "rank=8", "use_dora=true", 'roles={"prompt": "q"}', "title=a=b"]) == {
        "epochs": 2.0,
        "rank": 8,
        "use_dora": True,
        "roles": {"prompt": "q"},
        "title": "a=b",
    }
    with pytest.raises(UserError, match="not JSON"):
        console.chosen(["roles={prompt: q}"])
