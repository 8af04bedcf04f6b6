"""The numbers of this model do not fit into fp16.

What it looks like: the loss is not a number from one update to the next, mostly within the first few, while the examples are in order. The
run computes in fp16.

Why: fp16 ends at 65,504. Some families of models (Gemma, T5, several Qwen) compute with larger numbers inside, which become infinite.

What to do: compute in bf16, which reaches as far as fp32, or in fp32 where the computer has no bf16. A retry does this by itself.
"""

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule


def check(case: Case) -> Found | None:
    """fp16, and updates that were not finite, or a precision that the guard had to widen."""
    if case.asked.precision != "fp16" or case.view is None:
        return None
    widened = case.signals.changed("precision")
    broken = case.signals.incidents("non_finite")
    if not broken and not widened:
        return None
    first = broken[0].step if broken else None
    evidence = (Evidence(what="precision", value="fp16"), Evidence(what="update that was not finite", step=first))
    words = f"Update {first} gave numbers that are not finite, and the model computes in fp16." if first else "fp16 was too narrow."
    fix = Fix(words="Compute in bf16, which has room for large numbers.", settings={"precision": "bf16"})
    return Found(confidence=0.95 if widened else 0.8, words=words, evidence=evidence, fixes=(fix,))


RULE = Rule("R03", "non-finite", "The numbers of this model do not fit into fp16", "error", "retry", check)
