"""Owns the parity gate: three questions to a finished export, check by check. Is the file what was trained; does its program compute it;
and what did rounding cost.

Invariants: the first two decide, each by a bound that is no wider than what is asked calls for; the third is told and decides nothing. What
is compared is the finished file as others will load it; a check that could not be made is never counted as passed; a runtime that breaks
is a finding about the file and no accident of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """How far a program may be from torch on the very same numbers. Divergence in nats a token."""

    largest: float  # of the differences between logits
    divergence: float
    top1: float  # share of places with the same likeliest token, at least


# Program and torch have the same numbers: what is left is how the program rounds on its way (docs/measurements/exports.md).
BOUNDS = {
    "f32": Bound(largest=0.02, divergence=1e-5, top1=0.95),
    "f16": Bound(largest=0.05, divergence=1e-5, top1=0.9),
    "bf16": Bound(largest=0.2, divergence=5e-4, top1=0.9),
    "q8_0": Bound(largest=4.0, divergence=8e-3, top1=0.5),
    "q6_k": Bound(largest=4.0, divergence=8e-3, top1=0.5),
    "q5_k_m": Bound(largest=4.0, divergence=8e-3, top1=0.5),
    "q4_k_m": Bound(largest=4.0, divergence=8e-3, top1=0.5),
    "q2_k": Bound(largest=4.0, divergence=8e-3, top1=0.5),
    "int8": Bound(largest=4.0, divergence=0.02, top1=0.5),
    "uint8": Bound(largest=4.0, divergence=0.02, top1=0.5),
}
EXACT = ("f32", "f16", "bf16")  # types whose likeliest answer must be the same at first; of the others it is only told
SAME = 1  # tokens of an answer that must be the same in those: near a tie later ones may part
NOTHING = 1e-4  # of a logit: an adapter that moves none by more than this does nothing


def untried(words: str, todo: str = "", part: str = "") -> Parity:
    """Nobody looked. `part`: the optional part that could."""
    plain = words if words[:2] == "ll" else words[0].lower() + words[1:]
    return Parity(outcome="untried", words=f"Not proven: {plain}", todo=todo, part=part)


def gate(
    opened: Callable[[int], Runtime] | None,
    encoder: TextEncoder,
    wanted: Wanted,
    kind: str,
    inside: Iterable[Check] = (),
    lost: Parity | None = None,
) -> Parity:
    """Load the export with `opened` (given how many tokens it must read at once) and compare; `inside`: what was found in the file itself.

    Without `opened` it is not tried, which `lost` says. Never raises for what is wrong with it.
    """
    checks = [*_works(wanted), *inside]
    name = ""
    try:
        if opened and not any(check.name == "loads" for check in checks):
            with closing(opened(wanted.longest)) as runtime:
                name = runtime.name
                checks.append(Check(name="loads", ok=True, words=f"in {name}"))
                for check in _compared(runtime, encoder, wanted, kind):  # those made before it broke are kept
                    checks.append(check)  # noqa: PERF402
    except Unavailable as error:
        lost = untried(error.problem.what, error.problem.todo, error.problem.part)
    except LabError as error:
        checks.append(Check(name="answers" if name else "loads", ok=False, words=error.problem.what))
    checks += _cost(wanted)
    return _judged(tuple(checks), name, kind, lost)


def _judged(checks: tuple[Check, ...], runtime: str, kind: str, lost: Parity | None) -> Parity:
    red = [check for check in checks if not check.ok and not check.told_only]
    if red:
        words = f"This file does not do what was trained: {'; '.join(check.words for check in red)}."
        why = reason({check.name: check.numbers for check in red})
        return Parity(outcome="differs", words=words, why=why, todo=TODO, runtime=runtime, kind=kind, checks=checks)
    if lost:
        return lost.model_copy(update={"kind": kind, "checks": checks})
    words = f"Loaded in {runtime} and compared with what was trained: {len(checks)} checks, all within their bounds."
    return Parity(outcome="proven", words=words, runtime=runtime, kind=kind, checks=checks)


def _compared(runtime: Runtime, encoder: TextEncoder, wanted: Wanted, kind: str) -> Iterator[Check]:
    yield _texts(runtime, encoder)
    yield _template(runtime, encoder, wanted)
    yield _stops(runtime, encoder)
    yield _logits(runtime, wanted, bound_of(kind, wanted))
    yield _answers(runtime, wanted, kind)


def bound_of(kind: str, wanted: Wanted) -> Bound:
    """Where torch had to compute in sixteen bits, its own rounding comes on top."""
    bound = BOUNDS[kind]
    if wanted.own is None or wanted.own.exact:
        return bound
    wide = BOUNDS["bf16"]
    return Bound(largest=bound.largest + wide.largest, divergence=bound.divergence + wide.divergence, top1=min(bound.top1, wide.top1))


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


def _works(wanted: Wanted) -> Iterator[Check]:
    """An adapter that changes nothing is not what anybody trained."""
    if wanted.bare is None:
        return
    moved = float(np.abs(log_softmax(wanted.logits) - log_softmax(wanted.bare)).max())
    ok = moved > NOTHING
    words = f"what was learned moves its expectations by up to {moved:.2g}" if ok else "what was learned changes nothing at all"
    yield Check(name="adapter", ok=ok, words=words, numbers={"adapter_effect": moved}, bound={"more than": NOTHING})


def _logits(runtime: Runtime, wanted: Wanted, bound: Bound) -> Check:
    """The program against torch on the same numbers: those of the file where they are known, else the trained ones."""
    own = wanted.own.logits if wanted.own else wanted.logits
    there, here = _aligned(runtime.logits(wanted.ids), own)
    told = there != np.inf  # some programs tell the likeliest tokens at most places; where all are told the divergence is computed
    gap, whole = np.where(told, np.abs(there - here), 0.0), told.all(-1)
    numbers: dict[str, Any] = {
        "tokens_compared": len(wanted.ids),
        "max_logit_difference": float(gap.max()),
        "mean_logit_difference": float(gap.sum() / told.sum()),
        "first_logit_difference": float(gap[0].max()),
        "top1_agreement": float((np.where(told, there, -np.inf).argmax(-1) == here.argmax(-1)).mean()),
        "divergence": divergence(here[whole], there[whole]) if whole.any() else float("nan"),
    }
    limits: dict[str, float | None] = {
        "largest": bound.largest,
        "divergence": bound.divergence,
        "same likeliest token at least": bound.top1,
    }
    far, apart, top1 = (numbers[n] for n in ("max_logit_difference", "divergence", "top1_agreement"))
    ok = far <= bound.largest and apart <= bound.divergence and top1 >= bound.top1  # not a number: no
    words = f"its program's numbers are off by up to {far:.2g} (divergence {apart:.2g}, the same likeliest token {top1:.0%})"
    return Check(name="logits", ok=ok, words=words, numbers=numbers, bound=limits)


def divergence(here: Any, there: Any) -> float:
    """Of two tables of log-probabilities [places, vocabulary], in nats a place."""
    return float((np.exp(here) * (here - there)).sum(-1).mean())


def _answers(runtime: Runtime, wanted: Wanted, kind: str) -> Check:
    answers = wanted.own.answers if wanted.own else tuple(answer for _, answer in wanted.answers)
    equal = [_same(runtime.generate(asked, ANSWER), answer) for (asked, _), answer in zip(wanted.answers, answers, strict=True)]
    lengths = [len(answer) for answer in answers]
    ok = all(same >= min(SAME, length) for same, length in zip(equal, lengths, strict=True))
    numbers: dict[str, Any] = {"answer_tokens": sum(lengths), "answer_tokens_equal": sum(equal), "answers_equal": equal == lengths}
    words = f"the first {sum(equal)} of {sum(lengths)} tokens of its most likely answers are those of the file's numbers"
    return Check(name="answers", ok=ok, words=words, numbers=numbers, told_only=kind not in EXACT)


def _same(there: Sequence[int], here: Sequence[int]) -> int:
    return next((i for i, (a, b) in enumerate(zip(there, here, strict=False)) if a != b), min(len(there), len(here)))


# ---- what rounding cost ----------------------------------------------------------------------------------------------------


def _cost(wanted: Wanted) -> Iterator[Check]:
    """The file's numbers against the trained ones, both in torch: answers that are alike, and how much less likely the right words are."""
    own = wanted.own
    if own is None:
        return
    there, here = _aligned(log_softmax(own.logits), wanted.logits)
    alike = sum(answer == right for answer, (_, right) in zip(own.answers, wanted.answers, strict=True))
    places, same = len(here), int((there.argmax(-1) == here.argmax(-1)).sum())
    numbers: dict[str, Any] = {"rounding_divergence": divergence(here, there), "answers_alike": alike, "answers_asked": len(own.answers)}
    words = ""
    if wanted.rows:
        losses = [_nats(wanted, i, logits) for i, logits in enumerate(own.rows)]
        trained = [_nats(wanted, i, row.logits) for i, row in enumerate(wanted.rows)]
        n = sum(count for _, count in losses)
        after, before = (sum(nats for nats, _ in side) / n for side in (losses, trained))
        numbers |= {"heldout_rows": len(wanted.rows), "heldout_tokens": n, "heldout_loss": after, "heldout_loss_trained": before}
        words = f"; on {len(wanted.rows)} held-out examples the right words are {_likelihood(before - after)}"
        for logits, row in zip(own.rows, wanted.rows, strict=True):
            places, same = places + len(row.ids), same + int((logits.argmax(-1) == row.logits.argmax(-1)).sum())
    numbers |= {"places": places, "places_alike": same}
    told = f"{alike} of {len(own.answers)} answers alike, the same likeliest word at {same} of {places} places{words}"
    yield Check(name="loss", ok=True, words=told, numbers=numbers, told_only=True)


def _likelihood(gain: float) -> str:
    """A difference of loss in words."""
    share = np.expm1(gain)
    if abs(share) < 0.001:
        return "as likely as trained"
    return f"{abs(share):.1%} {'more' if share > 0 else 'less'} likely than trained"


def _nats(wanted: Wanted, number: int, logits: Any) -> tuple[float, int]:
    """Negative log-likelihood of the learned tokens of a held-out example, and their number."""
    row = wanted.rows[number]
    places = [i for i in range(1, len(row.ids)) if row.learned[i]] or list(range(1, len(row.ids)))
    logs = log_softmax(logits)[[i - 1 for i in places], [row.ids[i] for i in places]]
    return -float(logs.sum()), len(places)


def _aligned(there: Any, here: Any) -> tuple[Any, Any]:
    """Both as log-probabilities in fp64 over the tokens both have."""
    there, here = np.asarray(there, np.float64), log_softmax(here)
    size = min(there.shape[1], here.shape[1])
    return there[:, :size], here[:, :size]
