"""The model's chat template refuses some conversations.

What it looks like: the run ends before it has begun and names a row. The template says for instance that questions and answers must take
turns.

Why: each model's template allows certain forms only: some want question and answer strictly in turn, some know no system message (that one
is put in front of the question by itself).

What to do: leave these conversations out, or change them: join two questions in a row into one. Another model may accept them.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import code, examples, last_words, seen


@rule("R57", "template", "error", "block", before=True)
def check(case: Case) -> Found | None:
    """Refused conversations, counted before a run; or a run that ended for one."""
    facts = case.facts
    if code(case) in ("template_refuses", "bad_template"):
        words = "The model's chat template refused a conversation, and the run ended."
        fixes = (advice("Leave out the conversations it refuses.", "drop_refused"), advice("Choose another model."))
        return Found(0.97, words, (last_words(case),), fixes)
    if facts is None or not facts.refused:
        return None
    words = f"The model's chat template refuses {examples(facts.refused)}; a run would end there."
    fixes = (advice("Leave out the conversations it refuses.", "drop_refused", facts.refused), advice("Choose another model."))
    return Found(0.99, words, (seen(facts, "refused", "conversations refused"),), fixes)
