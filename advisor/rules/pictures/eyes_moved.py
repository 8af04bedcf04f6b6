"""Something that was to stay as it was has moved while it learned.

What it looks like: parts of the model that no correction reaches, as the averages it keeps of what it usually sees (batch normalisation),
are not as they were before.

Why: a layer that was left in training mode counts every picture it is shown. The adapter that is saved does not hold such averages:
wherever it is put on a fresh model, it answers otherwise.

What to do: do not use this version. Train again; if it comes back, tell those who make this app.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.words import count, plural


@rule("R219", "instability", "error", "inform", tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The run compared its frozen numbers with those it had loaded, and found some that changed."""
    told = case.signals.incidents("base_moved")
    if not told:
        return None
    names = [str(name) for name in told[-1].data.get("names", ())]
    evidence = (
        fact("what the run found", step=told[-1].step, line=told[-1].text),
        fact("frozen parts that moved", len(names) or None, line=", ".join(names[:3])),
    )
    moved = f"{count(len(names), 'part')} of the model that {plural(len(names), 'was', 'were')} to stay as loaded" if names else "The model"
    return Found(0.95, f"{moved} moved while it learned.", evidence, (advice("Do not use or share this version: train it again."),))
