"""Answers to common questions about a run, made without a model.

Invariant: an answer says only what was measured in this run or holds for every run; where it is not known, it says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from advisor.words import asked as of_result
from advisor.words import levels, screen
from advisor.words import story as told
from advisor.words.glossary import MEANINGS
from advisor.words.intents import QUESTIONS, Question, Topic, chips, is_german, plain, understand
from advisor.words.nearest import FAR, SURE, likeness, nearest
from advisor.words.summary import RunSummary
from advisor.words.wording import joined, loss, rate, time
from loralab.core.words import count, listed, size, times

DEFINES = re.compile(r"\b(mean|means|meaning|what is|what are|what's|whats|explain|define|bedeutet|heißt|was ist)\b")
FEW_EXAMPLES = 100  # examples below which more of them is the best advice: planner and rules say the same


IN_ENGLISH = "I understand a little German and answer in English."


def answer(summary: RunSummary, question: str) -> str:
    """The answer of the rules to a question; where they do not understand it, what the page says beside that word, or the nearest one."""
    asked = understand(question)
    said = _shown(summary, question, asked.topic) if asked.topic in ("term", "unknown", "stopped", "next") else ""
    words = said or _ANSWERS[asked.topic](summary, asked)
    return joined(words, IN_ENGLISH) if is_german(question) else words


def _shown(summary: RunSummary, question: str, topic: Topic) -> str:
    """What a name on the screen means, where the question asks for one: a measure of the test, or a setting."""
    text = plain(question)
    if not DEFINES.search(text):
        return ""
    labels = screen.settings()
    named = max((label for label in labels if re.search(rf"\b{re.escape(label)}\b", text)), key=len, default="")
    return screen.measure(summary, text) or ("" if topic == "term" else labels.get(named, ""))


def answer_topic(summary: RunSummary, topic: Topic) -> str:
    """The answer of the rules on a topic that needs no word or number named."""
    return _ANSWERS[topic](summary, Question(topic))


def is_known(question: str) -> bool:
    """Whether the rules have an answer of their own to a question."""
    return understand(question).topic != "unknown" or _names_something(question)


def _names_something(question: str) -> bool:
    """Whether it asks what a setting on the screen means."""
    text = plain(question)
    return bool(DEFINES.search(text)) and any(re.search(rf"\b{re.escape(label)}\b", text) for label in screen.settings())


def _term(summary: RunSummary, asked: Question) -> str:
    here = {
        "learning rate": f"This run used {rate(summary.case.plan.learning_rate)}",
        "rank": f"In this run it was {summary.case.plan.model_dump()['rank']}",
        "loss": told.moved(summary),
        "held-out loss": told.moved(summary),
        "epoch": f"This run {'made' if summary.view.step else 'plans'} {summary.case.course.rounds:.3g} of them",
    }
    return joined(MEANINGS[asked.detail], here.get(asked.detail, ""))


def _setting(summary: RunSummary, asked: Question) -> str:
    field = type(summary.case.plan).model_fields.get(asked.detail)
    if field is None:
        return "This kind of training has no such setting."
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
    if summary.conclusion is not None:
        return joined(*told.outcome(summary), told.advice(summary) if summary.conclusion.usable != "yes" else "")
    first = {"better": "Yes", "worse": "No", "no difference seen": "No difference was seen", "cannot tell yet": "It is too early to tell"}
    return joined(first.get(word, ""), *told.outcome(summary)[1 if word else 0 :], told.advice(summary) if word != "better" else "")


def _overfit(summary: RunSummary, asked: Question) -> str:
    signals, cause = summary.case.signals, summary.diagnosis.findings
    found = next((finding for finding in cause if finding.group == "overfitting"), None)
    if found:
        return joined(
            f"There are signs of it: {found.title[:1].lower()}{found.title[1:]}", found.words, found.fixes[0].words if found.fixes else ""
        )
    if len(signals.heldout) < 2:
        return "I cannot tell: that takes at least two tests on the held-out examples, and this run made fewer."
    rising = signals.rises
    if rising >= 2:
        kept = f"The best version, from update {signals.best_step:,}, is kept"
        return joined("Perhaps", f"The held-out loss got worse {times(rising)} in a row at the end", kept)
    return joined(
        "There is no sign of it",
        f"The held-out loss was best at update {signals.best_step:,} of {summary.total:,} and did not keep rising after that",
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
    pace = f"That is about {count(float(f'{each:.2g}'), 'second')} per update" if summary.view.step else ""
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
        "A smaller model, shorter examples or a graphics card would make it faster"
        if device == "cpu"
        else "A smaller model or shorter examples would make it faster"
    )
    if summary.sees:
        tip = tip.replace("A smaller model, shorter examples", "A smaller picture size").replace(
            "A smaller model or shorter examples", "A smaller picture size"
        )
    unit = "pixel" if summary.sees else "token"
    return joined(f"It reads about {count(round(sum(speeds) / len(speeds)), unit)} a second{on}", _time(summary, asked), tip)


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
    wobble = "" if shown else "Small ups and downs are normal: each update sees different examples"
    return joined(moved, peaks, wobble, told.moved(summary))


def _data(summary: RunSummary, asked: Question) -> str:
    found = next((finding for finding in summary.diagnosis.findings if finding.group == "data"), None)
    counted = f"It learned from {count(summary.examples, 'example')}" if summary.examples else "How many it learned from was not recorded"
    aside = (
        f"{count(summary.heldout, 'example')} {'was' if summary.heldout == 1 else 'were'} kept aside as a test" if summary.heldout else ""
    )
    few = (
        f"That is not many: with {FEW_EXAMPLES} or more the result is more certain"
        if 0 < summary.examples < FEW_EXAMPLES and not found
        else ""
    )
    return joined(
        counted, aside, few, *([found.title, found.words] if found else []), found.fixes[0].words if found and found.fixes else ""
    )


def _resume(summary: RunSummary, asked: Question) -> str:
    view = summary.view
    if view.active:
        return "It is still going on. If the computer stops, it can go on from its last safety copy."
    if view.state == "finished":
        return "It is finished, so there is nothing left to resume. To learn more, start a new run with more rounds over the examples."
    kept = f"What it had learned by update {view.step:,} is saved" if view.trained else ""
    return joined("You can resume it from the Train tab. It goes on from its last safety copy, and nothing before that is lost", kept)


def _use(summary: RunSummary, asked: Question) -> str:
    if not summary.view.made("adapter"):
        return "There is nothing to use yet: this run has not written an adapter. Let it finish, or resume it."
    if summary.sees:
        return "On the Evaluate tab you can show it pictures of yours. On the Share tab you can take it away as a file."
    return "On the Evaluate tab you can chat with it. On the Share tab you can take it away as a file, also for Ollama and LM Studio."


def _next(summary: RunSummary, asked: Question) -> str:
    said = told.advice(summary)
    other = summary.diagnosis.cause.fixes[1:3] if summary.diagnosis.cause else ()
    return joined(said or "There is nothing you need to do", *(f"Or else: {fix.words}" for fix in other))


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


def _number(summary: RunSummary, asked: Question) -> str:
    known = screen.number(summary, asked.number) if asked.number is not None else ""
    return known or joined("That number is none that I know from this run", levels.level(summary, asked))


def _mark(summary: RunSummary, asked: Question) -> str:
    return screen.mark(asked.detail)


def _doubt(summary: RunSummary, asked: Question) -> str:
    said, main = summary.view.conclusion, summary.main
    if summary.view.active or (said is None and not summary.verdict[0]):
        return "There is no result yet: it is tested when the training has ended."
    more = f"About {count(main.more_rows, 'more example')} would tell" if main and main.more_rows else ""
    on = f"It was tested on {count(summary.heldout, 'example')}" if summary.heldout else ""
    why = "Where a difference is so small that chance could explain it, I say so instead of guessing"
    words = [said.learned_words, said.usable_words, said.but] if said else [summary.verdict[1]]
    return joined(*words, on, why, more)


def _where(summary: RunSummary, asked: Question) -> str:
    ready = "" if summary.view.made("adapter") else "Once this run has finished, you can"
    places = "On the Share tab choose where you want to use it: this computer, another computer, Ollama, LM Studio, a website or a phone"
    if summary.sees:
        places = "On the Share tab you take it away as files, for this computer, another one, or a program of your own"
    return joined(ready and f"{ready}. {places}", "" if ready else f"Yes. {places}", "It is tested there before it is called done")


def _bigger(summary: RunSummary, asked: Question) -> str:
    if summary.sees:
        return (
            "A larger picture size often helps where things are small; it takes longer, by the square. More and better pictures help most."
        )
    if not summary.larger:
        return "This is the largest model that fits this computer well. More and better examples help most now."
    said = summary.view.conclusion
    first = "Yes" if said and said.usable in ("no", "partly") else "It depends"
    why = "a larger model writes better and knows more; it takes longer and more memory"
    return joined(
        f"{first}: {why}", f"The next one that fits here is {summary.larger}", "You choose it on the Plan page, with the same examples"
    )


def _bad_answers(summary: RunSummary, asked: Question) -> str:
    said = summary.view.conclusion
    model = f"A larger model is the first thing to try: {summary.larger}" if summary.larger else ""
    few = f"It had only {count(summary.examples, 'example')} to learn from" if 0 < summary.examples < FEW_EXAMPLES else ""
    cause = summary.diagnosis.cause
    found = joined(*([said.usable_words] if said else []), model, few, *([cause.title, cause.words] if cause else []), told.advice(summary))
    return found or "I do not know why from what was measured. Try it in the chat, and look through the examples: it writes as they do."


def _unknown(summary: RunSummary, asked: Question) -> str:
    near = nearest(asked.detail, tuple(QUESTIONS.values()))
    topic: Topic = next(topic for topic, question in QUESTIONS.items() if question == near[0])
    if likeness(asked.detail, near[0]) >= SURE:
        return f"I take it as “{near[0]}” {_ANSWERS[topic](summary, Question(topic))}"
    fitting = near if likeness(asked.detail, near[0]) >= FAR else chips(summary.view.state)
    listing = listed([f"“{question}”" for question in fitting], "or")
    return f"I do not know that. What I can answer: {listing}. I can also explain any word, number or mark on the page."


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
    "number": _number,
    "mark": _mark,
    "doubt": _doubt,
    "where": _where,
    "bigger": _bigger,
    "bad_answers": _bad_answers,
    "longer": of_result.longer,
    "good_enough": of_result.good_enough,
    "half_right": of_result.half_right,
    "seen_test": of_result.seen_test,
    "rate": of_result.which_rate,
    "more_data": of_result.more_data,
    "unknown": _unknown,
}
