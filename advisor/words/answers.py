"""Answers to common questions about a run, made without a model.

Invariant: an answer says only what was measured in this run or holds for every run; where it is not known, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from advisor.text import TextPlan
from advisor.words import levels
from advisor.words import story as told
from advisor.words.glossary import MEANINGS
from advisor.words.intents import Question, Topic, understand
from advisor.words.summary import RunSummary
from advisor.words.wording import count, joined, listed, loss, rate, time
from loralab.core.words import size

FEW_EXAMPLES = 100  # examples below which more of them is the best advice: planner and rules say the same


def answer(summary: RunSummary, question: str) -> str:
    """The answer of the rules to a question, or what they can tell where they do not understand it."""
    asked = understand(question)
    return _ANSWERS[asked.topic](summary, asked)


def answer_topic(summary: RunSummary, topic: Topic) -> str:
    """The answer of the rules on a topic that needs no word or number named."""
    return _ANSWERS[topic](summary, Question(topic))


def is_known(question: str) -> bool:
    """Whether the rules have an answer of their own to a question."""
    return understand(question).topic != "unknown"


def _term(summary: RunSummary, asked: Question) -> str:
    here = {
        "learning rate": f"This run used {rate(summary.case.plan.learning_rate)}",
        "rank": f"In this run it was {summary.case.text.rank}",
        "loss": told.moved(summary),
        "held-out loss": told.moved(summary),
        "epoch": f"This run planned {summary.case.plan.epochs:g} of them" if not summary.case.plan.max_steps else "",
    }
    return joined(MEANINGS[asked.detail], here.get(asked.detail, ""))


def _setting(summary: RunSummary, asked: Question) -> str:
    field = TextPlan.model_fields[asked.detail]
    extra = field.json_schema_extra
    label = str(extra.get("label", asked.detail)) if isinstance(extra, dict) else asked.detail
    unit = str(extra.get("unit") or "") if isinstance(extra, dict) else ""
    now, before = (plan.model_dump()[asked.detail] for plan in (summary.case.plan, summary.case.asked))
    changed = f"It began with {_value(before)} and was changed while it ran" if now != before else ""
    return joined(f"{label}: {_value(now)}{f' {unit}' if unit else ''}", changed, field.description or "")


def _value(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case int():
            return f"{value:,}"
        case float():
            return rate(value)
        case _:
            return str(value)


def _stopped(summary: RunSummary, asked: Question) -> str:
    if summary.view.active:
        found = told.evidence(summary) if summary.diagnosis.alarms else "Nothing is wrong so far."
        return joined(*told.ending(summary), found)
    return joined(*told.ending(summary), told.evidence(summary), told.advice(summary))


def _better(summary: RunSummary, asked: Question) -> str:
    word = summary.verdict[0]
    if summary.view.active:
        return joined("The verdict comes at the end of the run", *(told.outcome(summary) if summary.view.step else []))
    first = {"better": "Yes", "worse": "No", "no difference seen": "No difference was seen", "cannot tell yet": "That cannot be told yet"}
    return joined(first.get(word, ""), *told.outcome(summary)[1 if word else 0 :], told.advice(summary) if word != "better" else "")


def _overfit(summary: RunSummary, asked: Question) -> str:
    signals, cause = summary.case.signals, summary.diagnosis.findings
    found = next((finding for finding in cause if finding.group == "overfitting"), None)
    if found:
        return joined(
            f"There are signs of it: {found.title[:1].lower()}{found.title[1:]}", found.words, found.fixes[0].words if found.fixes else ""
        )
    if len(signals.heldout) < 2:
        return "That cannot be told: it takes two looks at the held-out examples or more, and this run made fewer."
    rising = signals.rises
    if rising >= 2:
        kept = f"The best version, from update {signals.best_step:,}, is kept"
        return joined("Perhaps", f"The held-out loss got worse {rising} times in a row at the end", kept)
    return joined(
        "There is no sign of it",
        f"The held-out loss was best at update {signals.best_step:,} of {summary.total:,} and did not rise for long after it",
    )


def _time_left(summary: RunSummary, asked: Question) -> str:
    if not summary.view.active:
        return joined("It is over", f"It took {time(summary.seconds)}" if math.isfinite(summary.seconds) else "")
    left = summary.view.seconds_left
    return joined(f"About {time(left)} more" if left else "That is not known yet; ask again after a few updates")


def _time(summary: RunSummary, asked: Question) -> str:
    if not math.isfinite(summary.seconds):
        return "It has not made an update yet, so there is no time to tell."
    each = summary.seconds / max(1, summary.view.step)
    pace = f"That is about {each:.2g} seconds for each update" if summary.view.step else ""
    verb = "has run for" if summary.view.active else "trained for"
    left = _time_left(summary, asked) if summary.view.active else ""
    return joined(f"It {verb} {time(summary.seconds)} and made {count(summary.view.step, 'update')}", pace, left)


def _speed(summary: RunSummary, asked: Question) -> str:
    speeds = [step.tokens_per_second for step in summary.view.steps[-50:]]
    if not speeds:
        return "It has not made an update yet, so its speed is not known."
    device = summary.case.facts.device if summary.case.facts else ""
    on = " on the processor" if device == "cpu" else " on the graphics card" if device.startswith("cuda") else ""
    tip = (
        "A smaller model, shorter examples or a graphics card would make it quicker"
        if device == "cpu"
        else "A smaller model or shorter examples would make it quicker"
    )
    return joined(f"It reads about {sum(speeds) / len(speeds):,.0f} tokens in a second{on}", _time(summary, asked), tip)


def _changed(summary: RunSummary, asked: Question) -> str:
    return told.changed(summary) or "Nothing was changed while it ran. It used the plan as you started it."


def _evidence(summary: RunSummary, asked: Question) -> str:
    sure = summary.diagnosis.cause
    how = f"When the rules say this, it is the true cause in about {round(10 * sure.confidence)} of 10 cases" if sure else ""
    return joined(
        "Each update was written down as it happened, and fixed rules read those notes", told.evidence(summary), *told.outcome(summary), how
    )


def _memory(summary: RunSummary, asked: Question) -> str:
    trouble = next((finding for finding in summary.diagnosis.findings if finding.group == "memory"), None)
    used = f"It used up to {size(summary.peak)}" if summary.peak else "How much it used was not measured"
    said = (
        joined(trouble.title, trouble.words, trouble.fixes[0].words if trouble.fixes else "") if trouble else "There was no trouble with it"
    )
    return joined(used, said)


def _curve(summary: RunSummary, asked: Question) -> str:
    signals = summary.case.signals
    if summary.diagnosis.cause:
        return joined(told.evidence(summary), told.advice(summary))
    if not summary.view.steps:
        return "There is no curve yet: no update has been made."
    moved = f"The loss went from {loss(signals.first_loss)} at the start to {loss(signals.last_loss)} at the end"
    shown = [f"{at:,}" for at in signals.spikes[:3]]
    peaks = f"It jumped up at update {listed(shown)} and came back by itself. One odd example can do that" if shown else ""
    wobble = "" if shown else "Small ups and downs are normal: each update sees other examples"
    return joined(moved, peaks, wobble, told.moved(summary))


def _data(summary: RunSummary, asked: Question) -> str:
    found = next((finding for finding in summary.diagnosis.findings if finding.group == "data"), None)
    counted = (
        f"It learned from {count(summary.examples, 'example')}" if summary.examples else "How many examples it learned from was not noted"
    )
    aside = (
        f"{count(summary.heldout, 'example')} {'was' if summary.heldout == 1 else 'were'} kept aside as a test" if summary.heldout else ""
    )
    few = f"That is little: with {FEW_EXAMPLES} or more the result gets surer" if 0 < summary.examples < FEW_EXAMPLES and not found else ""
    return joined(
        counted, aside, few, *([found.title, found.words] if found else []), found.fixes[0].words if found and found.fixes else ""
    )


def _resume(summary: RunSummary, asked: Question) -> str:
    view = summary.view
    if view.active:
        return "It is still going on. If the computer stops, it can go on from its last safety copy."
    if view.state == "finished":
        return "It is finished, so there is nothing left to resume. To learn more, start a new run with more rounds over the examples."
    kept = f"What it had learned by update {view.step:,} was written down" if view.trained else ""
    return joined("You can resume it from the Train tab. It goes on from its last safety copy, and nothing before that is lost", kept)


def _use(summary: RunSummary, asked: Question) -> str:
    if not summary.view.made("adapter"):
        return "There is nothing to use yet: this run has not written an adapter. Let it finish, or resume it."
    return "On the Evaluate tab you can chat with it. On the Share tab you can take it away as a file, also for Ollama and LM Studio."


def _next(summary: RunSummary, asked: Question) -> str:
    said = told.advice(summary)
    other = summary.diagnosis.cause.fixes[1:3] if summary.diagnosis.cause else ()
    return joined(said or "Nothing has to be done", *(f"Or else: {fix.words}" for fix in other))


def _state(summary: RunSummary, asked: Question) -> str:
    return told.story(summary).happened


def _who(summary: RunSummary, asked: Question) -> str:
    return (
        "I am the advisor of this app. Fixed rules read what the run wrote down, and this text was made from them "
        "without a language model. If there is a language model, it is asked what the rules cannot answer. What it says "
        "in its own words is marked, and it may use no number that the run did not measure."
    )


def _story(summary: RunSummary, asked: Question) -> str:
    return told.story(summary).text


def _unknown(summary: RunSummary, asked: Question) -> str:
    can = ["why it ended", "whether it got better", "what was changed", "how long it took", "whether a loss is good", "what to do next"]
    return (
        f"I cannot answer that from what this run wrote down. I can tell you {listed(can, 'or')}. I can also explain a "
        f"word, like “learning rate”."
    )


_ANSWERS: dict[Topic, Callable[[RunSummary, Question], str]] = {
    "term": _term,
    "setting": _setting,
    "level": levels.level,
    "stopped": _stopped,
    "better": _better,
    "overfit": _overfit,
    "time_left": _time_left,
    "time": _time,
    "changed": _changed,
    "evidence": _evidence,
    "memory": _memory,
    "curve": _curve,
    "data": _data,
    "speed": _speed,
    "resume": _resume,
    "use": _use,
    "next": _next,
    "state": _state,
    "who": _who,
    "story": _story,
    "unknown": _unknown,
}
