"""The answers do not belong to the questions.

What it looks like: the model takes on the tone of the examples and gives answers that have nothing to do with what was asked. The held-out
loss falls a little at first and then no more.

Why: the column of answers was sorted or shuffled without the column of questions. Names, numbers and rare words of a question then hardly
ever stand in its own answer, but in somebody else's; or like questions have no more like answers than unlike ones, and after the training
an answer is no likelier after its own question than after another one. With sums and riddles that can be so in a file that is in order:
there it means that the model did not learn to solve them.

What to do: look at some rows, then make the file again from where it comes from, and sort whole rows only.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.facts import Facts

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
        fact("questions tied to an answer by a word that stands in no other", facts.ties),
        fact("of these, tied to their own answer", facts.own_ties),
    )
    words = f"Of {facts.ties:,} questions that share a rare word with one answer, {facts.own_ties:,} share it with their own."
    fix = advice("Make the file again, and sort whole rows only.", rows=facts.n_train)
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
        fact("deviations above chance by which like questions have like answers", facts.foretold),
        fact("questions and answers that were compared", facts.foretold_pairs),
        fact("likelier is an answer after its own question than after another, with the adapter", fit.after, "nats"),
    )
    words = (
        "Like questions have no more like answers than chance would have it, and after the training an answer is hardly likelier after its "
        "own question than after another one."
    )
    fix = advice("Look at some rows; where answers belong elsewhere, make the file again and sort whole rows only.", rows=facts.n_train)
    return Found(UNRELATED_CONFIDENCE, words, evidence, (fix,), severity="warning")
