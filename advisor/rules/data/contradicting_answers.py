"""The same question is answered in different ways.

What it looks like: the loss stops falling early and stays there; for these questions the model gives first one answer, then another.

Why: nobody can learn two answers to one question. For sorting texts into classes that is a fault of the file; in talk, several good answers
to one question are normal.

What to do: where only one answer is right, keep that one and remove the others.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import SMALL_CONFIDENCE, seen, some

MIN_SHARE, ALARM_SHARE = 0.02, 0.1  # of classified texts
ALARM_SHARE_OF_TALK = 0.5  # of free answers: many are normal
MAX_SHARE_OF_ONE = 0.05  # a question that more examples share is an instruction, not a question


@rule("R84", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Share of the examples that ask what was asked before and answer otherwise."""
    facts = case.facts
    if facts is None or not facts.n_train or facts.same_question > max(20, MAX_SHARE_OF_ONE * facts.n_train):
        return None
    part = facts.questions_repeated / facts.n_train
    sorted_texts = facts.classes > 1
    if facts.questions_repeated < 2 or part < MIN_SHARE:
        return None
    evidence = (
        seen(facts, "questions_repeated", "examples whose question was answered differently before"),
        fact("classes", facts.classes),
    )
    words = f"{some(facts.questions_repeated, facts, 'gives', 'give')} a different answer to a question that was asked before."
    fix = advice("Keep one answer to each question.", "drop_contradicting", facts.questions_repeated)
    loud = part >= (ALARM_SHARE if sorted_texts else ALARM_SHARE_OF_TALK)
    return Found(
        min(0.95, 0.7 + part) if sorted_texts else 0.5 if loud else SMALL_CONFIDENCE + part / 2,
        words,
        evidence,
        (fix,),
        severity="warning" if loud else "info",
    )
