"""The model alone does not fit into memory.

What it looks like: memory runs out while the model is being loaded, or its weights are known to be more than what is free.

Why: every weight takes four bytes in fp32, two in bf16, one in int8 and half a byte in nf4. Nothing about batches or lengths changes that.

What to do: keep the weights in fewer bytes, or choose a smaller model; close other programs first.
"""

from advisor.rules import Case, Fix, Found, advice, amount, change, fact, rule
from loralab.core.words import size

PHASE = "loading the model"  # loralab/sessions/text.py
BYTES_A_WEIGHT = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "int8": 1.1, "nf4": 0.6, "fp4": 0.6}


@rule("R21", "memory", "error", "block", before=True)
def check(case: Case) -> Found | None:
    """Memory ran out in the loading, or the weights alone are more than there is."""
    if case.view is None:
        return _before(case)
    ended = case.signals.code == "out_of_memory" and case.view.state in ("failed", "killed")
    if not ended or case.ran or case.view.phase != PHASE:
        return None
    evidence = (fact("memory ran out while", PHASE), fact("precision", case.plan.precision))
    words = "Memory ran out while the model was being loaded."
    return Found(0.95, words, evidence, _fixes(case), action="propose")


def _before(case: Case) -> Found | None:
    needs = case.needs
    if needs is None or not needs.free_bytes or needs.parts.get("weights", 0) <= needs.free_bytes:
        return None
    weights, free = needs.parts["weights"], needs.free_bytes
    evidence = (amount("the model's weights", weights), amount("memory that is free", free))
    words = f"The weights alone take {size(weights)}, and only {size(free)} is free."
    return Found(0.97, words, evidence, _fixes(case), action="block")


def _fixes(case: Case) -> tuple[Fix, ...]:
    """Fewer bytes a weight, as far as the machine can; then a smaller model."""
    bits = case.machine is not None and case.machine.accelerator != "mps" and case.machine.has("bitsandbytes")
    thrifty = ("bf16", "nf4") if bits else ("bf16",)
    now = BYTES_A_WEIGHT[case.plan.precision]
    ways = [change(f"Keep the weights in {name}.", precision=name) for name in thrifty if BYTES_A_WEIGHT[name] < now]
    return (*ways, advice("Choose a smaller base model."), advice("Close other programs."))
