"""The texts are conversations written down.

What it looks like: after training the model writes both sides: it answers, then asks the next question itself.

Why: texts that hold “User:” and “Assistant:”, “### Instruction:” and “### Response:”, or the marks of a chat template, are read as one text
each. The model learns the questions as much as the answers, and no mark of its own says where an answer ends.

What to do: split them into questions and answers; the app does this in a new file. If the model is meant to write such transcripts,
leave them as they are.
"""

from advisor.rules import Case, Found, advice, rule
from advisor.rules._examples import examples, seen, share

MIN_SHARE = 0.5  # of the examples: below this they are quotations in texts


@rule("R101", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Whether most examples are texts that hold questions and answers."""
    facts = case.facts
    if facts is None or not facts.plain or facts.written_down < 2 or share(facts, "written_down") < MIN_SHARE:
        return None
    part = share(facts, "written_down")
    words = f"{examples(facts.written_down)} of {facts.n_train:,} are conversations written down as plain text."
    fix = advice("Split them into questions and answers.", "restructure", facts.written_down)
    return Found(0.5 + 0.4 * part, words, (seen(facts, "written_down", "conversations written down"),), (fix,))
