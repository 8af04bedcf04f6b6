"""How good the gates and the builder are, on faults and facts that are planted: counts, so that a busy computer gives the same numbers.

    python -m benchmarks.synthesis [--rows FILE]

Predictions, written down before: each gate stops >= 95 % of its faults and <= 5 % of good rows; rows with the passage of another are
refused >= 95 %; >= 70 % of 200 planted facts are found without a language model. `--rows`: good rows of somebody else, beside our own
town's.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loralab.core.jobs import BuildDataJob
from loralab.datasets.synthesis.build_job import assemble, documents
from loralab.datasets.synthesis.files import read_rows
from loralab.datasets.synthesis.gates import Yard, gates, sift
from loralab.datasets.synthesis.passages.bounded import Bounded
from loralab.datasets.synthesis.rows import TEST, MadeRow, Passage, mark
from loralab.datasets.synthesis.search.space import words
from loralab.datasets.synthesis.split import with_split
from tests.support.corpus import Town, town

PLANTED = 100  # faults of each kind
Fault = Callable[[MadeRow, random.Random], MadeRow]

REFUSALS = (
    "I'm sorry, but I can't help with that.", "As an AI language model, I do not have opinions.", "I cannot provide medical advice.",
    "I am unable to answer this question.", "Sorry, I can't assist with that request.", "I don't have enough information to answer.",
    "Unfortunately, I cannot say.", "I apologize, but I cannot discuss this.", "As a language model I have no access to this.",
    "I'm just an AI, so I have never been there.", "Es tut mir leid, aber ich kann das nicht beantworten.",
    "Lo siento, pero no puedo ayudar con eso.",
)  # fmt: skip
AROUND = (
    "We use cookies to make this site better. Accept all cookies", "Copyright 2019. All rights reserved.",
    "Click here to read more about this.",
    "Subscribe to our newsletter for more.", "Share this on Facebook or follow us on Twitter.", "Skip to main content. Menu. Home.",
    "Lorem ipsum dolor sit amet.", "[insert your answer here]", "Dear {{customer_name}}, thank you.", "Page 3 of 12", "Back to top",
    "Table of contents ........ 4", "Your browser does not support video. Enable JavaScript.", "<|endoftext|> and so on",
)  # fmt: skip
FOREIGN = (
    "Das Gebäude wurde vor vielen Jahren am Ufer des Flusses errichtet und seitdem mehrmals umgebaut.",
    "Die meisten Besucher kommen am frühen Morgen, weil es dann in den Gassen noch ruhig ist.",
    "Le bâtiment a été construit au bord de la rivière et il a été restauré plusieurs fois depuis.",
    "La plupart des visiteurs arrivent tôt le matin, quand les ruelles sont encore calmes.",
    "El edificio fue construido a la orilla del río y desde entonces ha sido restaurado varias veces.",
    "La maggior parte dei visitatori arriva la mattina presto, quando i vicoli sono ancora tranquilli.",
)
PRIVATE = (
    "Write to {n}.keller@mailbox.org.", "Her number is 555-{n}-4567.", "Call +44 20 7946 0{n}.",
    "The password: hunter{n}2xy7", "The key is sk-proj-{n}abcdefghijklmnop1234",
)  # fmt: skip
NO_QUESTIONS = (
    "The question is asking for a concise answer that conveys the meaning of the sentence.",
    "The answer to this question is:",
    "Here the given sentence is said once more in other words.",
    "It is a rare condition of the skin that affects many people around the world in all of their lives.",
)
RUDE = (
    "You are a stupid asshole.",
    "Go die, nobody wants you.",
    "What a bunch of bullshit, you bitch.",
    "Kill yourself.",
    "Du Arschloch, verpiss dich.",
)


def built(place: Town, folder: Path) -> tuple[list[MadeRow], list[Passage], Any]:
    """What the builder makes of the town."""
    asked = BuildDataJob(paths=(str(place.write(folder)),), out="town.jsonl")
    files, reader = documents(asked.paths), Bounded()
    parts = [reader.read(path, name) for name, path in files]
    reader.close()
    report, (rows, _, passages, _) = assemble(asked, files, parts)
    return rows, passages, report


def recall(place: Town, rows: Sequence[MadeRow]) -> tuple[int, Counter[str], Counter[str]]:
    """Facts that a row asks for by their subject and answers with their value: all, found by form, planted by form."""
    found, planted = Counter[str](), Counter(fact.form for fact in place.facts)
    for fact in place.facts:
        found[fact.form] += any(
            fact.value.casefold() in row.answer.casefold() and (fact.subject.casefold() in row.question.casefold()) for row in rows
        )
    return found.total(), found, planted


def faults() -> dict[str, Fault]:
    """For each gate a way to make a bad row of a good one."""

    def changed(**values: Any) -> Callable[[MadeRow], MadeRow]:
        return lambda row: row.model_copy(update=values)

    def number(row: MadeRow, chance: random.Random) -> MadeRow:
        said = f"{row.answer} It was {chance.randrange(2001, 2999)} in all, says {chance.choice(('Mr Xanthippe', 'old Quillfeather'))}."
        return changed(answer=said)(row)

    def near(row: MadeRow, chance: random.Random) -> MadeRow:
        said = row.answer.split(" ")
        said.insert(chance.randrange(1, len(said) + 1), chance.choice(("really", "indeed", "also")))
        return changed(answer=" ".join(said))(row)

    def turned(row: MadeRow, chance: random.Random) -> MadeRow:
        said = row.question.rstrip("?.").split(" ")
        first = said[0].lower() if said[0] in ("What", "When", "Where", "How", "Who", "By", "Fill", "Which") else said[0]
        middle = len(said) // 2
        return changed(question=f"{' '.join(said[middle:])}: {' '.join([first, *said[1:middle]])}?")(row)

    return {
        "exact": lambda row, _: changed(question=row.question.upper().replace("?", " ?"), answer=f"{row.answer}  ")(row),
        "minhash": near,
        "alike": turned,
        "length": lambda row, chance: changed(answer=chance.choice(("", "...", "?!", row.answer * (1 + 4001 // max(1, len(row.answer))))))(
            row
        ),
        "language": lambda row, chance: changed(answer=chance.choice(FOREIGN))(row),
        "refusals": lambda row, chance: changed(answer=chance.choice(REFUSALS))(row),
        "boilerplate": lambda row, chance: changed(answer=chance.choice(AROUND))(row),
        "evidence": lambda row, chance: changed(evidence=_word_changed(row.evidence, chance))(row),
        "grounded": number,
        "private": lambda row, chance: changed(answer=f"{row.answer} {chance.choice(PRIVATE).format(n=chance.randrange(100, 999))}")(row),
        "toxicity": lambda row, chance: changed(answer=f"{row.answer} {chance.choice(RUDE)}")(row),
        "asks": lambda row, chance: changed(question=chance.choice(NO_QUESTIONS), kind="paraphrase")(row),
        "domain": lambda row, chance: changed(answer=f"{row.answer} You will surely win.")(row),
    }


def _word_changed(text: str, chance: random.Random) -> str:
    said = text.split(" ")
    said[chance.randrange(len(said))] = "quixotry"
    return " ".join(said)


def of_gate(name: str, fault: Fault, good: Sequence[MadeRow], passages: dict[str, str]) -> tuple[int, int, int]:
    """(faults planted, stopped, good rows among them stopped), by this gate alone."""
    chance = random.Random(name)
    fitting = [row for row in good if _can(name, row)]
    chosen = chance.sample(fitting, min(PLANTED, max(1, len(good) // 3), len(fitting)))
    bad = [
        fault(row, chance).model_copy(update={"id": f"bad{at}", "origin": "synthetic", "split": "train"}) for at, row in enumerate(chosen)
    ]
    yard = Yard(passages=passages, refuse=("you will surely win",))
    binned = gates()[name].judge([*good, *bad], yard)
    return len(bad), sum(at >= len(good) for at in binned), sum(at < len(good) for at in binned)


def _can(name: str, row: MadeRow) -> bool:
    """Whether a fault of this kind can be made of a row so that it is one: one word more in three is no near copy."""
    said = len(row.answer.split())
    return {
        "minhash": said + len(row.question.split()) >= 30,
        "alike": len(row.question.split()) >= 4,
        "asks": said > 3,
        "evidence": len(row.evidence.split()) > 2,
    }.get(name, True)


def contamination(good: Sequence[MadeRow]) -> tuple[int, int, int]:
    """Rows to learn from that ask a held-out question, hold its answer within another, half of it, or were written of it ten times."""
    chance = random.Random(3)
    held = [row for row in good if row.split == TEST]
    long = [row for row in held if len(row.answer.split()) >= 10]
    asks = [row.model_copy(update={"answer": "Nobody knows.", "split": "train"}) for row in chance.sample(held, min(50, len(held)))]
    tells = [
        row.model_copy(update={"question": f"Tell me number {at}", "answer": f"They say: {row.answer}", "split": "train"})
        for at, row in enumerate(chance.sample(long, min(50, len(long))))
    ]
    parts = [
        row.model_copy(update={"question": f"Tell me part {at}", "answer": f"It is known that {_middle(row.answer)}", "split": "train"})
        for at, row in enumerate(chance.sample(long, min(50, len(long))))
    ]
    copied = [
        row.model_copy(update={"question": f"{at} in {n} words", "answer": f"So: {row.answer}", "split": "train", "origin": "synthetic"})
        for at, row in enumerate(chance.sample(long, min(5, len(long))))
        for n in range(10)
    ]
    bad = [*asks, *tells, *parts, *copied]
    found = gates()["contamination"].judge([*good, *bad], Yard())
    return len(bad), sum(at >= len(good) for at in found), sum(at < len(good) for at in found)


def _middle(answer: str) -> str:
    """The middle half of an answer, ten words at least."""
    said = answer.split()
    quarter = len(said) // 4
    return " ".join(said[quarter : quarter + max(10, len(said) // 2)])


def wrong_passages(good: Sequence[MadeRow], passages: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Rows with the passage of another: refused by what they quote, and, without a quotation, by their numbers, names and words alone."""
    rows = [row for row in good if row.passage_id]
    turned = [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]]
    swapped = [
        row.model_copy(update={"passage_id": other.passage_id, "origin": "synthetic"})
        for row, other in zip(rows, turned, strict=True)
        if row.evidence.casefold() not in passages[other.passage_id].casefold()
        and row.answer.casefold() not in passages[other.passage_id].casefold()
    ]
    yard = Yard(passages=passages)
    names = ("evidence", "grounded")
    all_gates = [name for name in gates() if name not in names]
    quoted = len(sift(swapped, yard, all_gates).binned)
    alone = len(gates()["grounded"].judge(swapped, yard))
    asked = gates()["round_trip"].judge(swapped, Yard(passages=passages, ask=reader))
    return {"evidence or words": (len(swapped), quoted), "words alone": (len(swapped), alone), "asked again": (len(swapped), len(asked))}


