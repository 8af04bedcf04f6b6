"""Owns what a page says of its model: what it is made of, both answers of the verdict, what was measured, limits and licences.

Invariant: every sentence is one of the run's own (its verdict, its card); nothing of its examples stands in a page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loralab.core.events import RunView
from loralab.core.version import __version__
from loralab.core.words import can_you_use_it, count, did_it_learn
from loralab.exports import Source
from loralab.reports.score_words import between, value

UNJUDGED = "It was not judged on examples kept aside: nothing is claimed about how good it is."


def told(source: Source, what: str, limits: Iterable[str], warning: str = "") -> dict[str, Any]:
    """For the template. `what`: one sentence; `limits`: as the card has them; `warning`: what must stand above everything."""
    view = source.view
    return {
        "title": str(source.plan.get("title") or source.run),
        "what": what,
        "version": __version__,
        "warning": warning,
        "answers": _answers(view),
        "scores": _scores(view),
        "shown": _shown(view),
        "limits": list(limits),
        "unjudged": UNJUDGED,
    }


def _shown(view: RunView) -> str:
    counts = view.measured
    return f"It learned from {count(counts.n_train, 'example')}; {counts.n_heldout:,} were kept aside to judge it." if counts else ""


def _answers(view: RunView) -> list[tuple[str, str, str]]:
    found = view.conclusion
    if found is None:
        return []
    return [
        ("Did it learn?", did_it_learn(found), found.learned_words),
        ("Can it be used?", can_you_use_it(found), f"{found.usable_words} {found.but}".strip()),
    ]


def _scores(view: RunView) -> list[dict[str, str]]:
    final = next((e for e in reversed(view.evaluations) if e.split == "final"), None)
    return [
        {
            "label": score.label or score.name.replace("_", " "),
            "before": value(score, score.before),
            "after": value(score, score.after),
            "difference": value(score, score.difference, "+"),
            "between": between(score),
            "n": f"{score.n:,}",
        }
        for score in (final.scores if final else ())
    ]
