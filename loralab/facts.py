"""Owns the facts about a run that failures have been seen to depend on: of its examples as the model sees them, and of the model itself.

No torch: the app measures them before a run, the worker notes the same of what it really loaded, and the advisor reads only these.
Invariant: counts are of all examples, never of a sample, so that a rule may name the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from loralab.dataset import fingerprint
from loralab.encode import Encoded, TextEncoder
from loralab.events import RunView
from loralab.model_folder import own_template, read_json, shape_of
from loralab.profile import content_id, load_examples, quantiles, split
from loralab.records import Example, Record
from loralab.tasks.text import TextPlan

SHOWN = 20  # row numbers kept of each finding


class Facts(Record):
    """What a run learns from and with. Counts are of examples; `rows` holds the first row numbers behind a count, by its name."""

    data: str = ""  # content id of all examples: the same examples give the same id
    n_train: int = 0
    n_heldout: int = 0
    tokens: dict[str, int] = Field(default_factory=dict)  # of training rows as cut: p50, p90, p95, p99, max, total, learned
    cut: int = 0  # lose their end at max_length
    unended: int = 0  # conversations whose learned part has no token that ends an answer
    unlearned: int = 0  # left out: nothing to learn from within max_length
    empty: int = 0  # with an answer of no words
    repeated: int = 0  # exact repeats among the training examples
    shared: int = 0  # held-out examples that are among the training examples, too
    begun_twice: int = 0  # begin with two beginning-of-text tokens
    answers: int = 0  # different answers
    questions_repeated: int = 0  # training examples whose question was asked before, with another answer
    classes: int = 0
    plain: bool = False  # texts, no conversations
    template: bool = True  # the model came with a chat template of its own
    stops: int = 0  # tokens that end an answer
    pads_with_stop: bool = False  # short rows are filled up with the token that ends an answer
    architecture: str = ""
    parameters: int = 0
    hidden: int = 0
    layers: int = 0
    vocabulary: int = 0
    context: int = 0  # longest text the model can read, in tokens
    tokenizer_size: int = 0
    trainable: int = 0  # weights that learn; 0 before a run
    device: str = ""
    place: str = ""  # fingerprint of the computer it ran on, versions included
    room: int = 0  # bytes a run could take there when it began
    rows: dict[str, tuple[int, ...]] = Field(default_factory=dict)


def of_examples(
    encoder: TextEncoder, train: Sequence[tuple[Encoded, Example]], heldout: Sequence[tuple[Encoded, Example]], dropped: Sequence[Example]
) -> dict[str, Any]:
    """The part of the facts that examples and tokenizer give. `dropped` had nothing to learn from."""
    known = {fingerprint(example) for _, example in train}
    seen: set[str] = set()
    questions: dict[str, str] = {}
    marked: dict[str, list[int]] = {name: [] for name in ("cut", "unended", "empty", "repeated", "shared", "begun_twice")}
    contradicted: list[int] = []
    for row, example in train:
        content, question = fingerprint(example), _question(example)
        for name in _marks(encoder, row, example):
            marked[name].append(example.row)
        if content in seen:
            marked["repeated"].append(example.row)
        elif question and questions.setdefault(question, content) != content:
            contradicted.append(example.row)
        seen.add(content)
    marked["shared"] = [example.row for _, example in heldout if fingerprint(example) in known]
    marked |= {"unlearned": [example.row for example in dropped], "questions_repeated": contradicted}
    lengths = [len(row.ids) for row, _ in train]
    learned = sum(sum(row.learned) for row, _ in train)
    everyone = sorted([*(e for _, e in train), *(e for _, e in heldout), *dropped], key=lambda example: (example.source, example.row))
    return {
        "data": content_id(everyone), "n_train": len(train), "n_heldout": len(heldout),
        "tokens": {**quantiles(lengths), "total": sum(lengths), "learned": learned} if lengths else {},
        "answers": len({_answer(example) for _, example in train}), "plain": not any(example.messages for _, example in train),
        "classes": len({example.label for _, example in train if example.label is not None}),
        "stops": len(encoder.stop_ids), "pads_with_stop": encoder.pad_id in encoder.stop_ids,
        "template": bool(own_template(encoder.folder)),
        "tokenizer_size": encoder.tokenizer.get_vocab_size(),
        "rows": {name: tuple(rows[:SHOWN]) for name, rows in marked.items() if rows},
        **{name: len(rows) for name, rows in marked.items()},
    }  # fmt: skip


def of_model(folder: Path) -> dict[str, Any]:
    """The part that the model's own papers give; nothing where they do not say it."""
    try:
        shape = shape_of(read_json(folder / "config.json"))
    except (KeyError, TypeError, ValueError):
        return {}
    return {
        "architecture": shape.architecture, "hidden": shape.hidden, "layers": shape.layers, "vocabulary": shape.vocab,
        "context": shape.context,
    }  # fmt: skip


def foreseen(plan: TextPlan, model_folder: Path) -> Facts:
    """The facts of a plan before it runs. Raises UserError where the examples or the tokenizer cannot be read."""
    encoder = TextEncoder(model_folder)
    examples, _ = load_examples(Path(plan.dataset), plan.roles or None)
    parts: list[list[tuple[Encoded, Example]]] = []
    dropped: list[Example] = []
    for part in split(examples, plan.heldout_share, plan.seed):
        encoded = list(zip(encoder.many(part, plan.max_length, plan.learn_from), part, strict=True))
        parts.append([(row, example) for row, example in encoded if any(row.learned[1:])])
        dropped += [example for row, example in encoded if not any(row.learned[1:])]
    return Facts.model_validate(of_examples(encoder, parts[0], parts[1], dropped) | of_model(model_folder))


def noted(view: RunView) -> Facts | None:
    """The facts a worker noted in its log; None in the log of a version that did not, or of a damaged line."""
    for note in reversed(view.notes):
        if "facts" in note.data:
            try:
                return Facts.model_validate(note.data["facts"])
            except ValidationError:
                return None
    return None


def _marks(encoder: TextEncoder, row: Encoded, example: Example) -> list[str]:
    found = ["cut"] if row.truncated else []
    if example.messages and not any(learned and token in encoder.stop_ids for token, learned in zip(row.ids, row.learned, strict=True)):
        found.append("unended")
    if not _answer(example).strip():
        found.append("empty")
    beginning = encoder.tokenizer.token_to_id(encoder.special("bos_token")) if encoder.special("bos_token") else None
    if beginning is not None and row.ids[:2] == [beginning, beginning]:
        found.append("begun_twice")
    return found


def _question(example: Example) -> str:
    return "\n".join(f"{message.role}: {message.content}" for message in example.messages[:-1])


def _answer(example: Example) -> str:
    return example.messages[-1].content if example.messages else example.text
