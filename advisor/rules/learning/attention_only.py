"""Only the attention parts of the model learn.

What it looks like: the loss comes down and stays at a level that is higher than it need be. The adapter sits on attention alone.

Why: most of what a model knows lies in its other matrices (the feed-forward parts). An adapter on all linear parts learns more with the
same number of weights. Most often that costs a little; it is an alarm where hardly anything was learned, or where the few weights cannot
hold what the examples say and the loss shows it, being as high on the examples learned from as on others.

What to do: let all linear parts learn; half the rank costs about the same.
"""

from advisor.diagnosis.usual import USUAL_RANK
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, learned_little, narrow, no_room, ran_away, timid, worse
from loralab.core.words import count

HIGH_LOSS = 0.5  # nats a token: below this the examples have been learned anyway
MAX_GAP_SHARE = 0.1  # of the training loss: a held-out loss no further above it; what was learned by heart lies apart


def crowded(case: Case) -> bool:
    """Whether the weights that learn cannot hold what the examples say, and the loss shows it: high, on all examples alike."""
    signals = case.signals
    if not no_room(case) or not signals.gain > 0 or worse(case) or ran_away(case):
        return False
    return signals.last_loss > HIGH_LOSS and signals.gap < MAX_GAP_SHARE * signals.last_loss


@rule("R35", "no learning", "info", "propose", before=True, during=False)
def check(case: Case) -> Found | None:
    """Attention alone learns; an alarm where a run that ended learned little with a usual learning rate, or its weights had no room."""
    if not narrow(case.text.targets) or (case.view is not None and not ended_well(case)):
        return None
    little = learned_little(case) and not timid(case)
    tight = case.view is not None and crowded(case)
    evidence = [fact("parts that learn", case.text.targets)]
    if tight and case.facts:
        evidence.append(fact("tokens to be learned", case.facts.tokens["learned"]))
        evidence.append(fact("weights that learn", case.facts.trainable))
    evidence += [fact("held-out loss at best", case.signals.best, step=case.signals.best_step)] if case.ran else []
    words = "Only the attention parts learn" + (", and little was learned." if little else "; with all linear parts it would learn more.")
    if tight and case.facts:
        words += f" Its {count(case.facts.trainable, 'weight')} cannot hold {count(case.facts.tokens['learned'], 'token')}."
    fix = change("Let all linear parts learn.", targets="all-linear")
    if tight and case.text.rank < USUAL_RANK:  # it had no room: as much as is usual, loud as before
        more = {"rank": USUAL_RANK, "alpha": case.text.alpha * USUAL_RANK / case.text.rank}
        fix = change(f"Let all linear parts learn, with a rank of {USUAL_RANK}.", **fix.settings, **more)
    return Found(0.55 if little and not tight else 0.6, words, evidence, (fix,), severity="warning" if little or tight else None)
