"""Owns chats as the programs that people talk with export them: Telegram, Discord, Slack, Messenger, ChatGPT, WhatsApp.

Invariants: messages stay in the order in which they were sent; each is in a conversation or left out with the reason. A conversation ends
where hours pass before the next word.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

PROGRAM = "exported from"  # a column of each row
PAUSE = 6 * 3600  # seconds of silence after which another conversation begins
NOT_SAID = "A note of the program itself, which nobody said."
NO_WORDS = "A picture, a recording or a file without words."
DELETED = "It was deleted."

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """One message. `reason`: why it is left out; `own`: of the one whose export it is, or of a bot."""

    number: int
    who: str
    text: str
    at: float | None = None
    reason: str = ""
    own: bool = False


@dataclass(frozen=True)
class Chat:
    """The messages of one chat."""

    program: str
    name: str
    said: tuple[Said, ...]

    def rows(self) -> Iterator[tuple[int, Any, str]]:
        """A row for each conversation, numbered by its first message, and each message that is left out."""
        turns: list[dict[str, str]] = []
        first, last = 0, None
        for said in self.said:
            if said.reason or not said.text.strip():
                yield said.number, None, said.reason or NO_WORDS
                continue
            if turns and last is not None and said.at is not None and said.at - last > PAUSE:
                yield first, self._row(turns), ""
                turns = []
            first = first if turns else said.number
            last = said.at if said.at is not None else last
            if turns and turns[-1]["name"] == said.who:
                turns[-1]["content"] += f"\n{said.text}"
            else:
                turns.append({"role": "assistant" if said.own else said.who, "name": said.who, "content": said.text})
        if turns:
            yield first, self._row(turns), ""

    def _row(self, turns: list[dict[str, str]]) -> dict[str, Any]:
        about = {PROGRAM: self.program, "chat with": self.name}
        return {**{name: said for name, said in about.items() if said}, "conversation": turns}


def of_document(whole: Any) -> list[Chat] | None:
    """The chats in a JSON document, or None where it is no export of a program that is known."""
    return next((found for known in _PROGRAMS if (found := known(whole)) is not None), None)


def moment(value: Any) -> float | None:
    """Seconds of a moment given as a number or in ISO's form."""
    if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\d{9,}(\.\d+)?", value)):
        seconds = float(value)
        return seconds / 1000 if seconds > 1e11 else seconds
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _messages(value: Any) -> list[Object]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _flat(text: Any) -> str:
    """A text that may be given in pieces, as Telegram does with links and bold words."""
    if isinstance(text, list):
        return "".join(_flat(part) for part in text)
    return str(text.get("text", "")) if isinstance(text, Mapping) else text if isinstance(text, str) else ""


# ---- the programs ------------------------------------------------------------------------------------------------------------


def _telegram(whole: Any) -> list[Chat] | None:
    """One chat, or all of an account."""
    if not isinstance(whole, Mapping):
        return None
    inner = whole.get("chats")
    chats = _messages(inner.get("list")) if isinstance(inner, Mapping) else [whole]
    found = [chat for chat in chats if _is_telegram(_messages(chat.get("messages")))]
    return [_telegram_chat(chat) for chat in found] or None


def _is_telegram(messages: Sequence[Object]) -> bool:
    marks = sum(m.get("type") in ("message", "service") and ("from_id" in m or "actor" in m or "text_entities" in m) for m in messages)
    return marks * 2 >= len(messages) > 0


def _telegram_chat(chat: Object) -> Chat:
    name = str(chat.get("name") or "")
    personal = str(chat.get("type", "")).startswith(("personal", "bot")) and bool(name)

    def said(number: int, message: Object) -> Said:
        who = str(message.get("from") or message.get("actor") or message.get("from_id") or "someone")
        reason = NOT_SAID if message.get("type") == "service" else ""
        at = moment(message.get("date_unixtime") or message.get("date"))
        return Said(number, who, _flat(message.get("text")), at, reason, own=personal and who != name)

    return Chat("Telegram", name, tuple(said(number, m) for number, m in enumerate(_messages(chat.get("messages")), 1)))


