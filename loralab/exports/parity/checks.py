"""Owns the parity gate: an export in its own runtime against what was trained, check by check, with a bound for each.

Invariants: what is compared is the finished file as others will load it; a check that could not be made is never counted as passed;
a runtime that breaks is a finding about the file and no accident of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from loralab.core.errors import LabError, Unavailable
from loralab.core.parity import Check, Parity
from loralab.core.records import Record
from loralab.exports.parity.reasons import TODO, reason
from loralab.exports.parity.reference import ANSWER, ODD, TEXTS, Wanted, log_softmax, plain_ids, turn_end
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.runtime import Runtime

FEW = 1  # of the plain texts that may differ, and is then told: a rare script; more is a wrong tokenizer


class Bound(Record):
    """How far a format may be from what was trained. Divergence in nats a token; loss in nats a learned token."""

    largest: float  # of the differences between logits; infinite where a type is judged by divergence alone
    divergence: float
    top1: float  # share of places with the same likeliest token, at least
    loss: float  # held-out loss, difference


# Rounding of 16 bits moves logits by hundredths; a fault of structure by whole numbers. Small types are judged by divergence and loss,
# five to ten times what healthy files of small models were measured at; what shifts less than its type's rounding cannot be seen in it.
BOUNDS = {
    "f32": Bound(largest=0.05, divergence=1e-4, top1=0.97, loss=0.002),
    "f16": Bound(largest=0.2, divergence=1e-3, top1=0.95, loss=0.01),
    "bf16": Bound(largest=0.5, divergence=5e-3, top1=0.9, loss=0.03),
    "q8_0": Bound(largest=np.inf, divergence=0.02, top1=0.85, loss=0.06),
    "q6_k": Bound(largest=np.inf, divergence=0.08, top1=0.7, loss=0.12),
    "q5_k_m": Bound(largest=np.inf, divergence=0.2, top1=0.6, loss=0.2),
    "q4_k_m": Bound(largest=np.inf, divergence=0.6, top1=0.4, loss=0.4),
    "q2_k": Bound(largest=np.inf, divergence=2.0, top1=0.0, loss=1.0),
    "int8": Bound(largest=np.inf, divergence=0.1, top1=0.7, loss=0.15),
    "uint8": Bound(largest=np.inf, divergence=0.1, top1=0.7, loss=0.15),
}
EXACT = ("f32", "f16", "bf16")  # types whose likeliest answer must be the trained one at first; of the others it is only told
SAME = 1  # tokens of an answer that must be the same in those: near a tie later ones may part


def untried(words: str, todo: str = "") -> Parity:
    """Nobody looked."""
    return Parity(outcome="untried", words=f"Not proven: {words[0].lower() + words[1:] if words[:2] != 'll' else words}", todo=todo)


def gate(opened: Callable[[int], Runtime], encoder: TextEncoder, wanted: Wanted, kind: str) -> Parity:
    """Load the export with `opened` (given how many tokens it must read at once) and compare. Never raises for what is wrong with it."""
    checks: list[Check] = []
    name = ""
    try:
        with closing(opened(wanted.longest)) as runtime:
            name = runtime.name
            checks.append(Check(name="loads", ok=True, words=f"in {name}"))
            for check in _compared(runtime, encoder, wanted, kind):  # those made before it broke are kept
                checks.append(check)  # noqa: PERF402
    except Unavailable as error:
        return untried(error.problem.what, error.problem.todo)
    except LabError as error:
        checks.append(Check(name="answers" if name else "loads", ok=False, words=error.problem.what))
    return _judged(tuple(checks), name, kind)


def _judged(checks: tuple[Check, ...], runtime: str, kind: str) -> Parity:
    red = [check for check in checks if not check.ok and not check.told_only]
    if not red:
        words = f"Loaded in {runtime} and compared with what was trained: {len(checks)} checks, all within their bounds."
        return Parity(outcome="proven", words=words, runtime=runtime, kind=kind, checks=checks)
    words = f"This file does not do what was trained: {'; '.join(check.words for check in red)}."
    why = reason({check.name: check.numbers for check in red})
    return Parity(outcome="differs", words=words, why=why, todo=TODO, runtime=runtime, kind=kind, checks=checks)


def _compared(runtime: Runtime, encoder: TextEncoder, wanted: Wanted, kind: str) -> Iterator[Check]:
    yield _texts(runtime, encoder)
    yield _template(runtime, encoder, wanted)
    yield _stops(runtime, encoder)
    yield _logits(runtime, wanted, BOUNDS[kind])
    yield _answers(runtime, wanted, kind)
    if wanted.rows:
        yield _loss(runtime, wanted, BOUNDS[kind])


# ---- the checks ------------------------------------------------------------------------------------------------------------


def _texts(runtime: Runtime, encoder: TextEncoder) -> Check:
    differ = [text for text in TEXTS + ODD if runtime.tokenize(text, added=False) != plain_ids(encoder, text)]
    n, wrong = len(TEXTS + ODD), len(set(differ) - set(ODD))
    words = f"it splits {len(differ)} of {n} texts into other tokens"
    return Check(name="texts", ok=wrong <= FEW, words=words, numbers={"texts": n, "texts_differ": differ}, bound={"differ at most": FEW})


def _template(runtime: Runtime, encoder: TextEncoder, wanted: Wanted) -> Check:
    """Conversations, fixed and held out, as the export writes them down: template, beginning of text, special tokens."""
    pairs = [(runtime.chat_ids(chat), encoder.prompt_ids(chat)) for chat in wanted.chats]
    differ = [(there, here) for there, here in pairs if there != here]
    doubled = sum(there[1:] == here for there, here in differ)
    words = f"it writes {len(differ)} of {len(pairs)} conversations down differently"
    numbers: dict[str, Any] = {"chats": len(pairs), "chats_equal": len(pairs) - len(differ), "chats_with_one_more_first": doubled}
    return Check(name="template", ok=not differ, words=words, numbers=numbers, bound={"differ at most": 0})


def _stops(runtime: Runtime, encoder: TextEncoder) -> Check:
    """The token that ended an answer in training must end it here; others the base knows as ends are told."""
    end = turn_end(encoder)
    ends = [end] if end is not None else sorted(encoder.stop_ids)[:1]
    missed = [str(encoder.tokenizer.id_to_token(i)) for i in ends if not runtime.ends(i)]
    also = [str(encoder.tokenizer.id_to_token(i)) for i in sorted(encoder.stop_ids - set(ends)) if not runtime.ends(i)]
    words = f"it goes on writing after {', '.join(missed)}" if missed else "it stops where an answer ended in training"
    words += f" (not after {', '.join(also)}, where the base would)" if also else ""
    return Check(name="stops", ok=not missed, words=words, numbers={"stops_missed": missed})


def _logits(runtime: Runtime, wanted: Wanted, bound: Bound) -> Check:
    there, here = _aligned(runtime.logits(wanted.ids), wanted.logits)
    gap = np.abs(there - here)
    numbers: dict[str, Any] = {
        "tokens_compared": len(wanted.ids),
        "max_logit_difference": float(gap.max()),
        "mean_logit_difference": float(gap.mean()),
        "first_logit_difference": float(gap[0].max()),
        "top1_agreement": float((there.argmax(-1) == here.argmax(-1)).mean()),
        "divergence": float((np.exp(here) * (here - there)).sum(-1).mean()),
    }
    if wanted.bare is not None:
        numbers |= _strength(there, here, log_softmax(wanted.bare)[:, : here.shape[1]])
    limits: dict[str, float | None] = {
        "largest": bound.largest,
        "divergence": bound.divergence,
        "same likeliest token at least": bound.top1,
    }
    far, divergence, top1 = (numbers[n] for n in ("max_logit_difference", "divergence", "top1_agreement"))
    ok = far <= bound.largest and divergence <= bound.divergence and top1 >= bound.top1  # not a number: no
    words = f"its numbers are off by up to {far:.2g} (divergence {divergence:.2g}, the same likeliest token {top1:.0%})"
    return Check(name="logits", ok=ok, words=words, numbers=numbers, bound=limits)


def _strength(there: Any, here: Any, bare: Any) -> dict[str, Any]:
    """By how much of the adapter's own effect the export differs from the bare base, and what is left unexplained by that."""
    effect, found = (here - bare).ravel(), (there - bare).ravel()
    size = float(effect @ effect)
    share = float(effect @ found) / size if size else 1.0
    left = float(np.linalg.norm(found - share * effect) / max(np.linalg.norm(effect), 1e-12))
    return {"adapter_share": share, "adapter_unexplained": left}


