"""Owns how proof is shown: the verdict, the two losses, and answers before and after, each with the check of which adapter was on."""

from __future__ import annotations

import math

from loralab.events import RunView
from loralab.records import Sample, Score
from ui.words import empty, esc, fact, facts, figure, term

TONES = {"better": "good", "worse": "error", "no difference seen": "warning", "cannot tell yet": "info"}
NOT_YET = empty(
    "No verdict yet",
    "When a run ends it is tested on examples it never saw, once without and once with what it learned. The result appears here.",
)


def scores_of(view: RunView) -> tuple[Score, ...]:
    """The newest scores of a run."""
    return next((e.scores for e in reversed(view.evaluations) if e.scores), ())


def verdict_html(view: RunView | None) -> str:
    """The verdict in one sentence, then the numbers behind it."""
    scores = scores_of(view) if view else ()
    if not scores:
        return NOT_YET
    main = scores[0]
    word = f'<div class="verdict-word">{esc(main.verdict.capitalize() or "Measured")}</div>'
    sentence = f'<div class="verdict {TONES.get(main.verdict, "info")}">{word}<p>{esc(main.words)}</p></div>'
    return f'<div class="card proof">{sentence}{"".join(_score(score) for score in scores)}</div>'


def _score(score: Score) -> str:
    name = term("loss", "Loss on held-out") if "loss" in score.name else esc(score.name.replace("_", " ").capitalize())
    between = (
        f"95 % {term('interval')}: {_said(score, score.low, '+')} to {_said(score, score.high, '+')}"
        if (score.low, score.high) != (0.0, 0.0)
        else ""
    )
    return facts(
        fact(f"{name}, before", _said(score, score.base), term("base model")),
        fact(f"{name}, after", _said(score, score.adapter), "with what it learned"),
        fact("Difference", _said(score, score.difference, "+"), between),
        fact("Measured on", f"{score.n:,}", "examples it never saw"),
    )


def _said(score: Score, value: float, sign: str = "") -> str:
    """A share as per cent, everything else as a number; `sign` “+” shows it for a difference."""
    if not math.isfinite(value):
        return figure(value)
    return f"{100 * value:{sign}.0f} %" if "accuracy" in score.name else f"{value:{sign}.3f}"


def samples_html(samples: tuple[Sample, ...]) -> str:
    """Held-out prompts with both answers next to each other."""
    if not samples:
        return ""
    pairs = "".join(_pair(sample) for sample in samples)
    return f'<div class="small-title">The same question, before and after</div><div class="pairs">{pairs}</div>'


def _pair(sample: Sample) -> str:
    wanted = ""
    if sample.reference:
        wanted = f'<details><summary>What the example says</summary><div class="answer">{esc(sample.reference)}</div></details>'
    before = _answer("Before", sample.base, sample.base_active, wanted_on=False)
    after = _answer("After", sample.adapter, sample.adapter_active, wanted_on=True)
    prompt = f'<div class="prompt">{esc(sample.prompt)}</div>'
    return f'<article class="card pair">{prompt}<div class="two">{before}{after}</div>{wanted}</article>'


def _answer(title: str, text: str, active: tuple[str, ...], *, wanted_on: bool) -> str:
    right = bool(active) == wanted_on
    state = f"adapter on: {', '.join(active)}" if active else "no adapter on"
    sign, tone = ("✓", "good") if right else ("✗", "bad")
    badge = f'<span class="check {tone}" title="Checked while this answer was written">{sign} {esc(state)}</span>'
    said = esc(text.strip()) or "<i>(nothing)</i>"
    side = "after" if wanted_on else "before"
    return f'<div class="side {side}"><header><b>{title}</b>{badge}</header><div class="answer">{said}</div></div>'
