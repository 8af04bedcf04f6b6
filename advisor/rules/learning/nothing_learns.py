"""Nothing in the model learns: the corrections are exactly zero.

What it looks like: the loss wanders with the batches and does not fall; the gradient is exactly zero in every update.

Why: what learns is not connected to what is computed: the adapter sits on parts that are not used, or a way of saving memory cuts the path
back.

What to do: let all linear parts learn and switch “Recompute” off.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well
from loralab.core.words import count

MIN_UPDATES = 3  # updates


@rule("R31", "no learning", "error", "retry")
def check(case: Case) -> Found | None:
    """Gradients of exactly zero from the first update on, or no weight that learns."""
    norms = case.signals.norms
    none = case.facts is not None and case.ran and case.facts.parameters > 0 and case.facts.trainable == 0
    zero = len(norms) >= MIN_UPDATES and not norms.any()
    if not (zero or none):
        return None
    evidence = [fact("longest gradient of all updates", float(norms.max()) if len(norms) else 0.0, step=len(norms))]
    evidence += [fact("weights that learn", case.facts.trainable)] if case.facts else []
    evidence.append(fact("parts that learn", case.text.targets))
    settings = {"targets": "all-linear", "recompute": "none", "offload": False}
    fix = change("Let all linear parts learn, without recomputing.", **settings)
    words = (
        f"In {count(len(norms), 'update')} nothing was corrected at all{', and the adapter is what it was' if ended_well(case) else ''}."
    )
    return Found(0.97, words, evidence, (fix,))
