"""Makes the conversations the starter model learned to chat from, out of licence-clean sources. Run once, by whoever remakes the starter:

    python -m benchmarks.make_starter_chat ../shared/data chat.jsonl

Rows that are bundled as samples are left out, so that a demo on a sample shows something the starter has not already seen.
"""

from __future__ import annotations

import csv
import json
import lzma
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
SKIPPED_TOPICS = {"humor", "gossip", "psychology", "politics", "money"}  # jokes and remarks one would not read out in a class
Turns = list[dict[str, str]]


def conversation(*turns: str) -> Turns:
    """Turns in order, the person's first."""
    return [{"role": "assistant" if i % 2 else "user", "content": turn.strip()} for i, turn in enumerate(turns)]


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a .jsonl or .jsonl.xz file."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def small_talk(folder: Path) -> Iterator[Turns]:
    """ChatterBot corpus, BSD-3."""
    for row in rows_of(folder / "text/chat_english.jsonl"):
        if row["topic"] not in SKIPPED_TOPICS and len(row["messages"][-1]["content"]) < 300:
            yield row["messages"]


def medicine(folder: Path) -> Iterator[Turns]:
    """MedQuAD, CC BY 4.0: short answers, and none of the questions of the bundled sample's source file."""
    with (folder / "text/medquad_faq_1000.csv").open(encoding="utf-8", newline="") as file:
        kept_aside = {row["question"] for row in csv.DictReader(file)}
    for row in rows_of(folder / "text/medquad.jsonl.xz"):
        answer = re.sub(r"\s+", " ", row["answer"])
        if 20 < len(answer) < 350 and row["question"] not in kept_aside:
            yield conversation(row["question"].replace(" ?", "?"), answer)


def tasks(folder: Path) -> Iterator[Turns]:
    """Self-Instruct seeds, Apache-2.0."""
    for row in rows_of(folder / "text/self_instruct_seed_tasks.jsonl"):
        for instance in row["instances"]:
            if 0 < len(instance["output"]) < 400 and len(instance["input"]) < 400:
                yield conversation(f"{row['instruction']}\n\n{instance['input']}", instance["output"])


def sums(folder: Path) -> Iterator[Turns]:
    """GSM8K, MIT: the short ones, without the calculator marks."""
    for row in rows_of(folder / "text/gsm8k_train.jsonl"):
        answer = re.sub(r"<<.*?>>", "", row["answer"]).replace("#### ", "The answer is ")
        if len(answer) < 220:
            yield conversation(row["question"], answer)


def stories(folder: Path) -> Iterator[Turns]:
    """Storybooks (CC BY) told whole, and public-domain children's books gone on from for a few sentences."""
    chance = random.Random(1)
    for row in rows_of(folder / "pretrain/simple_english.jsonl.xz"):
        text = row["text"]
        if "storybook" in row["source"] and 150 < len(text) < 1400 and row.get("title"):
            ask = chance.choice(("Tell me a story called “{}”.", "Please tell me a story: {}", "Write a short story with the title “{}”."))
            yield conversation(ask.format(row["title"]), text)
        elif row["source"] == "gutenberg_children":
            paragraphs = [re.sub(r"\s+", " ", p) for p in text.split("\n\n") if 200 < len(p) < 700]
            for paragraph in chance.sample(paragraphs, min(9, len(paragraphs))):
                sentences = re.split(r"(?<=[.!?])[”\"]? +(?=[A-Z“\"])", paragraph)
                if len(sentences) >= 3:
                    ask = chance.choice(("Go on from here: ", "What comes next? ", "Continue the story: "))
                    yield conversation(ask + " ".join(sentences[:1]), " ".join(sentences[1:4]))


def squeezed(text: str) -> str:
    """A text without case, blanks and punctuation, to recognise it by."""
    return re.sub(r"\W+", "", text).lower()


def bundled() -> set[str]:
    """Every question of the bundled samples."""
    found: set[str] = set()
    for path in SAMPLES.glob("*.jsonl"):
        for row in rows_of(path):
            found.add(squeezed(row["messages"][0]["content"] if "messages" in row else next(iter(row.values()))))
    for path in SAMPLES.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            found |= {squeezed(next(iter(row.values()))) for row in csv.DictReader(file)}
    return found


def main(folder: Path, target: Path) -> None:
    """Write the conversations in a seeded order."""
    aside = bundled()
    quota = {small_talk: 3000, medicine: 2500, tasks: 400, sums: 1200, stories: 3500}
    chosen: dict[str, Turns] = {}
    for source, most in quota.items():
        rows = [turns for turns in source(folder) if all(turn["content"].strip() for turn in turns)]
        random.Random(0).shuffle(rows)
        rows = [turns for turns in rows if squeezed(turns[0]["content"]) not in aside][:most]
        chosen |= {json.dumps(turns): turns for turns in rows}
        sys.stderr.write(f"{source.__name__}: {len(rows)}\n")
    rows = list(chosen.values())
    random.Random(0).shuffle(rows)
    target.write_text("".join(json.dumps({"messages": turns}, ensure_ascii=False) + "\n" for turns in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