def reader(prompt: str) -> str:
    """A reader by rule, in place of a language model: the sentence of the text that shares most words with the question."""
    text, _, rest = prompt.partition("\n\nAnswer in a few words")
    question = set(words(rest))
    said = [one for part in text.split("\n\n")[1:] for one in part.replace("\n", " ").split(". ")]
    return max(said, key=lambda one: len(question & set(words(one))), default="")


def measured(good: Sequence[MadeRow], passages: dict[str, str]) -> dict[str, Any]:
    """Everything about one set of good rows."""
    table = {name: of_gate(name, fault, good, passages) for name, fault in faults().items()} | {"contamination": contamination(good)}
    lines = {}
    for name, (planted, stopped, lost) in table.items():
        lines[name] = {"planted": planted, "stopped": stopped, "good": len(good), "good_lost": lost}
        if not passages and name in ("evidence", "grounded"):
            continue  # they hold rows against passages
        ok = planted == 0 or (stopped >= 0.95 * planted and lost <= 0.05 * len(good))
        sys.stdout.write(
            f"{name:14} {stopped:4} of {planted:4} stopped, {lost:4} of {len(good):5} good rows lost {'' if ok else '  <- missed'}\n"
        )
    return lines


def main() -> None:
    """Plant, sift and tell."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=Path, help="good rows of somebody else: any file with questions and answers")
    options.add_argument("--facts", type=int, default=200)
    asked = options.parse_args()
    place = town(asked.facts)
    with tempfile.TemporaryDirectory() as folder:
        rows, passages, report = built(place, Path(folder))
    found, by_form, planted = recall(place, rows)
    sys.stdout.write(
        f"{found} of {len(place.facts)} planted facts found ({found / len(place.facts):.0%}); counts add up: {report.adds_up}\n"
    )
    sys.stdout.write("  " + ", ".join(f"{form} {by_form[form]}/{planted[form]}" for form in planted) + "\n")
    texts = {one.id: one.text for one in passages}
    result: dict[str, Any] = {"facts": len(place.facts), "found": found, "town": measured(rows, texts)}
    for name, (swapped, refused) in wrong_passages(rows, texts).items():
        sys.stdout.write(f"wrong passages, {name}: {refused} of {swapped} refused ({refused / max(1, swapped):.1%})\n")
        result[f"wrong passages, {name}"] = [swapped, refused]
    if asked.rows:
        others = [row.model_copy(update={"id": mark(row.question, row.answer)}) for row in with_split(read_rows(asked.rows)[:2000])]
        sys.stdout.write(f"{asked.rows.name}:\n")
        result["others"] = measured(others, {})
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
