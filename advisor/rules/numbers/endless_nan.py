"""This model computes numbers that are not finite, however exactly.

What it looks like: every weight is in order and still no example gives a number, in exact arithmetic and with plain attention, too.

Why: a file can be damaged so that its numbers are finite but wrong, or the model's type is not the one its papers name. Both make
numbers that grow without end inside.

What to do: download the model again and compare its size with the page it is from; then choose another base model.
"""

from advisor.rules import Case, Found, advice, fact, rule


@rule("R73", "non-finite", "error", "inform")
def check(case: Case) -> Found | None:
    """The run ended as not finite after wider numbers and plain attention had been tried."""
    view = case.view
    if view is None or view.ending is None or case.signals.code != "non_finite" or case.asked_text.engine != "loralab":
        return None
    if "even as exactly as possible" not in view.ending.what:
        return None
    broken = case.signals.incidents("non_finite")
    evidence = (
        fact("times numbers were not finite", len(broken), step=broken[0].step if broken else None),
        fact("precision at the end", case.plan.precision),
        fact("attention at the end", case.text.attention),
    )
    fixes = (advice("Download this model again."), advice("Choose another base model."))
    words = f"Numbers were not finite even in {case.plan.precision} with {case.text.attention} attention, and every weight is in order."
    return Found(0.8, words, evidence, fixes)
