"""Only the attention parts of the model learn.

What it looks like: the loss comes down and stays at a level that is higher than it need be. The adapter sits on attention alone.

Why: most of what a model knows lies in its other matrices (the feed-forward parts). An adapter on all linear parts learns more with the
same number of weights.

What to do: let all linear parts learn; half the rank costs about the same.
"""

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._reading import ended_well, learned_little
from advisor.rules.rate_too_low import timid

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "c_attn", "query_key_value", "self_attention.dense", "attn.c_proj")


def narrow(targets: str) -> bool:
    """Whether a plan's targets name parts of attention and nothing else."""
    parts = [part.strip() for part in targets.split(",") if part.strip()]
    return targets.strip() == "attention" or (bool(parts) and all(part.endswith(NAMES) for part in parts))


def check(case: Case) -> Found | None:
    """Attention alone learns; an alarm only where a run that ended learned little with a usual learning rate."""
    if not narrow(case.plan.targets) or (case.view is not None and not ended_well(case)):
        return None
    little = learned_little(case) and not timid(case)
    evidence = [Evidence(what="parts that learn", value=case.plan.targets)]
    evidence += [Evidence(what="held-out loss at best", value=case.signals.best, step=case.signals.best_step)] if case.ran else []
    words = "The adapter sits on attention alone" + (", and it learned little." if little else "; on all linear parts it would learn more.")
    fix = Fix(words="Let all linear parts learn.", settings={"targets": "all-linear"})
    return Found(
        confidence=0.55 if little else 0.6, words=words, evidence=tuple(evidence), fixes=(fix,), severity="warning" if little else None
    )


RULE = Rule("R35", "no learning", "Only the attention parts of the model learn", "info", "propose", check, before=True, during=False)
