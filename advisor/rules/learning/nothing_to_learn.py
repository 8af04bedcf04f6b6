"""Most examples have nothing to learn from.

What it looks like: examples are left out because nothing of their answers is within the length that is read, or there is no answer at all;
with none left, the run ends before it begins.

Why: the model learns to write the answers. Where a question fills the whole length, or a column is not the answer, nothing of it is left.

What to do: read longer examples, or tell the app which column is the answer.
"""

from advisor.rules import Case, Found, advice, change, fact, rule
from loralab.core.words import count, plural

MIN_SHARE, MOST_SHARE = 0.1, 0.9  # of the examples (Unsloth: 90 % and 100 %)
LENGTHS = (2, 4)  # times the length now


@rule("R38", "no learning", "warning", "retry", before=True)
def check(case: Case) -> Found | None:
    """Examples of which nothing is learned: a tenth of them, nearly all, or so many that the run ended."""
    facts, ended = case.facts, case.signals.code == "nothing_to_learn"
    left_out = facts.unlearned if facts else 0
    everything = left_out + facts.n_train + facts.n_heldout if facts else 0
    share = left_out / everything if everything else float(ended)
    if share < MIN_SHARE and not ended:
        return None
    most = ended or share >= MOST_SHARE
    evidence = [fact("longest example", case.text.max_length, "tokens")]
    if facts:
        evidence.append(fact("examples with nothing to learn from", left_out, rows=facts.rows.get("unlearned", ())))
        evidence.append(fact("examples in all", everything))
    words = (
        f"{left_out:,} of {count(everything, 'example')} {plural(left_out, 'has', 'have')} nothing to learn from"
        if facts
        else "No example has anything to learn from"
    )
    words += f" within {count(case.text.max_length, 'token')}."
    most_read = facts.context if facts and facts.context else 131_072
    known = case.profile.tokens.get("p99", 0) if case.profile else 0  # of whole examples
    wanted = [-(-known // 64) * 64] if known > case.text.max_length else [case.text.max_length * times for times in LENGTHS]
    lengths = dict.fromkeys(min(length, most_read) for length in wanted)
    fixes = [change(f"Read up to {count(n, 'token')}.", max_length=n) for n in lengths if n > case.text.max_length]
    fixes.append(advice("Check which column is the question and which the answer."))
    action = "block" if case.view is None and share >= MOST_SHARE else None
    return Found(0.95 if most else 0.8, words, evidence, fixes, action=action, severity="error" if most else None)
