"""Owns what can be wrong with examples as a model reads them, row by row and between rows. No torch; part of the facts of a run.

Invariants: counts are of all examples, with the first rows behind each; whatever can be seen here is seen before the first update.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import Example, Message
from loralab.datasets.answer_alignment import belonging
from loralab.datasets.checks import answer, everything
from loralab.datasets.checks.empty_answers import PLACEHOLDERS
from loralab.datasets.checks.garbled import is_garbled
from loralab.datasets.conversations.transcripts import turns
from loralab.datasets.leaks import patterned
from loralab.datasets.learnable import learnable
from loralab.datasets.near_duplicates import near_pairs
from loralab.datasets.predictability import foretold
from loralab.datasets.signs import marked
from loralab.models.tokenize import Encoded, TextEncoder

SHOWN = 20  # row numbers kept of each finding
ROW_MARKS = (
    *("cut", "unended", "asked_otherwise", "empty", "begun_twice", "rewritten", "unsaid"),
    *("marked", "garbled", "hollow", "written_down"),
)
# Marks of chat templates: in an example's own words they mean that it was made ready for another model before.
MARKS = re.compile(r"<\|[a-z_]{2,30}\|>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>|^### (?:Instruction|Response|Input):", re.MULTILINE)
_SEEN = re.compile(r"<\|?[A-Za-z_]{2,30}\|?>|</?s>|\[/?INST\]")
_SCRIPTS = {
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff",
    "Arabic": "\u0600-\u06ff",
    "Hebrew": "\u0590-\u05ff",
    "Indian": "\u0900-\u0dff",
    "Thai": "\u0e00-\u0e7f",
    "Chinese or Japanese": "\u3040-\u30ff\u4e00-\u9fff",
    "Korean": "\uac00-\ud7a3",
}
_SCRIPT = re.compile("|".join(f"(?P<s{number}>[{letters}])" for number, letters in enumerate(_SCRIPTS.values())))
_NAMES = tuple(_SCRIPTS)


def of_row(encoder: TextEncoder, row: Encoded, example: Example) -> list[str]:
    """The names of ROW_MARKS that hold for one example."""
    found = ["cut"] if row.truncated else []
    if example.messages and _endless(encoder, row):
        found.append("unended")
    if example.messages and _asked_otherwise(encoder, row, example):
        found.append("asked_otherwise")
    said = answer(example).strip()
    if not said:
        found.append("empty")
    elif example.messages and example.label is None and said.lower() in PLACEHOLDERS:
        found.append("hollow")
    beginning = encoder.tokenizer.token_to_id(encoder.special("bos_token")) if encoder.special("bos_token") else None
    if beginning is not None and row.ids[:2] == [beginning, beginning]:
        found.append("begun_twice")
    if example.messages and len(row.pieces) == 1 and row.pieces[0][1]:
        found.append("rewritten")  # the template changes the answers, so that they cannot be told from the questions
    if not row.truncated and unsaid(row, example):
        found.append("unsaid")
    words = everything(example)
    if example.messages and MARKS.search(words):
        found.append("marked")
    if is_garbled(words):
        found.append("garbled")
    if not example.messages and turns(example.text):
        found.append("written_down")
    return found


def _endless(encoder: TextEncoder, row: Encoded) -> bool:
    """Whether an answer that is learned has no learned end: one anywhere in it where the template is known to put it behind each
    answer, else its very last token.
    """
    spans: list[list[int]] = []
    before = False
    for token, learned in zip(row.ids, row.learned, strict=True):
        if learned and not before:
            spans.append([])
        if learned:
            spans[-1].append(token)
        before = learned
    stops = encoder.stop_ids
    return not spans or any(stops.isdisjoint(span if encoder.chat.ends else _last(encoder, span)) for span in spans)


def _last(encoder: TextEncoder, ids: list[int]) -> list[int]:
    """The last token that is no blank."""
    said = [i for i in ids if encoder.tokenizer.decode([i], skip_special_tokens=False).strip()]
    return said[-1:]


def _asked_otherwise(encoder: TextEncoder, row: Encoded, example: Example) -> bool:
    """Whether the model will be asked for the last answer with other words than those it learns to answer after."""
    last = max((at for at, message in enumerate(example.messages) if message.role == "assistant"), default=0)
    begun = encoder.begun(example.messages[:last]) if last else None
    read = "".join(text for text, _ in row.pieces)
    return begun is not None and not read.startswith(begun) and not (row.truncated and begun.startswith(read))


def learned_structure(encoder: TextEncoder, rows: Sequence[Encoded]) -> float:
    """Share of the learned tokens, marks of the template and blanks aside, that are brackets, quotes, names of fields or ids."""
    texts = ["".join(text for text, learned in row.pieces if learned) for row in rows]
    language = structure = 0
    marks = encoder.marks
    for text, encoding in zip(texts, encoder.tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
        kinds = marked(text)
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            signs, letters = (kinds[start:end].count(kind) for kind in (1, 0))
            if token not in marks and signs + letters:
                structure += signs > letters
                language += signs <= letters
    return structure / max(1, structure + language)


def unsaid(row: Encoded, example: Example) -> list[str]:
    """Roles of messages whose words the model never reads, because its template leaves them out."""
    read = "".join(text for text, _ in row.pieces)
    missing = (m.role for m in example.messages if m.content.strip() and m.content.strip()[-40:] not in read)
    return [role for role in missing if not (role == "assistant" and "</think>" in everything(example))]  # thoughts are left out on purpose


def between(train: Sequence[tuple[str, Example]], heldout: Sequence[tuple[str, Example]]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Numbers about all examples together, and the rows behind near copies and answers in another script; each with its fingerprint."""
    unique: dict[str, tuple[bool, int]] = {}  # text -> (held out, row)
    for held, examples in ((False, train), (True, heldout)):
        for content, example in examples:
            unique.setdefault(content, (held, example.row))
    everyone = [example for _, example in [*train, *heldout]]
    places = list(unique.values())
    pairs = [(places[one], places[other]) for one, other in near_pairs(list(unique))]
    close = [row for (before, _), (held, row) in pairs if held and not before]
    of_pattern = patterned([example for _, example in train], [example for _, example in heldout])
    rows = {
        "near_shared": list(dict.fromkeys([*close, *(heldout[place][1].row for place in of_pattern)])),
        "near_repeated": [row for _, (held, row) in pairs if not held],
    }
    odd, script = odd_scripts(everyone)
    in_order = sorted(everyone, key=lambda example: (example.source, example.row))
    ties, told, simple = belonging(in_order), foretold(in_order), learnable(in_order)
    common = Counter(answer(example).strip().casefold() for _, example in train if example.messages)
    commonest = max(common.values(), default=0)
    numbers = {
        "commonest": commonest,
        "ties": ties.links,
        "own_ties": ties.own,
        "slip": ties.slip,
        "slip_ties": ties.slipped,
        "foretold": round(told.above, 2),
        "foretold_pairs": told.pairs,
        "learnable": round(simple.above, 2),
        "learnable_pairs": simple.pairs,
        "learnable_found": round(simple.found, 3),
        "learnable_chance": round(simple.best_chance, 3),
        "learnable_classes": simple.classes,
        "answer_numbers": round(simple.numbers, 2),
        "answer_codes": round(simple.codes, 2),
        "halves_within": round(simple.within, 3),
        "halves_across": round(simple.across, 3),
        "opposed_share": round(simple.opposed_share, 3),
        "scripts": script,
        "same_question": _same_question([example for _, example in train]),
    }
    return numbers | {"opposed": simple.opposed}, rows | {"odd_script": odd}


