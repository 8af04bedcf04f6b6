"""What can be done with examples that are not as they should be: functions from examples to examples, by the name a Fix gives them.

Invariants: the person's file is never touched, a new one is written beside the workspace's other data sets, whole or not at all; every row
in it says where it came from; an operation that changes nothing writes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.paths import room, write_atomic
from loralab.core.records import Example, Message, Record
from loralab.core.words import count
from loralab.datasets.answer_alignment import belonging, conversations
from loralab.datasets.checks import answer, everything
from loralab.datasets.checks.empty_answers import PLACEHOLDERS
from loralab.datasets.checks.garbled import is_garbled
from loralab.datasets.conversations.people import renaming
from loralab.datasets.conversations.transcripts import turns
from loralab.datasets.dataset import fingerprint, spread
from loralab.datasets.formats.passages import passages
from loralab.datasets.loading import hold, load_examples
from loralab.datasets.near_duplicates import near_pairs
from loralab.datasets.row_flags import MARKS, odd_scripts
from loralab.models.tokenize import TextEncoder

WHOLE = 1 << 30  # tokens: nothing is cut while it is measured
ROOM = 0.85  # of the longest length: a passage may hold more tokens to a letter than its text
SAMPLED = 20_000  # examples of an even sample
BALANCE = 3  # times the second commonest answer: more of the commonest are left out

Examples = Sequence[Example]


@dataclass(frozen=True)
class Reading:
    """How a plan reads its examples."""

    max_length: int = 512
    learn_from: str = "replies"
    roles: dict[str, str] = field(default_factory=dict[str, str])
    parts: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()  # of a chat, as its file names them


class DataFix(Record):
    """What an operation has done."""

    operation: str
    words: str
    concerned: int  # examples left out or changed
    before: int
    after: int
    rows: tuple[int, ...] = ()  # the first of those concerned
    path: str = ""


@dataclass(frozen=True)
class Operation:
    """One thing that can be done with examples."""

    words: str  # in the imperative
    apply: Callable[[Examples, Reading, TextEncoder], list[Example]]


# ---- operations --------------------------------------------------------------------------------------------------------------


def deduplicate(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """The first of each kind."""
    seen: set[str] = set()
    return [e for e in examples if not ((mark := fingerprint(e)) in seen or seen.add(mark))]


def drop_near_copies(examples: Examples, reading: Reading, encoder: TextEncoder) -> list[Example]:
    """The first of those that are nearly or wholly the same, so that none is on both sides of the split.

    Looked at again until there are none: what belonged to the form of many texts may be a likeness of the few that are left.
    """
    left = deduplicate(examples, reading, encoder)
    while later := {second for _, second in near_pairs([fingerprint(example) for example in left])}:
        left = [example for place, example in enumerate(left) if place not in later]
    return left


def drop_empty(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Without answers that say nothing; a class may well be called “none”."""
    return [e for e in examples if answer(e).strip() and (e.label is not None or answer(e).strip().lower() not in PLACEHOLDERS)]


def drop_too_long(examples: Examples, reading: Reading, encoder: TextEncoder) -> list[Example]:
    """Without those the plan would cut."""
    encoded = encoder.many(list(examples), reading.max_length, reading.learn_from)
    return [example for example, row in zip(examples, encoded, strict=True) if not row.truncated]


def split_long(examples: Examples, reading: Reading, encoder: TextEncoder) -> list[Example]:
    """Plain texts that the plan would cut as passages that fit; a conversation cannot be split and stays."""
    encoded = encoder.many(list(examples), reading.max_length, reading.learn_from)
    parts: list[Example] = []
    for example, row in zip(examples, encoded, strict=True):
        if row.truncated and not example.messages:
            per_token = len(example.text) / max(1, len(encoder.encode(example, WHOLE).ids))
            limit = max(1, int(ROOM * per_token * reading.max_length))
            parts += [example.model_copy(update={"text": passage}) for passage in passages(example.text, limit)]
        else:
            parts.append(example)
    return parts