def _discord(whole: Any) -> list[Chat] | None:
    messages = _messages(whole.get("messages")) if isinstance(whole, Mapping) and "channel" in whole else []
    if not messages or not all(isinstance(message.get("author"), Mapping) for message in messages):
        return None

    def said(number: int, message: Object) -> Said:
        author = message["author"]
        who = str(author.get("nickname") or author.get("name") or author.get("username") or author.get("id") or "someone")
        reason = "" if message.get("type", "Default") in ("Default", "Reply", 0, 19) else NOT_SAID
        bot = author.get("isBot") is True or author.get("bot") is True
        return Said(number, who, _flat(message.get("content")), moment(message.get("timestamp")), reason, own=bot)

    channel = whole["channel"]
    name = str(channel.get("name") or "") if isinstance(channel, Mapping) else ""
    return [Chat("Discord", name, _in_time([said(number, m) for number, m in enumerate(messages, 1)]))]


def _slack(whole: Any) -> list[Chat] | None:
    """The messages of a channel, as each of Slack's day files lists them."""
    messages = _messages(whole.get("messages") if isinstance(whole, Mapping) else whole)
    if not messages or not all(
        "ts" in message and ("user" in message or "subtype" in message or "bot_id" in message) for message in messages
    ):
        return None

    def said(number: int, message: Object) -> Said:
        about = message.get("user_profile")
        names = (about if isinstance(about, Mapping) else {}).get
        who = names("display_name") or names("real_name") or names("name") or message.get("username") or message.get("user") or "a bot"
        subtype = message.get("subtype")
        reason = NOT_SAID if subtype and subtype not in ("bot_message", "thread_broadcast", "me_message", "file_share") else ""
        text = re.sub(r"<([^|<>]+)\|([^<>]+)>", r"\2", _flat(message.get("text")))
        return Said(number, str(who), html.unescape(text), moment(message.get("ts")), reason)

    return [Chat("Slack", "", _in_time([said(number, m) for number, m in enumerate(messages, 1)]))]


def _messenger(whole: Any) -> list[Chat] | None:
    """Messenger and Instagram: the latest message first, and letters that were written down as bytes."""
    messages = _messages(whole.get("messages")) if isinstance(whole, Mapping) and "participants" in whole else []
    if not messages or not all("sender_name" in message and "timestamp_ms" in message for message in messages):
        return None

    def mended(text: str) -> str:
        try:
            return text.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return text

    def said(number: int, message: Object) -> Said:
        reason = DELETED if message.get("is_unsent") else ""
        return Said(
            number, mended(str(message["sender_name"])), mended(_flat(message.get("content"))), moment(message["timestamp_ms"]), reason
        )

    title = mended(str(whole.get("title") or ""))
    return [Chat("Messenger", title, _in_time([said(number, m) for number, m in enumerate(messages, 1)]))]


def _in_time(said: list[Said]) -> tuple[Said, ...]:
    """In the order of their moments, where all have one."""
    return tuple(sorted(said, key=lambda one: one.at or 0)) if all(one.at is not None for one in said) else tuple(said)


_PROGRAMS: tuple[Callable[[Any], list[Chat] | None], ...] = (_telegram, _discord, _slack, _messenger)


# ---- WhatsApp ------------------------------------------------------------------------------------------------------------------

