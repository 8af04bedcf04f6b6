"""The answers do not belong to the questions.

What it looks like: the model takes on the tone of the examples and gives answers that have nothing to do with what was asked. The held-out
loss falls a little at first and then stops.

Why: the column of answers was sorted or shuffled without the column of questions. Names, numbers and rare words of a question then hardly
ever appear in its own answer, but in someone else's; or similar questions have no more similar answers than different ones do, and after
training an answer is no more likely after its own question than after another. With sums and riddles this can happen in a perfectly good
file: there it means that the model did not learn to solve them.

What to do: look at a few rows, then make the file again from its source, and only sort whole rows.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.facts import Facts
from loralab.core.words import plural

MIN_TIES = 25  # ties: fewer say nothing
SURE_OWN_SHARE = 0.05  # in files that are in order 25 % to 97 % of the ties are with the own answer, in shuffled ones 0 to 1 %
MAX_OWN_SHARE = 0.15  # between that and the least of a file in order: most likely, too, where some rows were left as they are
SLIPPED_SHARE = 0.2  # of the ties at one distance: then the column slipped, which is another cause
MIN_PAIRS = 150  # compared, at least
# Deviations above chance, for each pair: 0.08 to 0.72 in eleven files in order, below 0.03 with 85 to 100 % of the answers swapped
MAX_DEVIATIONS_A_PAIR = 0.04
UNRELATED_CONFIDENCE = 0.7
# Of the examples, with one answer or one question, or a question asked before: those are other causes
MAX_SHARE_ALIKE, MAX_SHARE_AGAIN = 0.5, 0.2
MIN_NATS_LIKELIER = 0.1  # nats a token: an answer that is no likelier than this after its own question was not learned as an answer to it


@rule("R85", "data", "error", "propose", before=True)
def check(case: Case) -> Found | None:
    """Rare words tie questions to answers of others, at no fixed distance; or nothing ties them, and the run learned to tell none apart."""
    facts = case.facts
    if facts is None or facts.slip_ties >= SLIPPED_SHARE * max(1, facts.ties):
        return None
    if facts.ties < MIN_TIES or facts.own_ties >= MAX_OWN_SHARE * facts.ties:
        return _unrelated(case, facts)
    evidence = (
        fact("questions that share a rare word with one answer only", facts.ties),
        fact("of these, with their own answer", facts.own_ties),
    )
    own = f"{facts.own_ties:,} {plural(facts.own_ties, 'shares', 'share')} it with their own"
    words = f"Of {facts.ties:,} questions that share a rare word with one answer, {own}."
    fix = advice("Make the file again, and only ever sort whole rows.", rows=facts.n_train)
    sure = 0.9 if facts.own_ties < SURE_OWN_SHARE * facts.ties else 0.7
    return Found(sure, words, evidence, (fix,))


def _unrelated(case: Case, facts: Facts) -> Found | None:
    """Questions foretell nothing of their answers, before the training and for what came of it."""
    fit = case.signals.score("question_fit")
    if (
        fit is None
        or fit.after >= MIN_NATS_LIKELIER
        or facts.foretold_pairs < MIN_PAIRS
        or facts.foretold >= MAX_DEVIATIONS_A_PAIR * facts.foretold_pairs
    ):
        return None
    if (
        max(facts.commonest, facts.same_question) > MAX_SHARE_ALIKE * facts.n_train
        or facts.questions_repeated > MAX_SHARE_AGAIN * facts.n_train
    ):
        return None
    evidence = (
        fact("how far similar questions have similar answers, in deviations above chance", facts.foretold),
        fact("questions and answers compared", facts.foretold_pairs),
        fact("how much more likely an answer is after its own question than after another", fit.after, "nats"),
    )
    words = (
        "Similar questions do not have similar answers, and after training an answer is hardly more likely after its own question than "
        "after any other."
    )
    fix = advice("Look at a few rows. If answers are in the wrong place, make the file again and only sort whole rows.", rows=facts.n_train)
    return Found(UNRELATED_CONFIDENCE, words, evidence, (fix,), severity="warning")