def drop_contradicting(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """To each question only the answer that is given most often; where two are given as often, the first."""
    given: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        given[_asked(example)][answer(example).strip()] += 1
    return [e for e in examples if not e.messages or given[_asked(e)].most_common(1)[0][0] == answer(e).strip()]


def drop_refused(examples: Examples, _reading: Reading, encoder: TextEncoder) -> list[Example]:
    """Without conversations that the model's chat template refuses."""

    def accepted(example: Example) -> bool:
        try:
            encoder.pieces(example)
        except UserError:
            return False
        return True

    return [example for example in examples if accepted(example)]


def drop_garbled(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Without those whose letters are garbled."""
    return [example for example in examples if not is_garbled(everything(example))]


def drop_odd_script(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Without answers in other letters than most."""
    odd = set(odd_scripts(examples)[0])
    return [example for example in examples if example.row not in odd]


def strip_marks(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Without the marks of chat templates in what is said; what would say nothing then is left out."""
    clean = [_changed(e, lambda text: re.sub(r"[ \t]*\n[ \t]*\n\s*", "\n\n", MARKS.sub("", text)).strip()) for e in examples]
    return [e for e in clean if (e.text or all(message.content for message in e.messages))]


def restructure(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Conversations that were written down as text, as conversations; other texts stay."""
    taken = [(e, turns(e.text) if not e.messages else ()) for e in examples]
    return [e.model_copy(update={"messages": said, "text": ""}) if said else e for e, said in taken]


def fold_system(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """What a system message says in front of the first question."""
    return [_folded(example) for example in examples]


def realign(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Answers moved back by as many rows as they have slipped; those that are left without one go, all other examples stay."""
    slip, talks = belonging(examples).slip, conversations(examples)
    places = {id(talk): place + slip for place, talk in enumerate(talks)}
    moved: list[Example] = []
    for e in examples:
        place = places.get(id(e))
        if place is None:
            moved.append(e)
        elif 0 <= place < len(talks):
            moved.append(e.model_copy(update={"messages": (*e.messages[:-1], talks[place].messages[-1])}))
    return moved


def balance(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Of the commonest answer at most BALANCE times as many as of the next, spread over the file."""
    counted = Counter(answer(example).strip() for example in examples).most_common(2)
    if len(counted) < 2:
        return list(examples)
    (common, many), (_, next_) = counted
    most = BALANCE * next_
    if many <= most:
        return list(examples)
    places = [place for place, example in enumerate(examples) if answer(example).strip() == common]
    kept = {places[number * many // most] for number in range(most)}
    return [e for place, e in enumerate(examples) if place in kept or answer(e).strip() != common]


def pseudonymise(examples: Examples, reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Other names in place of those of the people who speak."""
    renamed = renaming(reading.speakers)
    return [_changed(example, renamed) for example in examples]


def sample(examples: Examples, _reading: Reading, _encoder: TextEncoder) -> list[Example]:
    """Some of very many, evenly spread over the file, those to test with as often among them as among all."""
    return [examples[place] for place in spread(len(examples), SAMPLED)]


OPERATIONS: dict[str, Operation] = {
    "deduplicate": Operation("Remove the copies", deduplicate),
    "drop_near_copies": Operation("Remove examples that are nearly the same", drop_near_copies),
    "drop_empty": Operation("Remove answers that say nothing", drop_empty),
    "drop_too_long": Operation("Leave out what is too long", drop_too_long),
    "split_long": Operation("Split long texts into passages", split_long),
    "drop_contradicting": Operation("Keep one answer to each question", drop_contradicting),
    "drop_refused": Operation("Leave out conversations the model refuses", drop_refused),
    "drop_garbled": Operation("Leave out garbled letters", drop_garbled),
    "drop_odd_script": Operation("Leave out answers in a different script", drop_odd_script),
    "strip_marks": Operation("Remove marks of chat templates", strip_marks),
    "restructure": Operation("Split conversations into questions and answers", restructure),
    "fold_system": Operation("Put system messages in front of the question", fold_system),
    "realign": Operation("Move the answers back", realign),
    "balance": Operation("Leave out some of the most common answer", balance),
    "sample": Operation("Take an even sample", sample),
    "pseudonymise": Operation("Write Person A, Person B and so on in place of names", pseudonymise),
}


# ---- doing it ------------------------------------------------------------------------------------------------------------------


def apply(operation: str, source: Path, reading: Reading, model_folder: Path, home: Path, *, look_only: bool = False) -> DataFix:
    """Do it, into a new file in the workspace; `look_only`: say what it would leave. Raises UserError where that is nothing, or all."""
    fixed, after = _applied(operation, source, reading, model_folder)
    if not fixed.concerned or not after:
        what = "There is nothing to change in these examples." if after else "Nothing would be left of these examples."
        raise UserError(what, "Choose another way.", code="no_data_change")
    if look_only:
        return fixed
    rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _written(after, source, operation))
    name = f"{source.stem[:60]}-{operation}-{hashlib.sha256(rows.encode()).hexdigest()[:8]}.jsonl"
    path = room("datasets", home) / name
    write_atomic(path, rows)
    return fixed.model_copy(update={"path": str(path)})


def _applied(operation: str, source: Path, reading: Reading, model_folder: Path) -> tuple[DataFix, list[Example]]:
    if operation not in OPERATIONS:
        raise UserError(f"The app cannot do “{operation}” for you.", f"It can do: {', '.join(OPERATIONS)}.", code="no_data_operation")
    examples, loaded = load_examples(source, reading.roles or None, reading.parts)
    examples = examples if operation == "sample" else hold(examples)  # a sample is what a large file is made small with
    after = OPERATIONS[operation].apply(examples, replace(reading, speakers=loaded.speakers), TextEncoder(model_folder))
    kept = set(after)
    concerned = [] if operation == "sample" else [example for example in examples if example not in kept]
    n_concerned = len(concerned) or len(examples) - len(after)
    does, of = "leaves out" if operation == "sample" else "changes", count(len(examples), "example")
    words = f"{OPERATIONS[operation].words}: this {does} {n_concerned:,} of {of} and leaves {len(after):,}."
    return DataFix(
        operation=operation,
        words=words,
        concerned=n_concerned,
        before=len(examples),
        after=len(after),
        rows=tuple(e.row for e in concerned[:20]),
    ), after


def _written(examples: Examples, source: Path, operation: str) -> Iterator[dict[str, object]]:
    """Rows as they are written: what is said, all that a file can say beside it, and where it came from."""
    paired, marked = any(e.rejected for e in examples), any(e.held_out for e in examples)
    for e in examples:
        said: dict[str, object] = {"messages": [_turn(message) for message in e.messages]} if e.messages else {"text": e.text}
        plainly = not any(message.calls or message.tools for message in e.messages)
        if paired:
            said = {"chosen": [_turn(message) for message in e.messages], "rejected": [_turn(message) for message in e.rejected]}
        elif [message.role for message in e.messages] == ["user", "assistant"] and plainly:  # in columns that are read without guessing
            said = {"question": e.messages[0].content, "answer": e.messages[1].content}
        if e.label is not None:
            said = {"text": e.messages[-2].content, "label": e.label}
        if e.messages and e.messages[0].tools:
            said["tools"] = json.loads(e.messages[0].tools)
        if marked:
            said["split"] = "test" if e.held_out else "train"
        yield {**said, "from_file": e.source or source.name, "from_row": e.row, "made_by": operation}


def _turn(message: Message) -> dict[str, object]:
    turn: dict[str, object] = {"role": message.role, "content": message.content}
    if message.calls:
        turn["tool_calls"] = [{"type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.calls]
    return turn if message.learn else {**turn, "train": False}


def _asked(example: Example) -> str:
    return "\n".join(f"{message.role}: {message.content.strip()}" for message in example.messages[:-1])


def _changed(example: Example, change: Callable[[str], str]) -> Example:
    messages = tuple(message.model_copy(update={"content": change(message.content)}) for message in example.messages)
    return example.model_copy(update={"messages": messages, "text": change(example.text)})


def _folded(example: Example) -> Example:
    if len(example.messages) < 2 or example.messages[0].role != "system" or example.messages[1].role != "user":
        return example
    system, question, *rest = example.messages
    joined = Message(role="user", content=f"{system.content}\n\n{question.content}")
    return example.model_copy(update={"messages": (joined, *rest)})
