"""Memory ran out while looking at the held-out examples, not while learning.

What it looks like: training goes well; when the held-out examples are looked at, fewer of them have to be computed at once.

Why: the held-out examples have long rows of their own, and other programs may have taken memory in the meantime.

What to do: nothing. The run looks at fewer at once, and neither the training nor the result is touched. There is no reason to make the
training smaller.
"""

from advisor.rules import Case, Fix, Found, fact, rule
from advisor.rules._memory import ran_out, tokens, unit_of
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES
from loralab.core.words import count


@rule("R13", "memory", "info", "propose", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """Memory ran out over held-out examples and never over those learned from."""
    found = ran_out(case, "looking")
    if not found or ran_out(case, "learning", "one example", "optimiser"):
        return None
    changed = case.signals.changed("held_out_tokens_at_once")
    evidence = [fact("times it ran out while looking", len(found), step=found[0].step)]
    unit = unit_of(found[0])
    evidence.append(fact(f"held-out {unit}s at once that did not fit", tokens(found[0]), f"{unit}s"))
    evidence += [fact(f"held-out {unit}s at once from there on", changed[1], f"{unit}s")] if changed else []
    stopped = case.signals.code == "does_not_fit"
    shorter = max(16, min(map(tokens, found)) // 2)
    fix = Fix(words=f"Cut examples at {count(shorter, 'token')}.", settings={"max_length": shorter}, data="shorten")
    words = f"Testing on {count(tokens(found[0]), f'held-out {unit}')} at once did not fit into memory; learning does.{repaired(case)}"
    severity = "error" if stopped else "info"
    return Found(0.9, words, evidence, (fix,) if stopped and unit == "token" else (), severity=severity)
