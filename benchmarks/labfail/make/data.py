"""Owns the data sets of LabFail: six kinds of examples, two generated and four bundled. Invariant: a name, a size and a seed give the rows.

No base has been taught any of them (see bases.lessons).
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import SAMPLES

Row = dict[str, str]
QUESTION, ANSWER = "prompt", "completion"

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_THINGS = ("lamp", "kettle", "desk", "chair", "clock", "radio", "mirror", "bicycle")
_PLACES = ("kitchen", "garden", "cellar", "office", "hall", "attic")
_WISHES = (
    "Where is my {thing}?",
    "I want to send back the {thing}.",
    "The {thing} arrived broken.",
    "Can I still change my {thing} order?",
)
_REPLIES = (
    "Dear customer, your {thing} number {n} is on its way to you. Kind regards, Ada",
    "Dear customer, please send {thing} number {n} back within thirty days. Kind regards, Ada",
    "Dear customer, we are sorry. A new {thing} for number {n} leaves today. Kind regards, Ada",
    "Dear customer, order {n} for the {thing} can be changed until noon. Kind regards, Ada",
)


def numbers(n: int, draw: random.Random) -> list[Row]:
    """Say a number digit by digit."""
    chosen = draw.sample(range(100, 10_000), n)
    return [{QUESTION: f"Say {value} in words.", ANSWER: " ".join(_DIGITS[int(digit)] for digit in str(value))} for value in chosen]


def support(n: int, draw: random.Random) -> list[Row]:
    """A shop's answers in its own tone; which of four depends on the question, and the number must be copied."""
    rows: list[Row] = []
    for value in draw.sample(range(1000, 9999), n):
        kind, thing, place = draw.randrange(len(_WISHES)), draw.choice(_THINGS), draw.choice(_PLACES)
        question = f"{_WISHES[kind].format(thing=thing)} It is for the {place}, order {value}."
        rows.append({QUESTION: question, ANSWER: _REPLIES[kind].format(thing=thing, n=value)})
    return rows


def labels(n: int, draw: random.Random) -> list[Row]:
    """What a bank customer's message is about."""
    with (SAMPLES / "customer_messages.csv").open(encoding="utf-8", newline="") as file:
        rows = [{"text": row["text"], "category": row["category"]} for row in csv.DictReader(file)]
    return draw.sample(rows, min(n, len(rows)))


def chat(n: int, draw: random.Random) -> list[Row]:
    """Small talk with a cheerful robot."""
    turns = [json.loads(line)["messages"] for line in (TEXTS / "class_chatbot.jsonl").read_text("utf-8").splitlines()]
    rows = [{QUESTION: turn[0]["content"], ANSWER: turn[-1]["content"]} for turn in turns if len(turn) == 2]
    return draw.sample(rows, min(n, len(rows)))


def desk(n: int, draw: random.Random) -> list[Row]:
    """What an alarm of an intrusion detector looks for; answers of a sentence."""
    rows = [json.loads(line) for line in (TEXTS / "security_desk.jsonl").read_text("utf-8").splitlines()]
    short = [{QUESTION: row["question"], ANSWER: row["answer"]} for row in rows if len(row["answer"]) < 180]
    return draw.sample(short, min(n, len(short)))


def plain(n: int, draw: random.Random) -> list[Row]:
    """Stretches of a health library's text, without questions."""
    with (TEXTS / "medical_faq.csv").open(encoding="utf-8", newline="") as file:
        rows = [{"text": row["answer"][:220]} for row in csv.DictReader(file)]
    return draw.sample(rows, min(n, len(rows)))


MAKERS: dict[str, Callable[[int, random.Random], list[Row]]] = {
    "numbers": numbers,
    "support": support,
    "labels": labels,
    "chat": chat,
    "desk": desk,
    "plain": plain,
}


def rows_of(name: str, n: int, seed: int) -> list[Row]:
    """`n` rows of a data set (fewer where it has no more)."""
    return MAKERS[name](n, random.Random(f"{name} {seed}"))


def columns(rows: Sequence[Row]) -> tuple[str, str]:
    """The columns that ask and answer; for plain text the same one twice."""
    names = list(rows[0])
    return names[0], names[-1]


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """As .jsonl."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path
