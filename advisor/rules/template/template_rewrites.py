"""The chat template changes the answers, so that questions are learned, too.

What it looks like: the preview shows whole conversations as learned, questions included, although only answers were asked for.

Why: this model's template rewrites what an answer says (it joins, trims or re-orders it), so that the answer cannot be found in the
finished text. Then everything is learned, which is honest but not what was meant.

What to do: look at one of the rows. Blanks and marks inside answers are the usual reason. Or choose another model.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import examples, seen, share

MIN_SHARE = 0.05


@rule("R59", "template", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Conversations of which everything is learned although only replies were asked for."""
    facts = case.facts
    if facts is None or case.text.learn_from != "replies" or share(facts, "rewritten") < MIN_SHARE:
        return None
    words = f"In {examples(facts.rewritten)} of {facts.n_train:,} the answer cannot be told from the question; all of it is learned."
    evidence = (seen(facts, "rewritten", "examples learned whole"),)
    fixes = (advice("Look at these rows in the preview."), advice("Choose another model."))
    return Found(0.5 + 0.4 * share(facts, "rewritten"), words, evidence, fixes)
