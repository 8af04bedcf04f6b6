"""Owns the verdict: all measures that mean something for the data, taken once, corrected for their number, said in one sentence.

Invariants: which measure carries the verdict depends on the data alone; every other one counts only if it still stands after Holm's
correction; a judging that was stopped gives what it has and says on how many examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loralab.core.judgement import Judgement
from loralab.core.records import Sample, Score
from loralab.core.words import count
from loralab.datasets.leaks import leaks
from loralab.datasets.tables import origins
from loralab.evaluations import Evaluation, Judging, Measured, evaluations, without
from loralab.evaluations.shared.answer_scores import shorten
from loralab.evaluations.shared.conclusion import GATE, STYLE_ONLY, Ground, conclude
from loralab.evaluations.shared.paired import SURE, holm
from loralab.evaluations.text import forgetting, question_fit

SHOWN = 5  # answers shown side by side
LONGEST_QUESTION = 2000  # characters of a question that are kept to look at
ONE_TASK = "Use it for this one task only, or train it again with a smaller learning rate."
MANY_TIMES = 100  # a larger factor says no more
BUT = 2  # things that got worse named in the sentence
HARM = {trait.name: f"{trait.worse}." for trait in (forgetting.DRIFT, question_fit.TRAIT)}  # without numbers that nobody has a feeling for


def judge(judging: Judging) -> Judgement:
    """Take every measure that accepts the data; the main one first, so that a stopped judging still has a verdict."""
    train, heldout = judging.session.train_examples, judging.session.heldout_examples
    found = leaks(train, heldout)
    ground = Ground((), (), train, copies=len(found.copies), alike=len(found.alike), heldout=len(heldout))
    if found.copies and not ground.spoilt:
        judging.session = without(judging.session, found.copies)
    asked = [e for e in evaluations().values() if not judging.only or e.name in judging.only]
    fitting = [e for e in asked if e.fits(judging.plan, judging.session.heldout_examples)]
    fitting.sort(key=lambda e: (-e.main, e.last))
    measured: dict[str, Measured] = {}
    for number, evaluation in enumerate(fitting):
        if measured and judging.stop():
            break
        if judging.judge is not None or not evaluation.last:  # the last ones ask a judge: where nobody named one there is nothing to tell
            judging.note(f"measuring: {evaluation.label.lower()}", number / len(fitting))
        measured[evaluation.name] = evaluation.measure(judging)
    scores = corrected(fitting, measured)
    word, words = sentence(scores)
    but = worsened(scores)
    if not judging.stop() and not judging.only:
        judging.answers()  # to look at, also where no measure needed them
    conclusion = None if judging.only else conclude(replace(ground, scores=scores, answers=judging.written or [], but=but))
    if conclusion is not None and (shown := origins.words(train, heldout)):
        conclusion = conclusion.model_copy(update={"learned_words": f"{conclusion.learned_words} {shown}"})
    if word == "better" and conclusion is not None and conclusion.learned != "yes":  # better than before, and no better than guessing
        word, words = "cannot tell yet", conclusion.learned_words
    return Judgement(
        word,
        f"{words} {but}".strip(),
        scores,
        rows={name: found.rows for name, found in measured.items() if found.rows} | all_answers(judging),
        tables={name: found.tables for name, found in measured.items() if found.tables},
        samples=samples(judging),
        complete=len(measured) == len(fitting) and not judging.cut_short,
        conclusion=conclusion,
    )


def corrected(fitting: Sequence[Evaluation], measured: dict[str, Measured]) -> tuple[Score, ...]:
    """All scores with their verdicts; the first score of the highest-ranking measure is the main one and needs no correction."""
    main = next((e.name for e in fitting if e.main and e.name in measured and measured[e.name].scores), "")
    first = [measured[main].scores[0].model_copy(update={"main": True})] if main else []
    others = [s for name, found in measured.items() for s in (found.scores[1:] if name == main else found.scores)]
    gate = [s for s in others if s.name == GATE]  # stands beside the main one: “better” needs both, which needs no correction
    told = [s for s in others if not s.verdict]  # no question is asked of them, so that they cost the others nothing
    others = [s for s in others if s.verdict and s.name != GATE]
    chances = holm([s.p for s in others])
    return (*first, *gate, *(_stands(score, p) for score, p in zip(others, chances, strict=True)), *told)


def _stands(score: Score, p: float) -> Score:
    """A score after the correction: what may be chance among so many measures is not called a difference."""
    weakened = score.verdict in ("better", "worse") and p >= SURE
    return score.model_copy(update={"p": p, "verdict": "cannot tell yet" if weakened else score.verdict})


def sentence(scores: Sequence[Score]) -> tuple[str, str]:
    """The verdict word and the one sentence: what the main measure says."""
    main = next((s for s in scores if s.main), None)
    if main is None:
        return "cannot tell yet", "There was nothing to compare on examples it never saw."
    words = f"{main.words}{told_chance(main)}"
    fit = next((s for s in scores if s.name == GATE), None)
    if main.verdict == "better" and main.group != "accuracy" and fit is not None and fit.verdict != "better":
        return "cannot tell yet", f"{words} {STYLE_ONLY}{told_chance(fit)}"
    return main.verdict, words


def worsened(scores: Sequence[Score]) -> str:
    """What got worse beside the main measure, whatever that says; empty where nothing did."""
    main = next((s for s in scores if s.main), None)
    right = main is not None and main.group == "accuracy"  # then it knows what belongs to what, whatever the likelihoods say
    worse = [s for s in scores if s.verdict == "worse" and not s.main and not (right and s.name == GATE)]
    return "But: " + " ".join(_harm(s) for s in worse[:BUT]) if worse else ""


def _harm(score: Score) -> str:
    """What got worse, as it is said; forgetting so large that it writes little else any more is no footnote."""
    if score.name == forgetting.DRIFT.name and score.difference >= forgetting.MUCH:
        fewer = math.exp(min(score.difference, math.log(MANY_TIMES)))
        return f"It forgot much of what it knew: on everyday tasks the right words are {_many(fewer)} times less likely. {ONE_TASK}"
    return HARM.get(score.name, score.words)


def _many(times: float) -> str:
    return f"more than {MANY_TIMES}" if times >= MANY_TIMES - 0.5 else f"{times:.0f}"


def told_chance(score: Score) -> str:
    """What an undecided measure could have shown, and how many examples would."""
    if score.verdict != "cannot tell yet" or not math.isfinite(score.smallest) or score.smallest <= 0:
        return ""
    least = f"{100 * score.smallest:.0f} points" if score.share else f"{score.smallest:.2g}"
    seen = f" With {count(score.n, 'example')} only a difference of {least} or more would have shown"
    return f"{seen}; about {_round(score.more_rows)} more would tell." if 0 < score.more_rows <= 100 * score.n else f"{seen}."


def _round(count: int) -> str:
    """A count of examples to two digits: it is an estimate."""
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"


def all_answers(judging: Judging) -> dict[str, list[dict[str, Any]]]:
    """Every question with both whole answers as the rows named `answers`: what a person looks at beside what was measured on them."""
    rows = [
        {
            "row": a.example.row,
            "question": shorten(a.question, LONGEST_QUESTION),
            "reference": a.reference,
            "before": a.before.text,
            "after": a.after.text,
            "before_active": a.before.active,
            "after_active": a.after.active,
        }
        for a in judging.written or []
    ]
    return {"answers": rows} if rows else {}


def samples(judging: Judging) -> tuple[Sample, ...]:
    """A few of the answers that were written, evenly spread over the file."""
    written = judging.written or []
    stride = max(1, len(written) // SHOWN)
    return tuple(
        Sample(
            prompt=a.question,
            reference=a.reference,
            before=a.before.text,
            after=a.after.text,
            before_active=a.before.active,
            after_active=a.after.active,
        )
        for a in written[::stride][:SHOWN]
    )
