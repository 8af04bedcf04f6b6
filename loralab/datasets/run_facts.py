"""Owns the facts about a run that failures have been seen to depend on: of its examples as the model sees them, and of the model itself.

No torch: the app measures them before a run, the worker notes the same of what it really loaded, and the advisor reads only these.
Invariant: counts are of all examples, never of a sample, so that a rule may name the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from loralab.core.errors import UserError
from loralab.core.facts import Facts
from loralab.core.records import Example
from loralab.datasets import row_flags
from loralab.datasets.dataset import fingerprint, spread
from loralab.datasets.profile import content_id, quantiles, split
from loralab.datasets.signs import LOOKED_AT, is_structured
from loralab.models.model_folder import own_template, read_json, shape_of
from loralab.models.tokenize import Encoded, TextEncoder

BLOCK = 500  # neighbouring examples looked at together where a file is sampled
COUNTS = (
    *row_flags.ROW_MARKS,
    "n_train",
    "n_heldout",
    "unlearned",
    "repeated",
    "shared",
    "refused",
    "questions_repeated",
    "near_shared",
    "near_repeated",
    "odd_script",
    "commonest",
    "same_question",
    "objects",
)


def of_examples(
    encoder: TextEncoder, train: Sequence[tuple[Encoded, Example]], heldout: Sequence[tuple[Encoded, Example]], dropped: Sequence[Example]
) -> dict[str, Any]:
    """The part of the facts that examples and tokenizer give. `dropped` had nothing to learn from."""
    prints = [fingerprint(example) for _, example in train]
    known, seen, questions = set(prints), set[str](), dict[str, str]()
    marked: dict[str, list[int]] = {name: [] for name in (*row_flags.ROW_MARKS, "repeated", "shared")}
    contradicted: list[int] = []
    roles: dict[str, None] = {}
    for (row, example), content in zip(train, prints, strict=True):
        question = _question(example)
        for name in row_flags.of_row(encoder, row, example):
            marked[name].append(example.row)
            roles |= dict.fromkeys(row_flags.unsaid(row, example) if name == "unsaid" else ())
        if content in seen:
            marked["repeated"].append(example.row)
        elif question and questions.setdefault(question, content) != content:
            contradicted.append(example.row)
        seen.add(content)
    held = [(fingerprint(example), example) for _, example in heldout]
    marked["shared"] = [example.row for content, example in held if content in known]
    numbers, found = row_flags.between([(content, e) for content, (_, e) in zip(prints, train, strict=True)], held)
    opposed = numbers.pop("opposed")
    marked |= {"unlearned": [example.row for example in dropped], "questions_repeated": contradicted} | found
    lengths = [len(row.ids) for row, _ in train]
    learned = sum(sum(row.learned) for row, _ in train)
    everyone = sorted([*(e for _, e in train), *(e for _, e in heldout), *dropped], key=lambda example: (example.source, example.row))
    return {
        "data": content_id(everyone),
        "n_train": len(train),
        "n_heldout": len(heldout),
        "tokens": {**quantiles(lengths), "total": sum(lengths), "learned": learned} if lengths else {},
        "answers": len({_answer(example) for _, example in train}),
        "objects": sum(is_structured(_answer(example)) for _, example in train),
        "plain": not any(example.messages for _, example in train),
        "answer_share": _answer_share([example for _, example in train]),
        "classes": len({example.label for _, example in train if example.label is not None}),
        "stops": len(encoder.stop_ids),
        "pads_with_stop": encoder.pad_id in encoder.stop_ids,
        "template": bool(own_template(encoder.folder)),
        "tokenizer_size": encoder.tokenizer.get_vocab_size(),
        "rows": {name: tuple(rows[: row_flags.SHOWN]) for name, rows in (marked | {"opposed": opposed}).items() if rows},
        **{name: len(rows) for name, rows in marked.items()},
        **numbers,
        **row_flags.of_tokenizer(encoder),
        "structure": _structure(encoder, train),
        "unsaid_roles": tuple(roles),
        "longest_share": row_flags.weight_of_long([row for row, _ in train]),
        "highest": max((max(row.ids) for row, _ in [*train, *heldout]), default=0),
    }


def of_model(folder: Path) -> dict[str, Any]:
    """The part that the model's own papers give; nothing where they do not say it."""
    try:
        shape = shape_of(read_json(folder / "config.json"))
    except (KeyError, TypeError, ValueError):
        return {}
    return {
        "architecture": shape.architecture,
        "hidden": shape.hidden,
        "layers": shape.layers,
        "vocabulary": shape.vocab,
        "context": shape.context,
    }


