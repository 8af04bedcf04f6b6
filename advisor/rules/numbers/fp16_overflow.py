"""The numbers of this model do not fit into fp16.

What it looks like: the loss is not a number from one update to the next, mostly within the first few, while the examples are in order. The
run computes in fp16.

Why: fp16 ends at 65,504. Some families of models (Gemma, T5, several Qwen) compute with larger numbers inside, which become infinite.

What to do: compute in bf16, which reaches as far as fp32, or in fp32 where the computer has no bf16. A retry does this by itself.
"""

from advisor.rules import Case, Fix, Found, change, fact, rule
from advisor.rules._reading import repaired

# Families known for it: unsloth PR 5074, qlora issue 71, LLaMA-Factory issue 482
LARGE_FAMILIES = ("gemma2", "gemma3", "gemma4", "t5", "mt5")


@rule("R03", "non-finite", "error", "retry", before=True)
def check(case: Case) -> Found | None:
    """fp16, and updates that were not finite, or a precision that the guard had to widen. Before a run: a family known for it."""
    if case.asked.precision != "fp16":
        return None
    if case.view is None:
        return _before(case)
    widened = case.signals.changed("precision")
    broken = case.signals.incidents("non_finite")
    if not (broken or widened) or case.signals.code == "corrupt_weights":  # damaged weights break in any precision
        return None
    first = broken[0].step if broken else 1
    after = [one for one in case.signals.incidents("non_finite", "bad_row") if one.step > first] if widened else []
    evidence = (fact("precision", "fp16"), fact("update that was not finite", first, step=first))
    words = f"Update {first} gave numbers that are not finite, and the model computes in fp16."
    if widened:
        words += f" It was in order in {widened[1]} {'only for a while' if after else 'from there on'}.{repaired(case)}"
    confidence = 0.4 if after else 0.95 if widened else 0.8
    return Found(confidence, words, evidence, _fixes(case))


def _before(case: Case) -> Found | None:
    family = case.facts.architecture if case.facts else ""
    if not family.lower().startswith(LARGE_FAMILIES):
        return None
    evidence = (fact("precision", "fp16"), fact("family of the model", family))
    words = f"Models of the family {family} compute with numbers that are larger than fp16 can hold."
    return Found(0.8, words, evidence, _fixes(case), severity="warning")


def _fixes(case: Case) -> tuple[Fix, ...]:
    """bf16 where the machine is quick in it or nothing is known; fp32 where it is not; the other as the second choice."""
    bf16 = change("Compute in bf16, which has room for large numbers.", precision="bf16")
    fp32 = change("Compute in fp32, the exact numbers.", precision="fp32")
    return (fp32, bf16) if case.machine is not None and not case.machine.fast_bf16 else (bf16, fp32)