def _answers(runtime: Runtime, wanted: Wanted, kind: str) -> Check:
    equal = [_same(runtime.generate(asked, ANSWER), answer) for asked, answer in wanted.answers]
    lengths = [len(answer) for _, answer in wanted.answers]
    ok = all(same >= min(SAME, length) for same, length in zip(equal, lengths, strict=True))
    numbers: dict[str, Any] = {"answer_tokens": sum(lengths), "answer_tokens_equal": sum(equal), "answers_equal": equal == lengths}
    words = f"the first {sum(equal)} of {sum(lengths)} tokens of its likeliest answers are the trained ones"
    return Check(name="answers", ok=ok, words=words, numbers=numbers, told_only=kind not in EXACT)


def _same(there: Sequence[int], here: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(there, here, strict=False)) if a != b), min(len(there), len(here)))


def _loss(runtime: Runtime, wanted: Wanted, bound: Bound) -> Check:
    """Mean negative log-likelihood of the learned tokens of held-out examples, there and here."""
    sums, n = np.zeros(2), 0
    for row in wanted.rows:
        places = [i for i in range(1, len(row.ids)) if row.learned[i]] or list(range(1, len(row.ids)))
        targets = [row.ids[i] for i in places]
        for side, logs in enumerate(_aligned(runtime.logits(row.ids), row.logits)):
            sums[side] -= logs[[i - 1 for i in places], targets].sum()
        n += len(places)
    there, here = sums / n
    numbers: dict[str, Any] = {"heldout_rows": len(wanted.rows), "heldout_tokens": n, "heldout_loss": float(there)}
    numbers |= {"heldout_loss_trained": float(here)}
    words = f"its loss on {len(wanted.rows)} held-out examples is {there:.4f}, that of what was trained {here:.4f}"
    return Check(name="loss", ok=bool(abs(there - here) <= bound.loss), words=words, numbers=numbers, bound={"difference": bound.loss})


def _aligned(there: Any, here: Any) -> tuple[Any, Any]:
    """Both as log-probabilities in fp64 over the tokens both have."""
    there, here = np.asarray(there, np.float64), log_softmax(here)
    size = min(there.shape[1], here.shape[1])
    return there[:, :size], here[:, :size]
