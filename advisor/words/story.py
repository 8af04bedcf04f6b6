"""The story of a run in four parts: what happened, what the evidence is, what was changed, what came of it. Made without a model.

Invariant: a part about which nothing is known is empty, never padded.
"""

from __future__ import annotations

import math

from advisor.diagnosis.findings import Finding
from advisor.words.summary import RunSummary
from advisor.words.wording import joined, loss, sentence, share, time
from loralab.core.records import Record
from loralab.core.verdict import Verdict
from loralab.core.words import can_you_use_it, count, did_it_learn, listed
from loralab.lab import adjustment, describe_incidents

MOST_EVIDENCE = 4  # pieces of evidence told for one cause
MOST_CHANGES = 6
MOST_TRIED = 2  # comparisons with earlier runs


class Story(Record):
    """A run in words."""

    run: str
    happened: str
    evidence: str = ""
    changed: str = ""
    outcome: str = ""
    advice: str = ""
    made_by: str = "rules"

    @property
    def text(self) -> str:
        """All of it, a paragraph for each part."""
        return "\n\n".join(part for part in (self.happened, self.evidence, self.changed, self.outcome, self.advice) if part)


def story(summary: RunSummary) -> Story:
    """The story of a run as far as it is known by now."""
    return Story(
        run=summary.view.run,
        happened=joined(*_begun(summary), *ending(summary)),
        evidence=evidence(summary),
        changed=" ".join(filter(None, (changed(summary), tried(summary)))),
        outcome=joined(*outcome(summary)),
        advice=advice(summary),
    )


# ---- what happened ---------------------------------------------------------------------------------------------------------
def _begun(summary: RunSummary) -> list[str]:
    view, plan = summary.view, summary.case.plan
    if not view.started and not view.steps:
        return ["This run has not begun yet"]
    examples = f" from {count(summary.examples, 'example')}" if summary.examples else ""
    verb = "is learning" if view.active else "learned" if view.step else "was to learn"
    said = [f"The model “{_name(plan.base_model)}” {verb}{examples}"]
    if view.step:
        of = f"{view.step:,} of {count(summary.total, 'update')}" if summary.total > view.step else count(view.step, "update")
        spent = f" in {time(summary.seconds)}" if math.isfinite(summary.seconds) else ""
        said.append(f"It made {of}{spent}")
    return said


def _name(model: str) -> str:
    return model.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or model


def ending(summary: RunSummary) -> list[str]:
    """How it ended, or where it is now."""
    view = summary.view
    match view.state:
        case "waiting":
            return ["It is waiting for its turn"]
        case "running":
            left = f", with about {time(view.seconds_left)} left" if view.seconds_left else ""
            return [f"It is still going on{left}"]
        case "finished" if summary.early:
            best = summary.case.signals.best_step
            kept = f"The best version, from update {best:,}, was kept" if best else ""
            return [f"It ended early because {summary.early}", kept]
        case "finished":
            return ["It ended as planned"]
        case _:
            said = view.ending
            return [said.what or "It ended too early", said.todo if view.state == "stopped" else ""] if said else []


# ---- the evidence ----------------------------------------------------------------------------------------------------------
def evidence(summary: RunSummary) -> str:
    """What the rules found and on what it rests; for a healthy run, that nothing was found."""
    causes = summary.diagnosis.could_be
    if not causes:
        if not summary.view.steps:
            return ""
        watched = f"All {count(summary.view.step, 'update')} were checked" if summary.view.step > 1 else "It was checked"
        return f"{watched}, and nothing wrong was found."
    if len(causes) == 1:
        return _cause(causes[0])
    names = listed([f"“{cause.title}”" for cause in causes], "or")
    return f"It could be either: {names}. " + " ".join(_cause(cause) for cause in causes[:2])


def _cause(cause: Finding) -> str:
    shown = [one.words for one in cause.evidence if one.value is None or one.value == one.value][:MOST_EVIDENCE]  # NaN is not itself
    rests = f"The evidence: {'; '.join(shown)}." if shown else ""
    return joined(cause.title, cause.words, rests)


# ---- what was changed ------------------------------------------------------------------------------------------------------
def changed(summary: RunSummary) -> str:
    """What was done while it ran, and why."""
    lines: list[str] = []
    for trouble in describe_incidents(summary.view):
        lines += [*trouble.done]
    lines += [adjustment(event) for event in summary.view.adjustments]
    lines = list(dict.fromkeys(sentence(line) for line in lines))
    if not lines:
        return ""
    more = f" And {count(len(lines) - MOST_CHANGES, 'more change')}." if len(lines) > MOST_CHANGES else ""
    return "While it ran, this was changed. " + " ".join(lines[:MOST_CHANGES]) + more


