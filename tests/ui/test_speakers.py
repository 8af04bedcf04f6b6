"""The question who answers in a chat: asked once, with the names, and remembered for chats between the same people."""

from __future__ import annotations

import shutil
from pathlib import Path

import gradio as gr

from advisor.advisor import Advisor
from loralab.lab import Lab
from ui.desk import Desk, asked_first
from ui.tabs.dataset.columns import columns_card
from ui.tabs.dataset.view import rows_html, start_notes

CHAT = Path(__file__).parent.parent / "datasets" / "cases" / "chat_exports" / "telegram.json"


def test_who_answers_in_a_chat_is_asked_once(home: Path, tmp_path: Path) -> None:
    desk = Desk(Advisor(Lab(home)))
    asked = desk.profile(str(CHAT), "starter", "answer")
    assert asked_first(asked)
    assert set(asked.speakers) == {"Ann", "Me"}
    assert "exported from Telegram" in rows_html(asked, unsure=True)
    told = desk.profile(str(CHAT), "starter", "answer", roles={**asked.roles, "assistant": "Ann"})
    assert not asked_first(told)
    assert "exported from" not in rows_html(told, unsure=False)
    later = tmp_path / "later.json"
    shutil.copy(CHAT, later)
    again = desk.profile(str(later), "starter", "answer")
    assert (again.certain, again.roles["assistant"]) == (True, "Ann")
    other = tmp_path / "other.json"
    other.write_text(CHAT.read_text("utf-8").replace('"Me"', '"Cid"'), "utf-8")
    assert asked_first(desk.profile(str(other), "starter", "answer"))  # other people: who answers there was never said


def test_nobody_is_ticked_before_it_is_said_who_so_that_a_click_on_anybody_is_an_answer(home: Path) -> None:
    desk = Desk(Advisor(Lab(home)))
    with gr.Blocks():
        card = columns_card()
    asked = desk.profile(str(CHAT), "starter", "answer")
    before = card.updates(asked)
    assert (before[card.who].value, before[card.who].visible, before[card.unsure].visible) == (None, True, False)
    assert "Who should it learn to be?" in start_notes(asked)
    told = desk.profile(str(CHAT), "starter", "answer", roles={**asked.roles, "assistant": "Me"})
    assert card.updates(told)[card.who].value == "Me"
    assert "waits" not in start_notes(told)
