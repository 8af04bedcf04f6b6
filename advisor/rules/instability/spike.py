"""A single update was far off and the run recovered.

What it looks like: the loss jumps to twice the usual or more for an update or two, and is back where it was right after.

Why: one batch held something odd: a row of strange characters, a very long one, or an answer that has nothing to do with its question.
Gradient clipping keeps such a batch from doing harm.

What to do: nothing for this run. If it happens often, look through the examples for odd ones; with more examples per update a single
one weighs less.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ran_away
from loralab.core.words import count, plural


@rule("R22", "instability", "info", "propose")
def check(case: Case) -> Found | None:
    """Spikes after which the loss was as before. They never are an alarm: runs that do well have them."""
    spikes = case.signals.spikes
    if not spikes or ran_away(case):
        return None
    loss = {step.step: step.loss for step in case.view.steps} if case.view else {}
    evidence = tuple(fact("loss of an update that stands out", loss[at], step=at) for at in spikes[:5])
    each = plural(len(spikes), "", " each time")
    words = f"{count(len(spikes), 'update')} {plural(len(spikes), 'was', 'were')} far off, and the run recovered{each}."
    batch = min(64, 2 * case.plan.effective_batch)
    fix = change(f"Use {count(batch, 'example')} per update, so that an odd one weighs less.", effective_batch=batch)
    return Found(0.7, words, evidence, (fix,))