def tried(summary: RunSummary) -> str:
    """What earlier runs on the same examples say of the one setting they differ in: at most two."""
    return " ".join(one.words for one in summary.diagnosis.tried[:MOST_TRIED])


# ---- what came of it -------------------------------------------------------------------------------------------------------
def outcome(summary: RunSummary) -> list[str]:
    """The verdict with its numbers, or what the looks so far say."""
    numbers, found = moved(summary), summary.conclusion
    if found is not None:
        learned, usable = f"Did it learn? {did_it_learn(found)}", f"Can you use it? {can_you_use_it(found)}"
        return [learned, found.learned_words, usable, found.usable_words, found.but]
    word, words = summary.verdict
    if word:
        return [_VERDICTS.get(word, ""), words, numbers]
    if numbers:
        return [numbers, "" if summary.view.active else "It was not tested, so this is all that is known"]
    return ["Nothing can be said yet about what it learned"] if summary.view.active else ["No result was measured"]


_VERDICTS = {
    "better": "The verdict: better than before",
    "worse": "The verdict: worse than before",
    "no difference seen": "The verdict: no difference was seen",
    "cannot tell yet": "The verdict: too early to tell",
}


def moved(summary: RunSummary) -> str:
    """How the loss on held-out examples moved; empty where it was not measured twice."""
    before, after = summary.before, summary.after
    if not (math.isfinite(before) and math.isfinite(after)):
        return ""
    on = f" on {count(summary.heldout, 'held-out example')}" if summary.heldout else " on held-out examples"
    if loss(before) == loss(after):
        return f"The loss{on} stayed at {loss(after)}"
    verb = "fell" if after < before else "rose"
    by = f", {share(abs(summary.gain))} {'less' if after < before else 'more'}" if before > 0 and abs(summary.gain) < 10 else ""
    return f"The loss{on} {verb} from {loss(before)} to {loss(after)}{by}"


# ---- what to do ------------------------------------------------------------------------------------------------------------
def advice(summary: RunSummary) -> str:
    """What to do next: a larger model where this one is not up to it, the rules' best way out, or what the run's state asks for."""
    said, cause = summary.view.conclusion, summary.diagnosis.cause
    if said and said.usable == "no" and summary.larger:
        return f"What to do next: try a larger model with the same examples. The next one that fits here is {summary.larger}."
    if cause and cause.fixes:
        return joined("What to do next", cause.fixes[0].words).replace("What to do next. ", "What to do next: ", 1)
    return _by_state(summary)


def _by_state(summary: RunSummary) -> str:
    view, word = summary.view, summary.verdict[0]
    todo = view.ending.todo if view.ending and view.state in ("failed", "killed") else ""
    if todo:
        return f"What to do next: {sentence(todo)}"
    if view.active:
        return "What to do next: nothing. You can close this page; the run goes on by itself."
    if view.state == "stopped":
        return "What to do next: resume it to go on where it stopped, or use what it has learned so far."
    of_pictures = _seen_next(summary.conclusion) if summary.conclusion and summary.sees else ""
    if next_step := of_pictures or (_next(summary.conclusion) if summary.conclusion else _NEXT.get(word, "")):
        return f"What to do next: {next_step}"
    info = next((finding.fixes[0].words for finding in summary.diagnosis.findings if finding.fixes), "")
    return f"What to do next: {sentence(info)}" if info else ""


def _next(found: Verdict) -> str:
    """What the two answers ask for."""
    if found.learned != "yes" and found.usable != "yes":
        return _NEXT["cannot tell yet" if found.learned == "unknown" else "no difference seen"]
    return {
        "yes": "try it with questions of your own, then take it away on the Share tab.",
        "partly": "use it for what it does well, and add examples of what it does badly.",
        "you_decide": "judge five of its answers: it takes a minute, and then the verdict says what you found.",
        "no": "give it more rounds over the examples, more of them, or a larger model.",
    }[found.usable]


def _seen_next(found: Verdict) -> str:
    """The same of pictures."""
    if found.learned == "no":
        return "open ten of the pictures and look whether classes, masks or boxes belong to them, then add more."
    return {
        "yes": "show it pictures of your own, then take it away on the Share tab.",
        "partly": "use it for what it does well, and add pictures like those it gets wrong.",
        "you_decide": "show it pictures of your own: you decide. With more pictures held out, the verdict is more certain.",
        "no": "add pictures, above all of what it gets wrong, or try a larger picture size.",
    }[found.usable]


_NEXT = {
    "better": "try it in the chat with your own questions. If you like the answers, take it with you on the Share tab.",
    "worse": "do not use this version. Try half the learning rate, or look through the examples again.",
    "no difference seen": "give it more to learn from, or more rounds over the examples.",
    "cannot tell yet": "try it in the chat, and add more examples. With more of them held out, the verdict is more certain.",
}
