"""Answers to what people ask of a result: longer, good enough, half right, seen the test, which rate, more examples.

Invariants: where yes or no was asked, that comes first, then why; an answer says only what this run or its lineage shows.
"""

from __future__ import annotations

import math
import re

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.words import story as told
from advisor.words.intents import Question
from advisor.words.summary import RunSummary
from advisor.words.wording import joined, rate, share
from loralab.core.words import count, plural

FEW_EXAMPLES = 100  # as in answers.py
STILL_FALLING = 0.02  # of the start, over the last third: as in the rule undertrained
HIGH, LOW = 4.0, 0.25  # times the usual rate
SHOWN = 70  # letters of an answer that is quoted
TOO_LITTLE = ("undertrained", "few_updates", "still_getting_better", "hardly_trained", "rate_too_low", "all_warm_up")
_LOWER = re.compile(r"\b(high|lower|smaller|reduce|decrease|big|large|hoch|niedriger|kleiner|gro(ß|ss))\w*")
_HIGHER = re.compile(r"\b(low|small|higher|raise|increase|bigger|larger|klein|niedrig|gr(ö|oe)(ß|ss)er|h(ö|oe)her)\b")


def longer(summary: RunSummary, asked: Question) -> str:
    """Should it train longer?"""
    if summary.view.active:
        return joined("Not yet: it is still going on", *told.ending(summary), "Whether more would help shows at its end")
    if summary.view.state in ("failed", "killed"):
        return joined("Not as it is: it ended in trouble", told.evidence(summary), told.advice(summary))
    return joined(*_longer(summary), *(one.words for one in summary.diagnosis.tried if one.setting in ("epochs", "max_steps")))


def _longer(summary: RunSummary) -> list[str]:  # noqa: PLR0911 - a line for each of what may have been seen
    signals, course = summary.case.signals, summary.case.course
    found = summary.diagnosis.findings
    heart = next((finding for finding in found if finding.group == "overfitting" and finding.rule != "forgetting"), None)
    little = next((finding for finding in found if finding.rule in TOO_LITTLE), None)
    at = f"On examples it never saw it was best at update {signals.best_step:,} of {summary.view.step:,}"
    if heart is not None and heart.alarm:
        return ["No", at if signals.best_step else heart.title, "After that it only learns by heart; more different examples help instead"]
    if signals.best_step and signals.since_best >= 2:
        return ["No", at, "It got no better after that"]
    if course.bound == "patience":
        return ["No", at, "It stopped by itself because nothing more was gained"]
    if little is not None:
        return ["Yes", little.words, little.fixes[0].words if little.fixes else ""]
    if signals.fall > STILL_FALLING:
        return ["Yes, it may help", f"At the end the held-out loss still fell, by {share(signals.fall)} of its start over the last third"]
    if len(signals.heldout) < 2:
        return ["I cannot tell", "That takes at least two tests on the held-out examples, and this run made fewer"]
    gained = share(max(0.0, signals.fall))
    return ["Probably not", f"In the last third of the run it gained {gained} of its start", "More examples help more"]


def good_enough(summary: RunSummary, asked: Question) -> str:
    """Is it good enough to use?"""
    said = summary.view.conclusion
    if said is None:
        why = "it is still going on" if summary.view.active else "it was not tested"
        return joined(f"I cannot tell yet: {why}", told.moved(summary), told.advice(summary))
    first = {"yes": "Yes", "partly": "Partly", "no": "No", "you_decide": "You decide"}[said.usable]
    return joined(
        f"{first}{f', {said.reach}' if said.reach and said.usable != 'no' else ''}", said.usable_words, said.but, told.advice(summary)
    )


def half_right(summary: RunSummary, asked: Question) -> str:
    """Why is only a part of it right, and what does it get wrong?"""
    said, score = summary.view.conclusion, summary.accuracy
    if said is None and score is None:
        return joined("It has not been tested yet, so I do not know how much is right", told.advice(summary))
    right = ""
    if score:
        right = f"It is right in {share(score.after)} of the answers that were tested; before training it was {share(score.before)}"
    worst = said.worst if said else None
    seen = (
        f"For instance, to “{_short(worst.prompt)}” it wrote “{_short(worst.after)}”, and “{_short(worst.reference)}” was expected"
        if worst
        else ""
    )
    cause = summary.diagnosis.cause or next(
        (one for one in summary.diagnosis.findings if one.group == "data" and one.confidence > 0.4), None
    )
    few = f"It had only {count(summary.examples, 'example')} to learn from" if 0 < summary.examples < FEW_EXAMPLES else ""
    why = joined(cause.title, cause.words) if cause else ""
    return joined(right, said.usable_words if said else "", seen, few, why, told.advice(summary))


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 1]}…"


