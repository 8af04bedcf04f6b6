"""Chats as programs export them: who said what stays in order, who answers is asked, what nobody said is left out by name."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.datasets.conversations import people
from loralab.datasets.conversations.chats import PROGRAM
from loralab.datasets.conversations.speakers import SECOND
from loralab.datasets.loading import load_examples
from tests.datasets.test_kinds_of_files import CASES, QA, read

MINUTE = 60
START = 1_760_000_000


def spoken(examples: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [turn for example in examples for turn in example]


TALK = [turn for asked, told in QA for turn in (("user", asked), ("assistant", told))]
SWAPPED = [({"user": "assistant", "assistant": "user"}[role], text) for role, text in TALK]


# ---- the cases -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "program", "answers"), [("telegram.json", "Telegram", "Me"), ("discord.json", "Discord", "helper")])
def test_exports_are_known_and_ask_who_answers(file: str, program: str, answers: str) -> None:
    examples, loaded = load_examples(CASES / "chat_exports" / file)
    assert not loaded.certain
    assert loaded.roles == {"messages": "conversation", "assistant": answers}
    assert set(loaded.speakers) == {"Ann", "Me"} if program == "Telegram" else {"ann", "helper"}
    assert loaded.cells[0][loaded.columns.index(PROGRAM)] == program
    said = [message for example in examples for message in example.messages]
    assert len(said) == 120
    assert [message.role for message in said] == ["user", "assistant"] * 60
    assert "(case 1)" in said[0].content
    assert "(case 60)" in said[-2].content


def test_a_whatsapp_text_is_known_by_its_lines(tmp_path: Path) -> None:
    path = CASES / "chat_exports" / "whatsapp.txt"
    examples, loaded = read(path)
    assert (loaded.certain, loaded.speakers) == (False, ("Ann", "Ben"))
    assert Counter(role for role, _ in spoken(examples)) == {"user": 60, "assistant": 60}
    other, told = read(path, {"assistant": "Ann"})
    assert told.certain
    # What Ann asks first has no question before it, and what Ben says last is answered by nobody who is learned from.
    assert spoken(other)[0] == ("user", "On Monday the ferry in Arlesford opens at 6:00 and closes at 12:30.")
    assert "turns without a question before or an answer after them" in {field.name for field in told.fields}
    assert "turns without a question before or an answer after them" not in {field.name for field in loaded.fields}


# ---- dates of all countries ------------------------------------------------------------------------------------------------------

FORMS = {
    "ios": "[02/01/2026, 10:{m:02d}:11] {who}: {text}",
    "android": "02/01/2026, 10:{m:02d} - {who}: {text}",
    "american": "1/2/26, 9:{m:02d}\u202fAM - {who}: {text}",
    "american ios": "\u200e[1/22/26, 9:{m:02d}:01 PM] {who}: {text}",
    "german": "02.01.26, 10:{m:02d} - {who}: {text}",
    "brazilian": "02/01/2026 10:{m:02d} - {who}: {text}",
    "iso": "2026-01-02, 10:{m:02d} - {who}: {text}",
    "dotted hours": "2.1.2026, 10.{m:02d} - {who}: {text}",
    "chinese": "2026/1/2 上午10:{m:02d} - {who}: {text}",
    "german with um": "02.01.26 um 10:{m:02d} - {who}: {text}",
}


@pytest.mark.parametrize("form", FORMS)
def test_whatsapp_in_every_country(tmp_path: Path, form: str) -> None:
    lines = [
        FORMS[form].format(m=2 * at + place, who=who, text=text)
        for at, pair in enumerate(QA)
        for place, (who, text) in enumerate(zip(("Ann Lee", "+49 170 1234567"), pair, strict=True))
    ]
    (tmp_path / "chat.txt").write_text("\n".join(lines) + "\n", "utf-8")
    examples, loaded = read(tmp_path / "chat.txt", {"assistant": "+49 170 1234567"})
    assert spoken(examples) == TALK
    assert set(loaded.speakers) == {"Ann Lee", "+49 170 1234567"}


def test_what_nobody_said_is_left_out_by_name_and_lines_are_joined(tmp_path: Path) -> None:
    (tmp_path / "WhatsApp Chat with Ben.txt").write_text(
        "1/13/26, 09:00 - Messages and calls are end-to-end encrypted. No one outside of this chat can read them.\n"
        "1/13/26, 09:01 - Ann: Are you there?\n1/13/26, 09:01 - Ann: It is late.\nReally late.\n"
        "1/13/26, 09:02 - Ann: <Media omitted>\n1/13/26, 09:03 - Ben: Yes: I am.\n1/13/26, 09:04 - Ben: This message was deleted\n"
        "1/13/26, 09:05 - Ann added Cid\n1/13/26, 20:05 - Ann: Good evening?\n1/13/26, 20:06 - Ben: Good evening!\n",
        "utf-8",
    )
    examples, loaded = read(tmp_path / "WhatsApp Chat with Ben.txt")
    assert examples == [
        [("user", "Are you there?\nIt is late.\nReally late."), ("assistant", "Yes: I am.")],
        [("user", "Good evening?"), ("assistant", "Good evening!")],  # eleven hours later: another conversation
    ]
    assert [(lost.row, lost.reason) for lost in loaded.left_out] == [
        (1, "A note of the program itself, which nobody said."),
        (5, "A picture, a recording or a file without words."),
        (7, "It was deleted."),
        (8, "A note of the program itself, which nobody said."),
    ]


def test_a_diary_with_dates_stays_a_text(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("".join(f"02/01/2026 - It rained on day {at}. I wrote: nothing.\n\n" for at in range(20)), "utf-8")
    assert read(tmp_path / "diary.txt")[1].shape == "text"


# ---- other programs ---------------------------------------------------------------------------------------------------------------


def slack() -> list[dict[str, Any]]:
    said = [
        {"type": "message", "user": f"U{place}", "user_profile": {"display_name": who}, "text": text, "ts": f"{START + at * 90 + place}.01"}
        for at, pair in enumerate(QA)
        for place, (who, text) in enumerate(zip(("ann", "ben"), pair, strict=True))
    ]
    return [*said, {"type": "message", "subtype": "channel_join", "user": "U1", "text": "joined", "ts": f"{START}.5"}]


def telegram_account() -> dict[str, Any]:
    both = [(who, text) for pair in QA for who, text in zip(("Ann", "Ben Okoro"), pair, strict=True)]
    said = [
        {"type": "message", "date_unixtime": str(START + at), "from": who, "from_id": f"user{who}", "text": [text[:4], {"text": text[4:]}]}
        for at, (who, text) in enumerate(both)
    ]
    call = {"id": 99, "type": "service", "actor": "Ann", "action": "phone_call", "text": "", "date_unixtime": str(START)}
    return {"about": "x", "chats": {"list": [{"name": "Ann", "type": "personal_chat", "id": 1, "messages": [*said, call]}]}}


def messenger() -> dict[str, Any]:
    said = [
        {"sender_name": who, "timestamp_ms": 1000 * (START + at), "content": text.encode().decode("latin-1")}
        for at, (who, text) in enumerate((who, text) for pair in QA for who, text in zip(("Ann", "ben"), pair, strict=True))
    ]
    photo = {"sender_name": "Ann", "timestamp_ms": 1, "photos": [{"uri": "a"}]}
    return {"participants": [{"name": "Ann"}], "title": "Ann", "messages": [*reversed(said), photo]}


def discord() -> dict[str, Any]:
    said = [
        {"id": str(at), "type": "Default", "timestamp": f"2026-01-02T10:{at:02d}:00+00:00", "content": text, "author": {"name": who}}
        for at, (who, text) in enumerate((who, text) for pair in QA for who, text in zip(("ann", "ben"), pair, strict=True))
    ]
    pinned = {"id": "99", "type": "ChannelPinnedMessage", "content": "Pinned a message.", "author": {"name": "ann"}}
    return {"guild": {}, "channel": {"name": "general"}, "messages": [*said, {**pinned, "timestamp": "2026-01-02T11:00:00+00:00"}]}


EXPORTS = [
    *(("Slack", slack(), "ben"), ("Telegram", telegram_account(), "Ben Okoro")),
    *(("Messenger", messenger(), "ben"), ("Discord", discord(), "ben")),
]


@pytest.mark.parametrize(("program", "document", "answers"), EXPORTS)
def test_a_chat_of_every_program_is_read_in_order(tmp_path: Path, program: str, document: Any, answers: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document), "utf-8")
    examples, loaded = read(tmp_path / "a.json", {"assistant": answers})
    assert spoken(examples) == TALK
    assert loaded.certain
    assert len(loaded.left_out) == 1
    guessed = read(tmp_path / "a.json")[1]
    assert (guessed.certain, guessed.roles["assistant"], guessed.cells[0][0]) == (False, answers, program)


def telegram_page() -> str:
    def message(number: int, who: str, text: str) -> str:
        date = f'<div class="pull_right date details" title="02.01.2026 10:{number:02d}:00 UTC+01:00">10:{number:02d}</div>'
        name = f'<div class="from_name">\n{who}\n </div>' if who else ""
        kind = "default clearfix" if who else "default clearfix joined"
        body = f'{date}{name}<div class="text">\n{text}\n </div>'
        return f'<div class="message {kind}" id="message{number}"><div class="body">{body}</div></div>\n'

    talk = [(who, text) for pair in QA for who, text in zip(("Ann", "Ben"), pair, strict=True)]
    service = '<div class="message service" id="message-1"><div class="body details">\n2 January 2026\n</div></div>'
    said = "".join(message(at, who, text) for at, (who, text) in enumerate(talk))
    return f"<!DOCTYPE html><html><body><div class='history'>{service}{said}{message(40, '', 'Bye<br>now &amp; then.')}</div></body></html>"


def test_a_telegram_page_is_a_chat_and_what_dresses_it_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "messages.html").write_text(telegram_page(), "utf-8")
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "style.css").write_text("body { margin: 0; }\n\n.message { padding: 1px; }\n", "utf-8")
    examples, loaded = read(tmp_path, {"assistant": "Ben"})
    assert spoken(examples)[:-1] == TALK[:-1]
    assert spoken(examples)[-1] == ("assistant", f"{QA[-1][1]}\nBye\nnow & then.")
    assert {lost.source for lost in loaded.left_out} == {"messages.html", "css/style.css"}
    assert loaded.certain


def test_the_other_side_can_be_learned_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(discord()), "utf-8")
    examples, loaded = read(tmp_path / "a.json", {"messages": "conversation", "assistant": "ann"})
    assert loaded.certain
    assert [turn for turn in spoken(examples) if turn[0] == "assistant"] == [turn for turn in SWAPPED[1:] if turn[0] == "assistant"]
    with pytest.raises(UserError, match="no answer of nobody"):
        load_examples(tmp_path / "a.json", {"assistant": "nobody"})


def chatgpt(asked: str, told: str, **more: Any) -> dict[str, Any]:
    def node(parent: str | None, role: str = "", text: str = "", **fields: Any) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        return {"parent": parent, "message": {"author": {"role": role}, "content": content, **fields} if role else None}

    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    tree = {"r": node(None), "s": node("r", "system", "", **hidden), "u": node("s", "user", asked)}
    answers = {"old": node("u", "assistant", "I do not know."), "new": node("u", "assistant", told)}
    return {"title": "Hours", "create_time": 1.5, "mapping": {**tree, **answers}, "current_node": "new", "conversation_id": "x", **more}


def test_of_chatgpts_conversations_the_branch_that_was_shown_is_read(tmp_path: Path) -> None:
    (tmp_path / "conversations.json").write_text(json.dumps([chatgpt(asked, told) for asked, told in QA]), "utf-8")
    (tmp_path / "user.json").write_text(json.dumps({"id": "user-1", "email": "a@example.com", "chatgpt_plus_user": False}), "utf-8")
    examples, loaded = read(tmp_path)
    assert examples == [[("user", asked), ("assistant", told)] for asked, told in QA]
    assert loaded.certain
    assert [lost.source for lost in loaded.left_out] == ["user.json"]


def test_a_folder_of_slack_days_leaves_lists_of_members_out(tmp_path: Path) -> None:
    days = tmp_path / "general"
    days.mkdir()
    (days / "2026-01-02.json").write_text(json.dumps(slack()[:12]), "utf-8")
    (days / "2026-01-03.json").write_text(json.dumps(slack()[12:]), "utf-8")
    (tmp_path / "users.json").write_text(json.dumps([{"id": f"U{at}", "name": who} for at, who in enumerate(("ann", "ben"))]), "utf-8")
    examples, loaded = read(tmp_path, {"assistant": "ben"})
    assert spoken(examples) == TALK
    assert Counter(lost.source for lost in loaded.left_out)["users.json"] == 2


def test_slacks_numbers_become_the_names_of_its_members(tmp_path: Path) -> None:
    said = [{name: cell for name, cell in one.items() if name != "user_profile"} for one in slack()]
    said[0]["text"] = "<@U1>, one thing. " + said[0]["text"]
    (tmp_path / "general").mkdir()
    (tmp_path / "general" / "2026-01-02.json").write_text(json.dumps(said), "utf-8")
    assert {"U0", "U1"} <= set(read(tmp_path, {"assistant": "U1"})[1].speakers), "nothing says who they are"
    members = [{"id": "U0", "name": "ann", "profile": {"display_name": ""}}, {"id": "U1", "name": "b", "profile": {"display_name": "ben"}}]
    (tmp_path / "users.json").write_text(json.dumps(members), "utf-8")
    examples, loaded = read(tmp_path, {"assistant": "ben"})
    assert set(loaded.speakers) == {"ann", "ben"}
    assert spoken(examples)[0][1].startswith("@ben, one thing.")


# ---- messages as rows ---------------------------------------------------------------------------------------------------------------


def table_of(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0])
    return "\n".join(",".join(map(str, line)) for line in [columns, *([row[name] for name in columns] for row in rows)]) + "\n"


def test_rows_that_are_one_message_each_become_conversations(tmp_path: Path) -> None:
    by_number = [{"dialog_id": at // 2, "role": role, "content": text} for at, (role, text) in enumerate(TALK)]
    (tmp_path / "a.csv").write_text(table_of(by_number), "utf-8")
    examples, loaded = read(tmp_path / "a.csv")
    assert (examples, loaded.certain) == ([[("user", asked), ("assistant", told)] for asked, told in QA], True)
    one_talk = [{"role": role, "content": text} for role, text in TALK]
    (tmp_path / "b.json").write_text(json.dumps(one_talk), "utf-8")
    examples, loaded = read(tmp_path / "b.json")
    assert (spoken(examples), loaded.certain) == (TALK, True)
    assert {len(example) for example in examples} == {4}


def test_a_log_with_dates_is_a_chat_and_reviews_are_none(tmp_path: Path) -> None:
    names = {"user": "Ann", "assistant": "Ben"}
    log = [{"Date": f"2026-01-02 10:{at:02d}", "From": names[role], "Message": text} for at, (role, text) in enumerate(TALK)]
    (tmp_path / "a.csv").write_text(table_of(log), "utf-8")
    examples, loaded = read(tmp_path / "a.csv")
    assert (spoken(examples), loaded.certain, loaded.speakers) == (TALK, False, ("Ann", "Ben"))
    reviews = [{"date": "2026-01-02", "author": f"guest {at}", "text": f"A fine place to stay for {at} days."} for at in range(20)]
    (tmp_path / "b.csv").write_text(table_of(reviews), "utf-8")
    assert read(tmp_path / "b.csv")[1].shape == "text"


def test_talks_between_changing_people_are_asked_by_place(tmp_path: Path) -> None:
    pairs = enumerate(QA)
    rows = [{"dialogue": [{"speaker": f"A{at}", "text": asked}, {"speaker": f"B{at}", "text": told}]} for at, (asked, told) in pairs]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert (spoken(examples), loaded.certain, loaded.roles["assistant"]) == (TALK, False, SECOND)


def test_of_many_people_who_answers_everywhere_is_the_guess(tmp_path: Path) -> None:
    pairs = enumerate(QA * 2)
    rows = [{"dialogue": [{"speaker": f"A{at}", "text": asked}, {"speaker": "Cid", "text": told}]} for at, (asked, told) in pairs]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    examples, loaded = read(tmp_path / "a.json")
    assert (spoken(examples), loaded.certain, loaded.roles["assistant"]) == (TALK * 2, False, "Cid")


def test_pieces_of_one_long_talk_are_told_apart_and_a_faulty_one_costs_itself(tmp_path: Path) -> None:
    talk: list[dict[str, object]] = [{"role": role, "content": text} for role, text in TALK]
    talk[8] = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "text", "text": "What is this?"}]}
    (tmp_path / "a.json").write_text(json.dumps({"messages": talk}), "utf-8")
    examples, loaded = load_examples(tmp_path / "a.json")
    assert [example.row for example in examples] == [1, 5, 13, 17, 21]
    assert [lost.row for lost in loaded.left_out] == [9]
    (tmp_path / "b.json").write_text(json.dumps({"messages": [{"role": "user", "content": text} for _, text in TALK]}), "utf-8")
    with pytest.raises(UserError, match="no answer to learn from"):
        load_examples(tmp_path / "b.json")


# ---- names ---------------------------------------------------------------------------------------------------------------------------


def test_names_are_replaced_as_words_and_only_those() -> None:
    renamed = people.renaming(["Ann Lee", "Will", "Ben Lee", "user", SECOND])
    assert renamed("Ann Lee, ann lee and @Ann meet Ben and Will.") == "Person A, Person A and Person A meet Person C and Person B."
    assert renamed("Annual: the Lees, Lee, will.") == "Annual: the Lees, Lee, will."  # shared, longer or common words are no names
    assert people.people(["user", SECOND, "+49 1", "Ann"]) == ("Ann",)


def test_everybody_in_a_chat_of_thousands_is_renamed(tmp_path: Path) -> None:
    names = [f"Zed{chr(97 + at // 26)}{chr(97 + at % 26)}{chr(97 + at // 676)} Moor" for at in range(676)] * 2
    rows = [
        {"conversation": [{"speaker": name, "text": f"Is it {at}?"}, {"speaker": "Ann", "text": f"Yes, {name}."}]}
        for at, name in enumerate(f"{name}{'x' * (at // 676)}" for at, name in enumerate(names))
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows), "utf-8")
    _, loaded = load_examples(tmp_path / "a.json")
    said = {row["conversation"][0]["speaker"] for row in rows}
    assert said <= set(loaded.speakers)
    renamed = people.renaming(loaded.speakers)
    assert all("Zed" not in renamed(row["conversation"][1]["text"]) for row in rows)
