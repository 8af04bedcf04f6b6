"""Some answers are in a different script from the rest.

What it looks like: after training, it now and then answers in another language than it was asked in.

Why: the file holds answers in several languages. Where that is meant (a translator), all is well; where a few strays came in with data from
elsewhere, the model learns to switch.

What to do: look at these rows, and remove them if they do not belong there.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import examples, seen, share


@rule("R89", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Answers in other letters than most; an alarm only where the verdict saw the wrong language."""
    facts = case.facts
    if facts is None or facts.odd_script < 2 or facts.classes:
        return None
    score = case.signals.score("other_language")
    worse = score is not None and score.verdict == "worse"
    part = share(facts, "odd_script")
    if part >= 0.4 and not worse:
        return None  # a file of two languages is one on purpose
    evidence = (
        seen(facts, "odd_script", "answers in a different script"),
        fact("scripts", facts.scripts),
        *((fact("answers in the wrong language after training", score.after),) if score and worse else ()),
    )
    words = f"{examples(facts.odd_script)} of {facts.n_train + facts.n_heldout:,} are answered in a different script from the rest."
    fix = advice("Leave these examples out.", "drop_odd_script", facts.odd_script)
    return Found(0.75 if worse else 0.5, words, evidence, (fix,), severity="warning" if worse else "info")