def seen_test(summary: RunSummary, asked: Question) -> str:
    """Has it seen the test questions?"""
    facts, said = summary.case.facts, summary.view.conclusion
    held = facts.n_heldout if facts else summary.heldout
    if not held:
        return "I cannot tell: how many examples were kept aside as a test was not recorded."
    same = (facts.shared + facts.near_shared) if facts else 0
    if said and said.capped:
        return joined("Mostly, yes", said.capped, "Ask it questions that are really new, then you know more")
    kept = f"{count(held, 'example')} {plural(held, 'was', 'were')} kept aside and never learned from"
    if same:
        some = f"{same:,} of them {plural(same, 'is', 'are')} nearly the same as one it learned from; those prove nothing"
        return joined("Some of them, nearly", kept, some)
    search = said.search_words if said else ""
    return joined("No, the test is fair", kept, "None of them is nearly the same as one it learned from" if facts else "", search)


def which_rate(summary: RunSummary, asked: Question) -> str:
    """Which learning rate, and is this one too high or too low?"""
    used, usual = summary.case.asked.learning_rate, usual_rate(summary.case)
    number = asked.number if asked.number and 0 < asked.number < 1 else used
    known = (
        f"The usual for a model of this size is {rate(rate_words(usual))}"
        if math.isfinite(usual)
        else "From 0.0001 to 0.0003 suits most runs"
    )
    this = f"This run used {rate(used)}"
    wrong = next(
        (one for one in summary.diagnosis.alarms if one.group in ("instability", "non-finite") or one.rule == "rate_too_low"), None
    )
    times_usual = number / (usual if math.isfinite(usual) else 2e-4)
    high = times_usual > HIGH or (wrong is not None and wrong.rule != "rate_too_low" and number >= used)
    low = times_usual < LOW or (wrong is not None and wrong.rule == "rate_too_low" and number <= used)
    first = ""
    if asked.detail != "which":
        wants_lower, wants_higher = bool(_LOWER.search(asked.detail)), bool(_HIGHER.search(asked.detail))
        blamed = high if wants_lower and not wants_higher else low if wants_higher and not wants_lower else high or low
        first = "Yes" if blamed else "No"
        if not wants_lower and not wants_higher and "right" in asked.detail:
            first = "No" if blamed else "Yes"
    how = f"That is {float(f'{times_usual:.2g}'):g} times the usual" if first and not 0.8 < times_usual < 1.25 else ""
    tried = [one.words for one in summary.diagnosis.tried if one.setting == "learning_rate"]
    fix = wrong.fixes[0].words if wrong and wrong.fixes else "" if high or low else "Leave it as it is"
    return joined(first, known, this, how, wrong.title if wrong else "", fix, *tried)


def more_data(summary: RunSummary, asked: Question) -> str:
    """Would more examples help?"""
    said, n = summary.view.conclusion, summary.examples
    learned = f"It learned from {count(n, 'example')}" if n else ""
    data = next((one for one in summary.diagnosis.findings if one.group == "data" and one.confidence > 0.4), None)
    if 0 < n < FEW_EXAMPLES:
        return joined("Yes", learned, "From a few hundred on it learns well", _found(data))
    if said and said.usable == "yes":
        return joined("No, not for questions like these", learned, said.usable_words)
    if said and said.learned == "unknown":
        return joined("Yes", learned, said.learned_words, _found(data))
    return joined(
        "Most likely, yes", learned, "Examples that differ from those it has help most, above all of what it gets wrong", _found(data)
    )


def _found(finding: object) -> str:
    title, words = getattr(finding, "title", ""), getattr(finding, "words", "")
    return joined(title, words) if title else ""
