"""Owns the facts about a run that failures have been seen to depend on: of its examples as the model sees them, and of the model itself.

No torch: the app measures them before a run, the worker notes the same of what it really loaded, and the advisor reads only these.
Invariant: counts are of all examples, never of a sample, so that a rule may name the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.records import Example, Record
from loralab.datasets import row_flags
from loralab.datasets.dataset import fingerprint
from loralab.datasets.profile import content_id, quantiles, split
from loralab.models.model_folder import own_template, read_json, shape_of
from loralab.models.tokenize import Encoded, TextEncoder
from loralab.tasks.text import TextPlan

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
)


class Facts(Record):
    """What a run learns from and with. Counts are of examples; `rows` holds the first row numbers behind a count, by its name."""

    data: str = ""  # content id of all examples: the same examples give the same id
    n_train: int = 0
    n_heldout: int = 0
    tokens: dict[str, int] = Field(default_factory=dict)  # cost of training rows as cut: p50, p90, p95, p99, max, total, learned; in `unit`
    unit: str = "tokens"
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
    refused: int = 0  # conversations the model's chat template cannot render; known before a run only, which they stop
    rewritten: int = 0  # the template changes the answers, so that questions are learned, too
    unsaid: int = 0  # with words that the template leaves out
    unsaid_roles: tuple[str, ...] = ()  # whose words
    marked: int = 0  # whose own words hold the marks of a chat template
    garbled: int = 0  # with letters garbled or lost by a wrong encoding
    hollow: int = 0  # answered by a placeholder only
    written_down: int = 0  # plain texts that hold a conversation, with who speaks
    near_shared: int = 0  # held-out examples that are nearly the same as one that is learned from
    near_repeated: int = 0  # training examples that are nearly the same as an earlier one
    odd_script: int = 0  # answers written in other letters than most
    scripts: int = 0  # in how many kinds of letters the answers are
    commonest: int = 0  # training examples with the commonest answer
    same_question: int = 0  # training examples with the commonest question
    ties: int = 0  # questions and answers tied by a word that stands in no others
    own_ties: int = 0  # of these, between a question and its own answer
    slip: int = 0  # rows further on that answers lie most often; `slip_ties` of the ties
    slip_ties: int = 0
    foretold: float = (
        0.0  # deviations above chance by which likeness of questions goes with likeness of answers (loralab/datasets/predictability.py)
    )
    foretold_pairs: int = 0  # in so many pairs; 0: not measured
    longest_share: float = 0.0  # of learned tokens, in the longest hundredth of the examples
    highest: int = 0  # highest token number in any example
    looked: int = 0  # examples that were looked at, where a large file was only sampled before a run; 0: all
    split_marks: tuple[str, ...] = ()  # marks of the template that the tokenizer does not know as one token
    answer_share: float = 1.0  # of the letters of the training examples, in the answers


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
        "plain": not any(example.messages for _, example in train),
        "answer_share": _answer_share([example for _, example in train]),
        "classes": len({example.label for _, example in train if example.label is not None}),
        "stops": len(encoder.stop_ids),
        "pads_with_stop": encoder.pad_id in encoder.stop_ids,
        "template": bool(own_template(encoder.folder)),
        "tokenizer_size": encoder.tokenizer.get_vocab_size(),
        "rows": {name: tuple(rows[: row_flags.SHOWN]) for name, rows in marked.items() if rows},
        **{name: len(rows) for name, rows in marked.items()},
        **numbers,
        **row_flags.of_tokenizer(encoder),
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


def of_plan(plan: TextPlan, encoder: TextEncoder, examples: Sequence[Example], most: int = 0) -> Facts:
    """The facts of a plan before it runs. With `most`, only so many are looked at; counts are scaled up then (see `looked`)."""
    everyone, examples = len(examples), sampled(examples, most)
    parts: list[list[tuple[Encoded, Example]]] = []
    dropped: list[Example] = []
    refused: list[int] = []
    for part in split(examples, plan.heldout_share, plan.seed):
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


def _encoded(plan: TextPlan, encoder: TextEncoder, part: Sequence[Example], refused: list[int]) -> list[tuple[Encoded, Example]]:
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


def noted(view: RunView) -> Facts | None:
    """The facts a worker noted in its log; None in the log of a version that did not, or of a damaged line."""
    for note in reversed(view.notes):
        if "facts" in note.data:
            try:
                return Facts.model_validate(note.data["facts"])
            except ValidationError:
                return None
    return None


def _question(example: Example) -> str:
    return "\n".join(f"{message.role}: {message.content}" for message in example.messages[:-1])


def _answer(example: Example) -> str:
    return example.messages[-1].content if example.messages else example.text


def _answer_share(examples: Sequence[Example]) -> float:
    asked = sum(len(message.content) for example in examples for message in example.messages if message.role != "assistant")
    said = sum(len(message.content) for example in examples for message in example.messages if message.role == "assistant")
    return said / (asked + said) if asked + said else 1.0
