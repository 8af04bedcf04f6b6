"""Parts of the model are kept in different kinds of numbers.

What it looks like: the run ends in its first update, and the worker's log says that two parts “must have the same dtype”.

Why: some models keep a few of their parts in exact numbers whatever was asked for. Where such a part meets one in half precision, torch
refuses to multiply them.

What to do: keep everything in fp32; that takes more memory and always works.
"""

from advisor.rules import Case, Found, change, fact, rule

SIGNS = ("must have the same dtype", "to have the same dtype", "expected scalar type", "should be the same", "dtype mismatch")


@rule("R08", "non-finite", "error", "retry")
def check(case: Case) -> Found | None:
    """The run failed, and its last words or its log speak of two kinds of numbers."""
    if case.view is None or case.view.ending is None or case.view.state != "failed":
        return None
    said = [case.view.ending.what, *reversed(case.log.splitlines())]
    line = next((one.strip()[:200] for one in said if "type" in one.lower() and any(sign in one.lower() for sign in SIGNS)), "")
    if not line:
        return None
    evidence = (fact("precision", case.plan.precision), fact("it said", line=line))
    fix = change("Keep all numbers exact (fp32).", precision="fp32")
    words = "The model mixes two kinds of numbers, and torch cannot multiply them."
    known = case.plan.precision != "fp32"
    return Found(0.9 if known else 0.3, words, evidence, (fix,) if known else ())
