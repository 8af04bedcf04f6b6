"""One example is too large for this computer, even alone.

What it looks like: the run stops with a question. It names an example that does not fit into memory by itself, with every saving on.

Why: a single example cannot be split; its whole length goes through the model at once.

What to do: cut examples at the length that is known to fit, or use a smaller model, or close other programs; then resume. Nothing learned
so far is lost.
"""

from advisor.rules import Case, Fix, Found, advice, fact, rule
from advisor.rules._memory import ran_out, row_length
from loralab.core.words import count


@rule("R76", "memory", "error", "propose")
def check(case: Case) -> Found | None:
    """The run asked a question over one example."""
    if case.signals.code != "does_not_fit" or case.view is None or case.view.ending is None:
        return None
    found = ran_out(case, "one example", "looking")
    if not found or "not even alone" not in case.view.ending.what:
        return None
    last = found[-1]
    size, rows = row_length(last), tuple(last.data.get("rows", ()))
    known = case.facts.tokens if case.facts else {}
    fitted = max((length for name, length in known.items() if name.startswith("p") and length < size), default=0)
    limit = max(16, (fitted or size // 2) // 8 * 8)
    evidence = (
        fact("example that does not fit alone", size, "tokens", step=last.step + 1, rows=rows),
        fact("recompute", case.text.recompute),
    )
    words = f"One example ({count(size, 'token')}) does not fit into memory, even on its own."
    fixes = (
        Fix(words=f"Cut examples at {count(limit, 'token')}.", settings={"max_length": limit}, data="shorten"),
        advice("Use a smaller base model."),
        advice("Close other programs and resume."),
    )
    return Found(0.95, words, evidence, fixes)