class TokenPlan(Protocol):
    """What facts need to know of a plan whose examples are read as tokens."""

    @property
    def max_length(self) -> int: ...
    @property
    def learn_from(self) -> str: ...
    @property
    def heldout_share(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def heldout_by(self) -> str: ...


def of_plan(plan: TokenPlan, encoder: TextEncoder, examples: Sequence[Example], most: int = 0) -> Facts:
    """The facts of a plan before it runs. With `most`, only so many are looked at; counts are scaled up then (see `looked`)."""
    everyone, examples = len(examples), sampled(examples, most)
    parts: list[list[tuple[Encoded, Example]]] = []
    dropped: list[Example] = []
    refused: list[int] = []
    for part in split(examples, plan.heldout_share, plan.seed, plan.heldout_by):
        encoded = _encoded(plan, encoder, part, refused)
        parts.append([(row, example) for row, example in encoded if any(row.learned[1:])])
        dropped += [example for row, example in encoded if not any(row.learned[1:])]
    found = of_examples(encoder, parts[0], parts[1], dropped) | of_model(encoder.folder)
    found["rows"] |= {"refused": tuple(refused[: row_flags.SHOWN])} if refused else {}
    return _scaled(Facts.model_validate(found | {"refused": len(refused)}), len(examples), everyone)


def sampled(examples: Sequence[Example], most: int) -> Sequence[Example]:
    """At most `most` examples: blocks of neighbours spread over the file, so that what goes wrong between rows is seen, too."""
    if not most or len(examples) <= most:
        return examples
    blocks = -(-most // BLOCK)
    starts = [number * (len(examples) - BLOCK) // max(1, blocks - 1) for number in range(blocks)]
    return [example for start in starts for example in examples[start : start + BLOCK]]


def _scaled(found: Facts, looked: int, everyone: int) -> Facts:
    """The facts of all examples as far as those that were looked at tell."""
    if looked >= everyone:
        return found
    times = everyone / looked
    counts = {name: round(times * getattr(found, name)) for name in COUNTS}
    totals = {name: round(times * found.tokens[name]) for name in ("total", "learned") if name in found.tokens}
    return found.model_copy(update=counts | {"looked": looked, "tokens": found.tokens | totals})


def _encoded(plan: TokenPlan, encoder: TextEncoder, part: Sequence[Example], refused: list[int]) -> list[tuple[Encoded, Example]]:
    """Examples with their tokens; where the template refuses some, the others, with the rows of these in `refused`."""
    try:
        return list(zip(encoder.many(part, plan.max_length, plan.learn_from), part, strict=True))
    except UserError as error:
        if error.problem.code != "template_refuses":
            raise
    usable: list[Example] = []
    for example in part:
        try:
            encoder.pieces(example, plan.learn_from)
            usable.append(example)
        except UserError:
            refused.append(example.row)
    return list(zip(encoder.many(usable, plan.max_length, plan.learn_from), usable, strict=True))


def _structure(encoder: TextEncoder, train: Sequence[tuple[Encoded, Example]]) -> float:
    """Of examples that are no sorting: a class is a name, whatever it is made of."""
    rows = [row for row, example in train if example.label is None]
    return round(row_flags.learned_structure(encoder, [rows[at] for at in spread(len(rows), LOOKED_AT)]), 2)


def _question(example: Example) -> str:
    return "\n".join(f"{message.role}: {message.said}" for message in example.messages[:-1])


def _answer(example: Example) -> str:
    return example.messages[-1].said if example.messages else example.text


def _answer_share(examples: Sequence[Example]) -> float:
    asked = sum(len(message.content) for example in examples for message in example.messages if message.role != "assistant")
    said = sum(len(message.content) for example in examples for message in example.messages if message.role == "assistant")
    return said / (asked + said) if asked + said else 1.0
