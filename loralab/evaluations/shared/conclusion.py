"""Owns the two answers a run ends in: did it learn, and can it be used? Everything that tells people reads them from here.

Invariants: the first is relative (before against after, paired), the second absolute (what it writes now); neither is ever taken for
the other; what got worse is said beside both, whatever they are; near copies of what was learned from prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loralab.core.records import Example, Sample, Score
from loralab.core.verdict import Verdict
from loralab.core.words import count, plural
from loralab.evaluations import Answered
from loralab.evaluations.shared import lookup, openness, rightness
from loralab.evaluations.shared.alarms import alarm, alarmed
from loralab.evaluations.shared.answer_scores import shorten
from loralab.evaluations.shared.rightness import Learned, Usable

GATE = "question_fit"  # without it a gain may be one in tone alone
PREFERENCE = "preference"  # carries the first answer where pairs were learned from
MANY_TIMES = 100  # a larger factor says that the base had no idea of the form of the answers, and nothing more
STYLE_ONLY = "It writes more like your examples, but there is no proof yet that it knows which answer belongs to which question."
NOTHING = "It wrote no answers to look at. Ask it something in the chat: you decide."
UNMEASURED = "There were no examples kept aside to compare on."
SHOWN = 90  # letters of the answer that shows why


@dataclass(frozen=True)
class Ground:
    """What the two answers are drawn from. `copies` and `alike`: see loralab.datasets.leaks."""

    scores: Sequence[Score]
    answers: Sequence[Answered]
    train: Sequence[Example]
    but: str = ""
    copies: int = 0
    alike: int = 0
    heldout: int = 0

    @property
    def spoilt(self) -> bool:
        """Whether most held-out examples prove nothing."""
        return 2 * self.alike > self.heldout


def conclude(ground: Ground) -> Verdict:
    """Both answers, from what was measured and what was written."""
    main = next((score.name for score in ground.scores if score.main), "")
    of = {"normalised_match": "exact_match", "json_fields": "json_match"}.get(main, main)
    preferred = next((score for score in ground.scores if score.name == PREFERENCE), None)
    right = rightness.right_or_wrong(of, ground.answers, ground.train) if preferred is None else None
    learned, learned_words = _learned(ground.scores, right) if preferred is None else _prefers(preferred)
    if right is not None:
        usable, words, reach, check = rightness.usable(right)
        checks, place = (check,), rightness.worst(right)
        shown = [a for a in ground.answers if a.reference.strip()]
    else:
        opened = openness.Opened(ground.answers, ground.train)
        usable, words, checks = openness.usable(opened) if ground.answers else ("you_decide", NOTHING, ())
        reach, shown = "", list(ground.answers)
        place = openness.worst(opened) if usable == "no" else None
    worst = _sample(shown[place]) if place is not None else None
    if usable == "no" and worst is not None and right is None:
        words = f"{words} For instance: {_quoted(worst.after)}."
    found = Verdict(
        learned=learned,
        learned_words=learned_words,
        usable=usable,
        usable_words=words,
        reach=reach,
        but=ground.but,
        floors=tuple(check.name for check in checks if not check.passed and usable != "yes"),
        worst=worst,
        checks=checks,
    )
    return _beside_a_search(_capped(alarmed(found, alarm(ground.answers)), ground), ground, of)


def _beside_a_search(found: Verdict, ground: Ground, main: str) -> Verdict:
    """With what looking up the nearest learned question would have done, where that is as good."""
    searched = lookup.compared(ground.answers, ground.train, main)
    if not searched.rank:
        return found
    words = {"learned_words": f"{found.learned_words} {searched.words}"}
    return found.model_copy(update={"search": searched.rank, "search_words": searched.words, **words})


def _prefers(score: Score) -> tuple[Learned, str]:
    """Whether the chosen answer of a pair is more often the likelier one than before."""
    answers: dict[str, Learned] = {"better": "yes", "cannot tell yet": "unknown"}
    return answers.get(score.verdict, "no"), score.words


def _learned(scores: Sequence[Score], right: rightness.Right | None) -> tuple[Learned, str]:
    """From the answers' being right where they can be; else, or where none is right yet, from how likely the right ones became."""
    if right is None:
        return likelier(scores)
    answer, words = rightness.learned(right)
    if answer == "yes" or right.kinds or right.count:
        return answer, words
    by_likelihood, told = likelier(scores)
    return ("yes", f"{told} None of {right.n} is exactly right yet.") if by_likelihood == "yes" else (answer, words)


def likelier(scores: Sequence[Score]) -> tuple[Learned, str]:
    """Whether the right answers became likelier, and each more so after its own question than after another's."""
    loss = next((score for score in scores if score.name == "loss"), None)
    fit = next((score for score in scores if score.name == GATE), None)
    if loss is None:
        return "unknown", UNMEASURED
    seen = f"On {count(loss.n, 'example')} it never saw"
    match loss.verdict:
        case "better" if fit is not None and fit.verdict != "better":
            return "unknown", f"{STYLE_ONLY} {seen}, it expects the right words {_times(-loss.difference)} as before."
        case "better":
            knows = ", and it knows better which answer belongs to which question" if fit is not None else ""
            return "yes", f"{seen}, it expects the right words {_times(-loss.difference)} as before{knows}."
        case "worse":
            return "no", f"{seen}, it expects the right words less than before."
        case "no difference seen":
            return "no", f"{seen}, it does as well as before training, no better and no worse."
        case _:
            return "unknown", f"{seen}, the difference could be chance."


def _times(nats: float) -> str:
    return f"more than {MANY_TIMES} times as much" if nats > math.log(MANY_TIMES) else f"{math.exp(nats):.1f} times as much"


def _capped(found: Verdict, ground: Ground) -> Verdict:
    """No more than the held-out examples allow: near copies prove nothing."""
    if not ground.spoilt:
        left = f"{count(ground.copies, 'example')} too much like what it learned from {plural(ground.copies, 'was', 'were')} left out."
        return found.model_copy(update={"learned_words": f"{found.learned_words} {left}"}) if ground.copies else found
    alike = f"{ground.alike} of the {count(ground.heldout, 'example')} kept aside {plural(ground.alike, 'is', 'are')} nearly the same as"
    what = f"{alike} one it learned from: that proves nothing"
    usable: Usable = "no" if found.usable == "no" else "you_decide"
    words = (
        found.usable_words
        if usable == "no"
        else "What it answers to questions that are really new, only you can tell: ask it some in the chat."
    )
    learned: Learned = "unknown" if found.learned == "yes" else found.learned
    told = f"{what}." if learned == "unknown" else f"{found.learned_words} And {what}."
    return found.model_copy(
        update={"learned": learned, "learned_words": told, "usable": usable, "usable_words": words, "capped": f"{what}."}
    )


def _sample(of: Answered) -> Sample:
    return Sample(
        prompt=of.question,
        reference=of.reference,
        before=of.before.text,
        after=of.after.text,
        before_active=of.before.active,
        after_active=of.after.active,
    )


def _quoted(text: str) -> str:
    said = " ".join(text.split())
    return f"“{shorten(said, SHOWN)}”" if said else "it says nothing at all"
