"""Owns writing the answers that measures are taken on: every judged example once by the base and once by the adapter.

Invariants: both answer greedily with the same template and the same (mild, small models only) penalty on repetition as in the app's
chat; who took part is read off the layers; examples come in a seeded order, so that the first k of them are a fair sample whenever it
is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from loralab.core.errors import LabError
from loralab.core.records import Example, Message
from loralab.evaluations.shared.choices import choices, labels_of

if TYPE_CHECKING:
    from torch import nn

    from loralab.serve.generate import Sampling

SHORTEST, LONGEST = 32, 160  # tokens an answer may take: twice its reference, within these
OPENING = 3  # of a plain text the first third is given and the rest is to be written


@dataclass(frozen=True)
class Answer:
    """What one of the two wrote: `ended` says it ended its turn by itself, `active` which adapters took part (read off the layers).

    `choice` is the label it writes where it may write nothing but one of them.
    """

    text: str
    ended: bool
    tokens: int
    active: tuple[str, ...] = ()
    choice: str | None = None


@dataclass(frozen=True)
class Answered:
    """A held-out example answered before and after training: greedy, the same template, in the same process."""

    example: Example
    prompt: list[Message] | str
    reference: str
    before: Answer
    after: Answer

    @property
    def question(self) -> str:
        """The last thing a person said, or the opening of a text."""
        return last_said(self.prompt)


def last_said(prompt: str | list[Message]) -> str:
    """The last thing a person said, or the opening of a text."""
    if isinstance(prompt, str):
        return prompt
    return next((turn.content for turn in reversed(prompt) if turn.role == "user"), "")


def switched(model: nn.Module, *, adapter: bool) -> AbstractContextManager[Any]:
    """Within it the adapter takes part, or the model is the bare base."""
    from loralab.serve.generate import adapter_off

    return nullcontext() if adapter else adapter_off(model)


def asked(example: Example) -> tuple[str | list[Message], str]:
    """What the model is given and what the file says it should write: the turns before the last answer, or the opening of a text."""
    if not example.messages:
        cut = len(example.text) // OPENING
        space = example.text.find(" ", cut)  # not in the middle of a word
        cut = space if 0 <= space < 2 * cut else cut
        return example.text[:cut], example.text[cut:].strip()
    last = max((i for i, message in enumerate(example.messages) if message.role == "assistant"), default=len(example.messages))
    reference = example.messages[last].said if last < len(example.messages) else ""
    return list(example.messages[:last]), reference


def write_all(session: Any, examples: Sequence[Example], stop: Callable[[], bool]) -> list[Answered]:
    """Both answers to each example, written together; stopped, those of the first examples whose both answers are whole.

    Never one after the first that is not whole: short answers are whole sooner, and those alone would be no fair sample.
    """
    prompts, labels = [asked(example) for example in examples], labels_of(session.train_examples, session.heldout_examples)
    with switched(session.model, adapter=False):
        before = _together(session, examples, stop, labels)
    with switched(session.model, adapter=True):
        after = _together(session, examples[: len(before)], stop, labels)
    if any(answer.active for answer in before) or not all(answer.active for answer in after):
        raise LabError("The adapter could not be switched for a fair comparison.", "Train it again.", code="adapter_switch")
    return [Answered(e, *prompt, *both) for e, prompt, *both in zip(examples, prompts, before, after, strict=False)]


def write_now(session: Any, examples: Sequence[Example], stop: Callable[[], bool]) -> list[str]:
    """The answers of the model as it is, written as the verdict's are; stopped, those before the first that is not whole."""
    return [answer.text for answer in _together(session, examples, stop)]


def told_apart(examples: Sequence[Example], order: Sequence[int]) -> list[int]:
    """`order` with examples of different labels first, so that the first few show more than one."""
    seen: dict[str | None, int] = {}
    turns = []
    for i in order:
        label = examples[i].label
        turns.append((seen.get(label, 0) if label is not None else 0, len(turns), i))
        seen[label] = seen.get(label, 0) + 1
    return [i for *_, i in sorted(turns)]


def answer_tokens(session: Any, example: Example) -> int:
    """Tokens that an answer to this example may take."""
    return _sampling(session, example, asked(example)[1]).max_new_tokens


def _sampling(session: Any, example: Example, reference: str) -> Sampling:
    from loralab.serve.generate import Sampling, default_penalty

    wanted = len(session.encoder.text_ids(reference))
    if example.label is not None:  # a longer answer is wrong however it goes on, and a label may well repeat a word of itself
        return Sampling(max_new_tokens=2 * wanted + 4)
    return Sampling(max_new_tokens=min(LONGEST, max(SHORTEST, 2 * wanted)), repetition_penalty=default_penalty(session.model))


def _together(session: Any, examples: Sequence[Example], stop: Callable[[], bool], labels: Sequence[str] = ()) -> list[Answer]:
    """Answers up to the first that is not whole; those to labelled examples with the choice among `labels`."""
    from loralab.serve.together import answers

    prompts = [asked(example) for example in examples]
    wanted = [(prompt, _sampling(session, example, said)) for example, (prompt, said) in zip(examples, prompts, strict=True)]
    chosen = choices(session, [prompt for prompt, _ in prompts], labels) if labels else []
    beside = [choice if example.label is not None else None for example, choice in zip(examples, chosen, strict=False)]
    written = answers(session.model, session.encoder, wanted, stop, beside)
    found: list[Answer] = []
    for said, choice in zip_longest(written, beside):
        if said is None:
            break
        found.append(Answer(said[0], said[1].reason == "stop", said[1].tokens, said[1].active, choice.left[0] if choice else None))
    return found
