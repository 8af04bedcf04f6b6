"""Nothing in the questions foretells the answers.

What it looks like: two simple learners that look only at words and letters do no better with your answers than with the same answers dealt
out at random. After training it takes on the form of the answers and gets none of them right.

Why: the answers are codes, were shuffled, or rest on something that does not stand in the questions. A model cannot learn what is not
there; at most it learns each row by heart. (Sums and riddles look the same from outside: there a larger model may know how.)

What to do: look at a few rows. If the answers belong there, add to each question what its answer depends on.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.facts import Facts

SURE_ABOVE = 2.6  # deviations: files in order had 3.3 (80 rows) to 78, shuffled ones and hashes -2 to 2
MIN_PAIRS = 60
MAX_DEVIATIONS_A_PAIR = 0.04  # as in answers_mixed_up: the other way of asking agrees
NUMBERS, CODES = 0.5, 0.5  # of the answers


def foretells_nothing(facts: Facts) -> bool:
    """Whether simple learners do no better than by chance, and likeness of questions says nothing about likeness of answers."""
    if facts.learnable_pairs < MIN_PAIRS or facts.learnable >= SURE_ABOVE:
        return False
    return not facts.foretold_pairs or facts.foretold < MAX_DEVIATIONS_A_PAIR * facts.foretold_pairs


@rule("R113", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Answers that follow from nothing; numbers are left out, for they may be worked out. After a run only where nothing was learned."""
    facts = case.facts
    if facts is None or not foretells_nothing(facts) or facts.answer_numbers >= NUMBERS:
        return None
    said = case.view.conclusion if case.view else None
    if case.view is not None and (said is None or said.learned == "yes"):
        return None
    codes = facts.answer_codes >= CODES
    evidence = [
        fact("how right a simple learner is about answers it was not shown", facts.learnable_found),
        fact("the same with the answers dealt out at random, at most", facts.learnable_chance),
        fact("questions and answers looked at", facts.learnable_pairs),
    ]
    what = "The answers are codes without words, and" if codes else "The answers do not follow from their questions:"
    words = f"{what} a simple learner gets no more of them right than of the same answers dealt out at random."
    fixes = (
        advice("Look at a few rows: does each answer belong to its question?", "review"),
        advice("Add to each question what its answer depends on."),
    )
    return Found(0.85 if codes else 0.7, words, evidence, fixes)
