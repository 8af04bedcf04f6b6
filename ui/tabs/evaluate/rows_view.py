"""Owns how single examples are shown: what got better, worse or stayed, both answers side by side, and what in them has no source.

Invariant: an answer is shown whole or with the sign that it goes on; marks stand on the very characters that were counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralab.core.records import Sample
from ui.markup import draw
from ui.tabs.evaluate.judged import Found, Row, Seen, examples_of
from ui.words import paragraph, term

PAGE = 8  # examples at a time
CHANGES = (("all", "All"), ("better", "Better"), ("worse", "Worse"), ("same", "Stayed"))
MEANS = {
    "right": "Better means: its answer was wrong and is right now.",
    "close": "Better means: its answer has clearly more in common with what the example says (chrF++, by 5 points or more).",
    "loss": "Nothing is answered here. Better means that the text has become clearly more likely (lower loss).",
}
NONE = {
    "better": "None of the examples got better.",
    "worse": "None of the examples got worse.",
    "same": "Not one example stayed as it was.",
    "all": "No single examples were kept.",
}
CHANGED = {"better": "better", "worse": "worse", "same": "stayed"}
SIGNS = {"better": ("▲", "good"), "worse": ("▼", "bad"), "same": ("=", "quiet")}


def choices(seen: Sequence[Seen]) -> list[tuple[str, str]]:
    """The filters, each with how many examples it leaves."""
    return [(f"{words} · {sum(key in ('all', s.change) for s in seen):,}", key) for key, words in CHANGES]


def chosen(seen: Sequence[Seen], change: str) -> list[Seen]:
    """The examples that went as asked."""
    return [s for s in seen if change in ("all", s.change)]


def rows_fold(found: Found, change: str = "all", most: int = PAGE) -> str:
    """Every example, folded: filters, what they mean, the list and more of it; or the few answers that were kept."""
    how, seen = examples_of(found)
    if not seen:
        return (
            draw("result", "fold", "The same questions, before and after", "", samples_html(found.samples), "rows") if found.samples else ""
        )
    more = f"rows:{change}:{most + PAGE}" if len(chosen(seen, change)) > most else ""
    filters = [(f"rows:{key}:{PAGE}", words, key == change) for words, key in choices(seen)]
    body = draw("evaluate", "examples", MEANS[how], filters, rows_html(seen, how, change, most), more)
    return draw("result", "fold", "Example by example", f"{len(seen):,} it never saw, the largest change first", body, "rows")


def rows_html(seen: Sequence[Seen], how: str, change: str, most: int) -> str:
    """The first `most` examples that went as asked."""
    left = chosen(seen, change)
    if not left:
        return paragraph(NONE[change], "fine")
    if how == "loss" and not any("after" in s.answers for s in left):
        return draw("evaluate", "losses", [_row(s) | _loss(s) for s in left[:most]])
    return draw("evaluate", "pairs", [_pair(s) for s in left[:most]])


def _row(seen: Seen) -> dict[str, Any]:
    """How an example went, as the templates ask for it."""
    sign, tone = SIGNS[seen.change]
    told = seen.after if seen.before == seen.after else f"{seen.before} → {seen.after}"
    return {"number": seen.row, "sign": sign, "tone": tone, "changed": CHANGED[seen.change], "told": told}


def _loss(seen: Seen) -> dict[str, str]:
    before, after = (said.removeprefix("loss ") for said in (seen.before, seen.after))
    return {"loss_word": term("loss"), "before": before, "after": after}


def _pair(seen: Seen) -> str:
    return _drawn(_row(seen), seen.answers.get("question"), seen.answers)


def _drawn(row: dict[str, Any] | None, question: object, kept: Row) -> str:
    """Both answers and what the example says, next to each other as far as there is room."""
    reference = kept.get("reference")
    answers = [answer("Before", kept, "before"), answer("After", kept, "after")] if "after" in kept else []
    return draw("evaluate", "pair", row, question, answers, None if reference in ("", None) else reference)


def answer(title: str, kept: Row, who: str) -> str:
    """One of two answers, with the check of which adapter was on and the marks on what has no source."""
    said = marked(str(kept.get(who) or "").rstrip(), kept.get(f"{who}_spans", ()))
    return draw("evaluate", "answer", title, who, _check(kept, who), said)


def _check(kept: Row, who: str) -> dict[str, str] | None:
    active = kept.get(f"{who}_active")
    if active is None:
        return None
    if bool(active) == (who == "after"):
        return None  # as it should be, which need not be said at every answer
    return {"state": f"adapter on: {', '.join(active)}" if active else "no adapter on", "sign": "✗", "tone": "bad"}


def marked(text: str, spans: Sequence[Sequence[Any]]) -> str:
    """`text` with (kind, start, end) marked as standing in neither question nor reference."""
    pieces, at = [], 0
    for kind, start, end in sorted(spans, key=lambda span: span[1]):
        if at <= start < end <= len(text):
            pieces += [(text[at:start], ""), (text[start:end], kind)]
            at = end
    return draw("evaluate", "marked", [*pieces, (text[at:], "")])


def samples_html(samples: Sequence[Sample]) -> str:
    """A few questions with both answers, where no more was kept."""
    return draw("evaluate", "pairs", [_drawn(None, s.prompt, s.model_dump()) for s in samples]) if samples else ""
