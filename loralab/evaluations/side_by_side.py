"""Owns showing what changed: held-out prompts answered by the bare base and by the adapter.

Invariant: each answer carries the names of the adapters that took part in it, read off the layers while it was written.
"""

from __future__ import annotations

from collections.abc import Sequence

from loralab.evaluations import Evaluation, Judged, switched
from loralab.evaluations._paired import spread
from loralab.records import Example, Message, Plan, Sample

SHORTEST, LONGEST = 32, 160  # tokens an answer may take: twice its reference, within these
OPENING = 3  # of a plain text the first third is given and the rest is to be written


def answers(session: Judged, count: int) -> tuple[Sample, ...]:
    """`count` held-out examples, evenly spread, answered without and with the adapter, the likeliest token each time."""
    from loralab.serve.generate import answer, default_penalty

    examples = [session.heldout_examples[i] for i in spread(len(session.heldout_examples), count)]
    penalty = default_penalty(session.model)
    samples: list[Sample] = []
    for example in examples:
        prompt, reference = asked(example)
        size = min(LONGEST, max(SHORTEST, 2 * len(session.encoder.text_ids(reference))))
        with switched(session.model, adapter=False):
            base, base_active = answer(session.model, session.encoder, prompt, size, penalty)
        with switched(session.model, adapter=True):
            adapter, adapter_active = answer(session.model, session.encoder, prompt, size, penalty)
        shown = prompt if isinstance(prompt, str) else _last(prompt)
        samples.append(
            Sample(prompt=shown, reference=reference, base=base, adapter=adapter, base_active=base_active, adapter_active=adapter_active)
        )
    return tuple(samples)


def asked(example: Example) -> tuple[str | list[Message], str]:
    """What the model is given and what the file says it should write: the turns before the last answer, or the opening of a text."""
    if not example.messages:
        cut = len(example.text) // OPENING
        space = example.text.find(" ", cut)  # not in the middle of a word
        cut = space if 0 <= space < 2 * cut else cut
        return example.text[:cut], example.text[cut:].strip()
    last = max((i for i, message in enumerate(example.messages) if message.role == "assistant"), default=len(example.messages))
    reference = example.messages[last].content if last < len(example.messages) else ""
    return list(example.messages[:last]), reference


def _last(turns: Sequence[Message]) -> str:
    return next((turn.content for turn in reversed(turns) if turn.role == "user"), "")


def accepts(plan: Plan, examples: Sequence[Example]) -> bool:
    """Any text run with held-out examples."""
    return plan.task == "text" and bool(examples)


EVALUATION = Evaluation(name="side_by_side", label="Before and after, side by side", accepts=accepts, samples=answers)
