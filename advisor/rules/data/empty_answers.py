"""Some answers say nothing.

What it looks like: after training it answers some questions with nothing, with a dash or with “n/a”.

Why: rows without an answer are left out on reading, but placeholders are words like any other, and the model learns to give them.

What to do: remove these rows or write real answers.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import seen, share, some
from loralab.core.words import count, plural

ALARM_SHARE = 0.05
MIN_SHARE = 0.01
EMPTY, ANSWER = "is empty", "answer"  # in the reason for which a row is left out: loralab/datasets/examples.py


@rule("R64", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Answers without a word or with a placeholder only; also those that were left out for it when the file was read."""
    facts = case.facts
    if facts is None:
        return None
    lost = [row for row in case.profile.left_out if EMPTY in row.reason and ANSWER in row.reason] if case.profile else []
    if not facts.empty + facts.hollow:
        return _lost(case, [row.row for row in lost]) if case.profile else None
    number = facts.empty + facts.hollow
    silent = case.signals.score("empty")
    worse = silent is not None and silent.verdict == "worse"
    part = share(facts, "empty") + share(facts, "hollow")
    evidence = (
        seen(facts, "hollow", "answers that are only a placeholder"),
        seen(facts, "empty", "answers without any words"),
        *((fact("empty answers after training", silent.after),) if silent and worse else ()),
    )
    words = f"{some(number, facts, 'has', 'have')} an answer that says nothing."
    fix = advice("Remove the examples whose answer says nothing.", "drop_empty", number)
    loud = part >= ALARM_SHARE or worse
    return Found(min(0.95, 0.6 + part), words, evidence, (fix,), severity="warning" if loud else "info")


def _lost(case: Case, rows: list[int]) -> Found | None:
    """All of them were left out already: what is missing is what they should have taught."""
    read = case.profile.n_read if case.profile else 0
    part = len(rows) / max(1, read)
    if not rows or part < MIN_SHARE:
        return None
    evidence = (fact("examples left out because their answer is empty", len(rows), rows=tuple(rows[:20])),)
    words = f"{len(rows):,} of {count(read, 'row')} {plural(len(rows), 'has no answer and is', 'have no answer and are')} left out."
    fix = advice("Fill in the missing answers, or choose another column for them.", rows=len(rows))
    loud = part >= ALARM_SHARE
    return Found(min(0.95, 0.6 + part), words, evidence, (fix,), severity="warning" if loud else "info")
