"""Trains on what teaches nothing, for real, and fails where that is called learned or usable.

    python -m benchmarks.controls_proof --home HOME [--only shuffled,hashes] > table.md

Each control is a file as a person might bring it, made from a seed; the plan is one click's. The exit code is 1 where one of them ends
with “learned: yes” or “usable: yes”. Made-up answers of the same kinds are judged in tests/evaluations/test_conclusion.py, which takes
no training.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.labfail.make.texts import as_csv
from loralab.lab import Lab

Rows = list[dict[str, str]]
ROWS = 200
SYLLABLES = ("die", "lie", "ser", "ka", "mo", "rin", "tel", "gas", "bo", "nu", "wen", "fli", "da", "ru", "schi", "pel")


def main() -> None:
    """Train on every control and fail where one is believed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--only", default="", help=f"of {', '.join(CONTROLS)}")
    asked = parser.parse_args()
    asked.home.mkdir(parents=True, exist_ok=True)
    lab, believed = Lab(asked.home), 0
    sys.stdout.write("| control | updates | minutes | learned | usable | what was said |\n|---|--:|--:|---|---|---|\n")
    for name, make in CONTROLS.items():
        if asked.only and name not in asked.only.split(","):
            continue
        path = asked.home / f"{name}.csv"
        path.write_text(as_csv(make(random.Random(7))), "utf-8")
        begun = time.monotonic()
        view = lab.wait(lab.start(lab.propose(lab.profile(path))))
        found = view.conclusion
        learned, usable = (found.learned, found.usable) if found else ("-", "-")
        words = f"{found.learned_words} {found.usable_words} {found.but}" if found else view.state
        sys.stdout.write(f"| {name} | {view.step} | {(time.monotonic() - begun) / 60:.1f} | {learned} | {usable} | {words} |\n")
        sys.stdout.flush()
        believed += learned == "yes" or usable == "yes"
    sys.exit(believed > 0)


def _messages() -> Rows:
    with (Path(__file__).resolve().parent.parent / "data" / "samples" / "customer_messages.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shuffled(dice: random.Random) -> Rows:
    """Messages with each other's labels."""
    rows = _messages()
    labels = [row["category"] for row in rows]
    dice.shuffle(labels)
    return [{"text": row["text"], "category": label} for row, label in zip(rows, labels, strict=True)]


def hashes(dice: random.Random) -> Rows:
    """Answers that are ids."""
    return _answered(dice, lambda text: hashlib.sha256(text.encode()).hexdigest()[:12])


def json_dumps(dice: random.Random) -> Rows:
    """Answers that are records of another program, in which nothing follows from the question."""
    return _answered(dice, lambda _: json.dumps({"id": dice.randrange(10**6), "state": dice.choice("ABC"), "at": dice.randrange(10**9)}))


def letters(dice: random.Random) -> Rows:
    """One letter each, drawn by lot."""
    return _answered(dice, lambda _: dice.choice("abcd"))


def gibberish(dice: random.Random) -> Rows:
    """Answers in a language that nobody speaks."""
    return _answered(dice, lambda _: " ".join("".join(dice.choices(SYLLABLES, k=2)) for _ in range(dice.randint(4, 9))).capitalize() + ".")


def one_answer(dice: random.Random) -> Rows:
    """The same sentence to whatever is asked."""
    return _answered(dice, lambda _: "Thank you for your message. We will look into it and come back to you soon.")


def copies(dice: random.Random) -> Rows:
    """Forty questions five times each, hardly another word: what is kept aside was learned from."""
    rows = _answered(dice, lambda text: f"About “{text[:60]}”: we have made a note of it, and a colleague will call you.")[:40]
    return [
        row | {"question": f"{row['question']} {end}"} for end in ("Thanks", "Please help", "Regards", "Thank you", "Hi") for row in rows
    ]


def _answered(dice: random.Random, answer: Callable[[str], str]) -> Rows:
    """Real messages with such answers."""
    return [{"question": row["text"], "answer": answer(row["text"])} for row in dice.sample(_messages(), ROWS)]


CONTROLS: dict[str, Callable[[random.Random], Rows]] = {
    make.__name__: make for make in (shuffled, hashes, json_dumps, letters, gibberish, one_answer, copies)
}


if __name__ == "__main__":
    main()
