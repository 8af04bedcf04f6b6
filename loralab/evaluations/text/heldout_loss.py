"""Owns the measure behind the verdict: how likely the right answers are, without and with the adapter, on examples it never saw.

Invariant: both numbers come from the same model object in the same process over the same tokens; only the adapter's switch differs,
and that it really differed is read off the layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from loralab.core.records import Example, Score
from loralab.core.words import count
from loralab.datasets.dataset import spread
from loralab.evaluations import Evaluation, Judged, Judging, Measured
from loralab.evaluations.shared.paired import Difference, paired_difference, verdict
from loralab.evaluations.shared.readings import BOTH, Readings, readings
from loralab.evaluations.text import TEXT, question_fit
from loralab.models.tokenize import Encoded

MANY_TIMES = 100  # a larger factor says that the base had no idea of the form of the answers, and nothing more
HELP = (
    "How surprised the model is by each word of the right answers, on average (nats per token). 0 would be no surprise at all; "
    "half a unit less means that the right words became about 1.6 times as likely."
)
MOST_ROWS = 512  # more rows narrow the interval by little and cost two passes each


def paired_losses(session: Judged, known: Readings | None = None) -> tuple[list[float], list[float], list[int]]:
    """Summed loss of each judged example without and with the adapter, and its number of targets; `known`: what was read already."""
    found = known or Readings(session)
    rows = [session.heldout_rows[i] for i in spread(len(session.heldout_rows), MOST_ROWS)]
    found.read(rows)
    base, adapter = ([found.loss(row, adapter=on) or (math.nan, 0) for row in rows] for on in BOTH)
    return [loss for loss, _ in base], [loss for loss, _ in adapter], [count for _, count in base]


def measure(judging: Judging) -> Measured:
    """The paired comparison as a Score named `loss` (per learned token, in nats), and the losses of each example."""
    session, known = judging.session, readings(judging)
    judged = spread(len(session.heldout_rows), MOST_ROWS)
    known.read(
        [*(session.heldout_rows[i] for i in judged), *beside(judging)],
        tell=lambda fraction: judging.note("measuring: how likely the right answers are", fraction),
    )
    base, adapter, counts = paired_losses(session, known)
    score = summarise(base, adapter, counts, of=len(session.heldout_rows))
    sizes = [_bytes(session, i) for i in judged]
    rows = [
        {"row": session.heldout_examples[i].row, "tokens": n, "bytes": size, "before_loss": b / n, "after_loss": a / n}
        for i, size, b, a, n in zip(judged, sizes, base, adapter, counts, strict=True)
    ]
    return Measured((score,), rows, {"same_in_other_units": other_units(base, adapter, counts, sizes)})


def beside(judging: Judging) -> list[Encoded]:
    """What another measure will ask of the same questions: where what they begin with is read once, it costs next to nothing."""
    fit, session = question_fit.EVALUATION, cast("Any", judging.session)
    taken = (not judging.only or fit.name in judging.only) and fit.fits(judging.plan, session.heldout_examples)
    if session.head.by_hand is None or not taken:
        return []
    return [row for pair in question_fit.encoded(judging) for row in (pair.own, pair.other)]


def other_units(
    base: Sequence[float], adapter: Sequence[float], counts: Sequence[int], sizes: Sequence[int]
) -> dict[str, tuple[float, float]]:
    """The same loss as perplexity and as bits per byte of the answers (which compares models with different tokenizers)."""
    tokens, bits = max(1, sum(counts)), math.log(2) * max(1, sum(sizes))
    return {"perplexity": (_exp(sum(base) / tokens), _exp(sum(adapter) / tokens)), "bits_per_byte": (sum(base) / bits, sum(adapter) / bits)}


def _bytes(session: Judged, i: int) -> int:
    """Bytes of the text that example `i` is judged on."""
    row = session.heldout_rows[i]
    learned = [token for token, is_learned in zip(row.ids, row.learned, strict=True) if is_learned]
    return len(session.encoder.decode(learned).encode())


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def summarise(base: Sequence[float], adapter: Sequence[float], counts: Sequence[int], of: int = 0) -> Score:
    """Score of paired per-example sums. `of`: how many held-out examples there are, where not all were judged."""
    found = paired_difference(base, adapter, counts)
    judged = verdict(found, lower_is_better=True)
    return Score(
        name="loss",
        before=found.before,
        after=found.after,
        n=found.n,
        difference=found.difference,
        low=found.low,
        high=found.high,
        verdict=judged,
        words=_words(found, judged, of),
        label="Surprise at the right answers (loss)",
        help=HELP,
        group="loss",
        lower_is_better=True,
        p=found.p,
        smallest=found.smallest,
        more_rows=found.more_rows,
    )


def _words(found: Difference, judged: str, of: int) -> str:
    seen = f"{count(found.n, 'example')}" if of <= found.n else f"{found.n} of {count(of, 'example')}"
    numbers = f"(loss {found.before:.2f} → {found.after:.2f})"
    match judged:
        case "better":
            return f"On {seen} it never saw, the right words are {_likelier(-found.difference)} likely than before {numbers}."
        case "worse":
            return f"On {seen} it never saw, the right words are {_likelier(found.difference, less=True)} likely than before {numbers}."
        case "no difference seen":
            return f"On {seen} it never saw, it does as well as the base model, no better and no worse {numbers}."
        case _:
            return f"On {seen} it never saw, the difference could be chance {numbers}."


def _likelier(nats: float, *, less: bool = False) -> str:
    """“2.0 times as” would need other grammar; percent more up to twice, times from there on."""
    if less:
        return f"{100 * (1 - math.exp(-nats)):.0f} % less"
    if nats > math.log(MANY_TIMES):
        return f"more than {MANY_TIMES} times more"
    return f"{100 * (math.exp(nats) - 1):.0f} % more" if nats < math.log(2) else f"{math.exp(nats):.1f} times more"


def accepts(examples: Sequence[Example]) -> bool:
    """Any text run with held-out examples."""
    return bool(examples)


EVALUATION = Evaluation(name="loss", label="How likely the right answers are", tasks=TEXT, accepts=accepts, measure=measure, main=1)
