"""Other programs hold a good part of the graphics card's memory.

What it looks like: memory runs out, or does not suffice before the start, while programs other than this run hold a fifth of the card or
more.

Why: a browser with videos, a game, another training or LoRALab's own chat all share the card with the run.

What to do: close what is not needed, then resume: nothing learned is lost. There is no reason to make the plan smaller.
"""

from advisor.rules import Case, Found, advice, amount, rule
from advisor.rules._memory import held_by_others
from loralab.core.words import size

CODES = ("out_of_memory", "does_not_fit", "memory_spill")


@rule("R16", "memory", "warning", "inform", before=True)
def check(case: Case) -> Found | None:
    """Memory was short, and others held a fifth of the card."""
    others = held_by_others(case)
    foretold = case.view is None and case.needs is not None and case.needs.upper_bytes > case.needs.free_bytes > 0
    if not others or not (case.signals.incidents(*CODES) or case.signals.code in CODES or foretold):
        return None
    card = case.machine.gpus[0] if case.machine is not None and case.machine.accelerator == "cuda" else None
    evidence = [amount("memory of the card that other programs hold", others)]
    evidence += [amount(f"held by {one.name}", one.bytes) for one in (card.holders[:3] if card else ())]
    ours = bool(card and any(holder.ours for holder in card.holders))
    who = "another run or chat of LoRALab" if ours else "what you do not need"
    words = f"Other programs held {size(others)} of the card when memory was short."
    return Found(0.8, words, evidence, (advice(f"Close {who}, then resume."),))
