"""There was no memory for the optimiser's notes.

What it looks like: an update is computed and memory runs out as it is being made, mostly in the first one.

Why: the optimiser keeps two numbers for every weight that learns. It makes them in the first update, when all else is there already.

What to do: fewer weights that learn (a lower rank), or the optimiser that keeps its notes in a quarter of the memory (adamw_8bit, on an
NVIDIA card).
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._memory import ran_out
from advisor.rules._reading import repaired

BYTES_A_WEIGHT = 8  # bytes a weight that learns, in AdamW


@rule("R11", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """Memory ran out in the optimiser's own step."""
    found = ran_out(case, "optimiser")
    if not found:
        return None
    rank = max(1, case.text.rank // 2)
    lower = change(f"Use a rank of {rank}, with alpha lowered alike.", rank=rank, alpha=case.text.alpha * rank / case.text.rank)
    small = change("Use the optimiser with small notes.", optimizer="adamw_8bit")
    can = case.machine is not None and case.machine.accelerator == "cuda" and case.machine.has("bitsandbytes")
    can = can and case.text.optimizer == "adamw"
    evidence = [fact("times memory ran out while an update was being made", len(found), step=found[0].step + 1)]
    if case.facts and case.facts.trainable:
        evidence.append(fact("the optimiser's notes", case.facts.trainable * BYTES_A_WEIGHT / 1e6, "MB"))
    words = f"Memory ran out while update {found[0].step + 1} was being made.{repaired(case)}"
    ended = case.signals.code == "does_not_fit"
    fixes = (small, lower) if can else (lower,)
    return Found(0.85, words, evidence, fixes, severity="error" if ended else "warning")