def _same_question(examples: Sequence[Example]) -> int:
    """Examples with the commonest last question."""
    return max(Counter(e.messages[-2].content for e in examples if len(e.messages) > 1).values(), default=0)


def odd_scripts(examples: Sequence[Example]) -> tuple[list[int], int]:
    """Rows whose answer is written in other letters than most answers, and in how many scripts the answers are."""
    scripts = [(_script(answer(example)), example.row) for example in examples]
    counted = Counter(script for script, _ in scripts if script)
    if len(counted) < 2:
        return [], len(counted)
    usual = counted.most_common(1)[0][0]
    return [row for script, row in scripts if script and script != usual], len(counted)


def _script(text: str) -> str:
    """The letters that most of a text is written in; empty for one of digits and signs."""
    head = text[:400]
    if head.isascii():
        return "Latin" if any(char.isalpha() for char in head) else ""
    found = Counter(match.lastgroup or "" for match in _SCRIPT.finditer(head))
    name, count = found.most_common(1)[0] if found else ("", 0)
    letters = sum(char.isalpha() for char in head)
    if not letters:
        return ""
    return _NAMES[int(name[1:])] if count > letters / 2 else "Latin"


def of_tokenizer(encoder: TextEncoder) -> dict[str, Any]:
    """Which marks of the template its own tokenizer does not know as one token."""
    probe = Example(row=0, messages=(Message(role="user", content="a"), Message(role="assistant", content="b")))
    try:
        written = "".join(text for text, _ in encoder.pieces(probe))
    except UserError:
        return {}
    split = dict.fromkeys(mark for mark in _SEEN.findall(written) if encoder.tokenizer.token_to_id(mark) is None)
    return {"split_marks": tuple(split), "template_added": encoder.chat.added}


def weight_of_long(rows: Sequence[Encoded]) -> float:
    """Share of all learned tokens that the longest hundredth of the examples (at least one) holds."""
    learned = sorted((sum(row.learned) for row in rows), reverse=True)
    return sum(learned[: max(1, len(learned) // 100)]) / max(1, sum(learned))
