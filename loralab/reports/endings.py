"""Owns what a report says of where answers end: the marks there are, whether they were learned, what was added, and what came of it.

Invariant: every sentence rests on what the run noted before its first update, or on its verdict; of what nobody noted nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from loralab.core.events import RunView
from loralab.core.facts import Facts
from loralab.core.words import count


def endings(view: RunView) -> tuple[str, ...]:
    """Sentences about a run on texts; none of pictures, nor of a log that does not tell."""
    facts = view.facts
    if facts is None or facts.unit != "tokens":
        return ()
    return (*_marks(facts), *_came(view))


def _marks(facts: Facts) -> Iterator[str]:
    if facts.plain:
        yield "These are running texts: nothing in them ends an answer, so the model writes on until it is told to stop."
        return
    if not facts.stops:
        yield "The model has no mark that ends an answer, so it was not told where to stop."
        return
    marks = count(facts.stops, "mark")
    if not facts.unended:
        yield f"The model has {marks} to end an answer with. Every answer ends with one, and it was learned with the answer."
    else:
        yield f"The model has {marks} to end an answer with. {count(facts.unended, 'example')} of {facts.n_train:,} did not end with one."
    if "end" in facts.template_added:
        yield "The model's own template put no mark behind an answer. One was added, and it goes along with every form that is taken away."
    if facts.pads_with_stop:
        yield "Short examples are filled up with the same mark. Only the one behind an answer was learned, not the filling."
    if facts.cut:
        what = "loses" if facts.cut == 1 else "lose"
        yield f"{count(facts.cut, 'example')} {what} the end, because the longest example that was allowed is shorter."


def _came(view: RunView) -> Iterator[str]:
    final = next((look for look in reversed(view.evaluations) if look.split == "final"), None)
    score = next((one for one in (final.scores if final else ()) if one.name == "ends_turn"), None)
    if score:
        after, before = (f"{100 * share:.0f} %" for share in (score.after, score.before))
        yield f"Of its answers to {count(score.n, 'question')} it never saw, {after} ended by themselves; before, {before}."