_MARKS = "\u200e\u200f\u202a\u202c\ufeff"
_LINE = re.compile(
    rf"[{_MARKS}]*(?P<open>\[)?(?P<day>\d{{1,4}}[./-]\s?\d{{1,2}}[./-]\s?\d{{1,4}})\.?,?\s+(?:(?:at|um|à|a las|alle)\s+)?"
    r"(?P<early>上午|下午|午前|午後)?\s?(?P<time>\d{1,2}[:.]\d{2}(?:[:.]\d{2})?)"
    r"(?:[\s\u202f\u00a0]*(?P<half>[AaPp]\.?[\s\u00a0]?[Mm]\.?))?(?:\s(?:Uhr|h))?(?P<shut>\])?"
    rf"(?P<dash>\s[-\u2013\u2014]\s)?\s*[{_MARKS}]*(?P<rest>.*)",
    re.DOTALL,
)
_WHO = re.compile(rf"[{_MARKS}~ ]*([^:\n]{{1,60}}?):\s([\s\S]*)|[{_MARKS}~ ]*([^:\n]{{1,60}}):$")
_LEFT = "omitted|weggelassen|ausgeschlossen|omitid[oa]s?|omess[oi]|absente?s?|weggelaten|ocult[oa]s?"
_ADDED = "file attached|Datei angehängt|archivo adjunto|fichier joint|file allegato"
_OMITTED = re.compile(rf"(?:<[^<>\n]{{3,60}}>|.{{0,40}}\b(?:{_LEFT})>?|.{{0,80}}\((?:{_ADDED})\)|null)\s*", re.IGNORECASE)
_GONE = re.compile(
    r"(?:this message was deleted|you deleted this message|diese nachricht wurde gelöscht|se eliminó este mensaje)\W*", re.IGNORECASE
)
_CALL = re.compile(
    r"(?:missed (?:voice|video) call|messages and calls are end-to-end encrypted|nachrichten und anrufe sind ende-zu-ende).*",
    re.IGNORECASE | re.DOTALL,
)


def is_whatsapp(text: str) -> bool:
    """Whether the first lines are dated messages, most of them with who sent them."""
    lines = [line for line in text[:20_000].split("\n")[:-1] or [text] if line.strip()][:60]
    dated = [match for line in lines if (match := _dated(line))]
    return len(dated) >= 3 and bool(_dated(lines[0])) and 2 * sum(bool(_WHO.fullmatch(match["rest"])) for match in dated) >= len(dated)


def whatsapp(text: str) -> Chat:
    """The chat of an exported text file: messages of several lines, notes of the program, days in any country's order."""
    found: list[tuple[int, re.Match[str], list[str]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := _dated(line):
            found.append((number, match, [match["rest"]]))
        elif found:
            found[-1][2].append(line)
    read = _days([match for _, match, _ in found])
    said = [_whatsapp_said(number, "\n".join(lines).rstrip(), at) for (number, _, lines), at in zip(found, read, strict=True)]
    return Chat("WhatsApp", "", tuple(said))


def _dated(line: str) -> re.Match[str] | None:
    match = _LINE.fullmatch(line.rstrip("\r"))
    return match if match and ((match["open"] and match["shut"]) or (match["dash"] and not match["open"])) else None


def _whatsapp_said(number: int, rest: str, at: float | None) -> Said:
    match = _WHO.fullmatch(rest)
    if not match:
        return Said(number, "", rest, at, NOT_SAID)
    who, text = (match[1] or match[3]).strip(), (match[2] or "").strip()
    bare = text.strip(_MARKS)
    reason = DELETED if _GONE.fullmatch(bare) else NOT_SAID if _CALL.fullmatch(bare) else NO_WORDS if _OMITTED.fullmatch(bare) else ""
    return Said(number, who, text.strip(_MARKS), at, reason)


def _days(matches: Sequence[re.Match[str]]) -> list[float | None]:
    """The moments of messages. Which of day and month comes first is said by the first that is above twelve; else by how hours are told."""
    parts = [[int(part) for part in re.split(r"[./-]\s?", match["day"])] for match in matches]
    month_first = any(match["half"] for match in matches)
    if any(part[0] > 12 and part[0] < 32 for part in parts):
        month_first = False
    elif any(part[1] > 12 for part in parts):
        month_first = True
    return [_at(match, part, month_first) for match, part in zip(matches, parts, strict=True)]


def _at(match: re.Match[str], day: list[int], month_first: bool) -> float | None:
    year, month, date = day if day[0] > 31 else (day[2], *(day[:2] if month_first else (day[1], day[0])))
    hour, minute, *second = (int(part) for part in re.split(r"[:.]", match["time"]))
    late = (match["half"] or "").lower().startswith("p") or match["early"] in ("下午", "午後")
    early = (match["half"] or "").lower().startswith("a") or match["early"] in ("上午", "午前")
    hour = hour % 12 + 12 * late if late or early else hour
    try:
        return datetime(year + 2000 if year < 100 else year, month, date, hour, minute, *second, tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
