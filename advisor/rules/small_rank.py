"""The adapter is too small for what there is to learn.

What it looks like: with many examples the loss comes down and then stays high, on the examples learned from and on those held out alike.

Why: an adapter can hold about two bits for each of its weights, and a token to be learned holds about one. Where the examples hold more
than the adapter can, the rest is not learned.

What to do: two to four times the rank, with alpha raised alike so that the loudness stays.
"""

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._reading import ended_well

BITS_A_WEIGHT, BITS_A_TOKEN = 2.0, 1.0  # LoRA Without Regret (Thinking Machines, 2025)
LARGER = 4
FLAT = 0.02  # change over the last third: the training loss has settled
LEFT = 0.5  # nats a token: below this it has been learned anyway


def check(case: Case) -> Found | None:
    """The examples hold more than the adapter can. A warning where the training loss settled high and the held-out one beside it."""
    facts = case.facts
    if facts is None or not facts.trainable or not ended_well(case) or case.plan.rank >= 256:
        return None
    wanted, room = facts.tokens.get("learned", 0) * BITS_A_TOKEN, facts.trainable * BITS_A_WEIGHT
    if wanted <= room:
        return None
    signals = case.signals
    settled = abs(signals.train_slope) < FLAT and signals.last_loss > LEFT and signals.gap < 0.1 * signals.last_loss
    rank = min(256, LARGER * case.plan.rank)
    evidence = (
        Evidence(what="tokens to be learned", value=facts.tokens["learned"]),
        Evidence(what="weights that learn", value=facts.trainable),
        Evidence(what="rank", value=case.plan.rank),
        Evidence(what="training loss at the end", value=signals.last_loss),
    )
    words = f"{facts.tokens['learned']:,} tokens are to be learned by {facts.trainable:,} weights: more than they can hold."
    settings = {"rank": rank, "alpha": min(1024.0, case.plan.alpha * rank / case.plan.rank)}
    fix = Fix(words=f"Use a rank of {rank}, with alpha raised alike.", settings=settings)
    return Found(
        confidence=0.5 if settled else 0.4, words=words, evidence=evidence, fixes=(fix,), severity="warning" if settled else "info"
    )


RULE = Rule("R36", "no learning", "The adapter is too small for what there is to learn", "info", "propose", check, during=False)
