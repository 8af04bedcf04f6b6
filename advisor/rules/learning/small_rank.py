"""The adapter is too small for what there is to learn.

What it looks like: with many examples the loss comes down and then stays high, on the examples learned from and on those held out alike.

Why: an adapter can hold about two bits for each of its weights, and a token to be learned holds about one. Where the examples hold more
than the adapter can, the rest is not learned. A high loss alone does not say so: talk and stories have one however well they are learned.
It is an alarm only where hardly anything was gained.

What to do: two to four times the rank, with alpha raised alike so that the loudness stays. Where only some parts of the model learn, let
all of them learn first.
"""

from advisor.diagnosis.usual import USUAL_RANK
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, learned_little, narrow, no_room
from loralab.core.words import count

TIMES_LARGER = 4
FLAT_SLOPE = 0.02  # change over the last third: the training loss has settled
MIN_LOSS = 0.5  # nats a token: below this it has been learned anyway


@rule("R36", "no learning", "info", "propose", during=False)
def check(case: Case) -> Found | None:
    """The examples hold more than the adapter can; a warning where it settled, hardly better than it began. Left-out parts come first."""
    facts = case.facts
    if facts is None or not no_room(case) or not ended_well(case) or case.text.rank >= 256 or narrow(case.text.targets):
        return None
    signals = case.signals
    settled = learned_little(case) and abs(signals.train_slope) < FLAT_SLOPE and signals.last_loss > MIN_LOSS
    rank = min(256, max(USUAL_RANK, TIMES_LARGER * case.text.rank))
    evidence = (
        fact("tokens to be learned", facts.tokens["learned"]),
        fact("weights that learn", facts.trainable),
        fact("rank", case.text.rank),
        fact("training loss at the end", signals.last_loss),
    )
    words = f"There is more to learn ({count(facts.tokens['learned'], 'token')}) than fits into {count(facts.trainable, 'weight')}."
    settings = {"rank": rank, "alpha": min(1024.0, case.text.alpha * rank / case.text.rank)}
    fix = change(f"Use a rank of {rank}, with alpha raised alike.", **settings)
    return Found(0.5 if settled else 0.4, words, evidence, (fix,), severity="warning" if settled else "info")
