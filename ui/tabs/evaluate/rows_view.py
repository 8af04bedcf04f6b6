"""Owns how single examples are shown: what got better, worse or stayed, both answers side by side, and what in them has no source.

Invariant: an answer is shown whole or with the sign that it goes on; marks stand on the very characters that were counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralab.core.records import Sample
from ui.tabs.evaluate.judged import Row, Seen
from ui.words import esc, term

PAGE = 8  # examples at a time
CHANGES = (("all", "All"), ("better", "Better"), ("worse", "Worse"), ("same", "Stayed"))
MEANS = {
    "right": "Better means: its answer was wrong and is right now.",
    "close": "Better means: its answer has clearly more in common with what the example says (chrF++, by 5 points or more).",
    "loss": "Here nothing is answered. Better means: the text has become clearly likelier (lower loss).",
}
NONE = {
    "better": "None of the examples got better.",
    "worse": "None of the examples got worse.",
    "same": "Not one example stayed as it was.",
    "all": "No single examples were kept.",
}
SIGNS = {"better": ("▲", "good"), "worse": ("▼", "bad"), "same": ("=", "quiet")}


def choices(seen: Sequence[Seen]) -> list[tuple[str, str]]:
    """The filters, each with how many examples it leaves."""
    return [(f"{words} · {sum(key in ('all', s.change) for s in seen):,}", key) for key, words in CHANGES]


def chosen(seen: Sequence[Seen], change: str) -> list[Seen]:
    """The examples that went as asked."""
    return [s for s in seen if change in ("all", s.change)]


def rows_html(seen: Sequence[Seen], how: str, change: str, most: int) -> str:
    """The first `most` examples that went as asked."""
    left = chosen(seen, change)
    if not left:
        return f'<p class="fine">{NONE[change]}</p>'
    if how == "loss" and not any("adapter" in s.answers for s in left):
        return f'<div class="losses">{"".join(_loss_row(s) for s in left[:most])}</div>'
    return f'<div class="pairs">{"".join(_pair(s) for s in left[:most])}</div>'


def _loss_row(seen: Seen) -> str:
    sign, tone = SIGNS[seen.change]
    before, after = (said.removeprefix("loss ") for said in (seen.before, seen.after))
    return (
        f'<div class="loss-row"><span class="turned {tone}"><span aria-hidden="true">{sign}</span> {_changed(seen)}</span>'
        f"<b>Example {seen.row:,}</b><span>{term('loss')} {before} → {after}</span></div>"
    )


def _changed(seen: Seen) -> str:
    return {"better": "better", "worse": "worse", "same": "stayed"}[seen.change]


def _pair(seen: Seen) -> str:
    sign, tone = SIGNS[seen.change]
    told = seen.after if seen.before == seen.after else f"{seen.before} → {seen.after}"
    head = (
        f'<header><span class="fine">Example {seen.row:,}</span><span class="turned {tone}">'
        f'<span aria-hidden="true">{sign}</span> {_changed(seen)}: {esc(told)}</span></header>'
    )
    kept = seen.answers
    prompt = f'<div class="prompt">{esc(kept["question"])}</div>' if kept.get("question") else ""
    return f'<article class="card pair">{head}{prompt}{_sides(kept)}</article>'


def _sides(kept: Row) -> str:
    """Both answers and what the example says, next to each other as far as there is room."""
    reference = kept.get("reference")
    wanted = ""
    if reference not in ("", None):
        wanted = f'<div class="side wanted"><header><b>What the example says</b></header><div class="answer">{esc(reference)}</div></div>'
    answers = answer("Before", kept, "base") + answer("After", kept, "adapter") if "adapter" in kept else ""
    return f'<div class="two">{answers}{wanted}</div>' if answers or wanted else ""


def answer(title: str, kept: Row, who: str) -> str:
    """One of two answers, with the check of which adapter was on and the marks on what has no source."""
    said = marked(str(kept.get(who) or "").rstrip(), kept.get(f"{who}_spans", ())) or "<i>(nothing)</i>"
    side = "after" if who == "adapter" else "before"
    return f'<div class="side {side}"><header><b>{title}</b>{_check(kept, who)}</header><div class="answer">{said}</div></div>'


def _check(kept: Row, who: str) -> str:
    active = kept.get(f"{who}_active")
    if active is None:
        return ""
    state = f"adapter on: {', '.join(active)}" if active else "no adapter on"
    sign, tone = ("✓", "good") if bool(active) == (who == "adapter") else ("✗", "bad")
    return f'<span class="check {tone}" title="Checked while this answer was written">{sign} {esc(state)}</span>'


def marked(text: str, spans: Sequence[Sequence[Any]]) -> str:
    """`text` with (kind, start, end) marked as standing in neither question nor reference."""
    parts, at = [], 0
    for kind, start, end in sorted(spans, key=lambda span: span[1]):
        if at <= start < end <= len(text):
            tip = f"This {esc(kind)} stands neither in the question nor in what the example says."
            parts += [esc(text[at:start]), f'<mark class="nowhere" title="{tip}">{esc(text[start:end])}</mark>']
            at = end
    return "".join(parts) + esc(text[at:])


def samples_html(samples: Sequence[Sample]) -> str:
    """A few questions with both answers, where no more was kept."""
    pairs = "".join(
        f'<article class="card pair"><div class="prompt">{esc(s.prompt)}</div>{_sides(s.model_dump())}</article>' for s in samples
    )
    return f'<div class="pairs">{pairs}</div>' if pairs else ""
