"""Owns what is said of a run while it goes on and once it has ended, as pieces of markup by the place they stand in.

Invariant: all of it is derived from the run's log; a place that has nothing to say is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from loralab.core.events import Adjusted, Incident, Noted, RunView
from loralab.lab import Lab, QueueEntry, RunParts, adjustment
from ui.markup import draw
from ui.runs.run_names import run_title
from ui.shots import Shots, shots_of
from ui.tabs.train.curve import legend
from ui.words import count, duration, figure, notice, size, term

STATES = {
    "waiting": ("Getting ready", "busy"),
    "running": ("Learning", "busy"),
    "finished": ("Finished", "good"),
    "stopped": ("Stopped", "quiet"),
    "failed": ("Did not work", "bad"),
    "killed": ("Interrupted", "bad"),
}
STORY_LINES = 40
DONE = "✓"


def regions(lab: Lab, view: RunView, parts: RunParts) -> dict[str, str]:
    """What stands where: the names are those of `data-live` in templates/live.jinja."""
    turn = whose_turn(lab.queue(), view.run) if view.queued else ""
    prepare, learn, test = part_words(view, parts)
    stop, resume = buttons(view)
    sees = lab.sees(view.run)
    return {
        "title": draw("live", "plain", run_title(lab, view.run)),
        "state": draw("live", "pill", state_words(view, parts), STATES[view.state][1]),
        "left": draw("live", "plain", left_words(view, parts)),
        "notice": (notice(turn, "It begins by itself, also when this page is closed.") if turn else "") + ending(view),
        "prepare": draw("live", "plain", prepare),
        "learn": draw("live", "plain", learn),
        "test": draw("live", "plain", test),
        "stop": stop,
        "resume": resume,
        "result": draw("live", "result") if view.made("adapter") and not view.active else "",
        "questions": asked_again(lab, view),
        "legend": legend(view) if view.steps else "",
        **numbers(view),
        "speed-note": draw("live", "plain", "pixels per second") if sees else term("token", "tokens") + " per second",
        "story": story_lines(view),
    }


def testing(view: RunView, parts: RunParts) -> bool:
    """Whether the updates are made and it is being judged."""
    return view.active and parts.part == "test"


def state_words(view: RunView, parts: RunParts) -> str:
    """What it does now, in a word or two."""
    if view.queued:
        return "Waiting for its turn"
    return {"prepare": "Getting ready", "learn": "Learning", "test": "Testing"}[parts.part] if view.active else STATES[view.state][0]


def left_words(view: RunView, parts: RunParts) -> str:
    """The time left over all three parts; of a run that has ended, how long it took."""
    if view.active:
        if view.queued:
            return ""
        left = f"About {duration(parts.seconds_left)} left" if parts.seconds_left else "Nearly done"
        return f"{left}. You can close this page at any time: the run goes on, and the page finds it again."
    return f"Took {duration(view.ended - view.started)}" if view.ended and view.started else ""


def part_words(view: RunView, parts: RunParts) -> tuple[str, str, str]:
    """What stands under each part of the bar."""
    doing = (
        f"{view.phase.removeprefix('measuring: ')}{f', {100 * view.fraction:.0f} %' if view.fraction is not None else ''}"
        if view.phase not in ("", "training")
        else ""
    )
    prepare = f"Prepare: {doing}" if view.active and parts.part == "prepare" and doing and not view.queued else "Prepare"
    learn = f"Learn: update {view.step:,} of {view.total_steps:,}, round {view.epoch:.1f}" if view.total_steps else "Learn"
    n = view.measured.n_heldout if view.measured else 0
    test = f"Test: {doing}" if testing(view, parts) and doing else f"Test: {count(n, 'example')}" if n else "Test"
    return tuple(f"{said} {DONE}" if done >= 1 else said for said, done in zip((prepare, learn, test), parts.done, strict=True))  # pyright: ignore[reportReturnType]


def buttons(view: RunView) -> tuple[str, str]:
    """What can be done with a run: stopping it, and going on with it."""
    left_queue = view.ending is not None and view.ending.code == "unqueued"
    stop = draw("live", "button", "stop", "Take out of the queue" if view.queued else "Stop and save") if view.active else ""
    can_go_on = view.state in ("stopped", "failed", "killed")
    return stop, draw("live", "button", "resume", "Put back in the queue" if left_queue else "Resume") if can_go_on else ""


def whose_turn(turns: Sequence[QueueEntry], run: str) -> str:
    """What has the machine now, and how many are before this run."""
    place = next((turn.position for turn in turns if turn.run == run), 0)
    if not place:
        return "It is about to begin."
    now = next((turn for turn in turns if turn.position == 0), None)
    doing = {"train": "is learning", "evaluate": "is being compared", "export": "is being exported"}
    at_work = f"“{now.title or now.run}” {doing.get(now.kind, 'is at work')} now. " if now else ""
    return at_work + ("This run is next." if place == 1 else f"{count(place - 1, 'run')} will come before this one.")


def asked_again(lab: Lab, view: RunView) -> str:
    """What is asked again and again, as its kind of training answers it."""
    if lab.draws(view.run):
        return drawings(view, shots_of(lab, view.run))
    return looks(view, shots_of(lab, view.run)) if lab.sees(view.run) else questions(view)


def drawings(view: RunView, shots: Shots) -> str:
    """The same words, as they were drawn first and are drawn now."""
    if not view.questions:
        return ""
    last = max(answer.share for question in view.questions for answer in question.answers)
    rows = [
        (q.prompt, shots.drawn(q.answers[0].text), shots.drawn(q.answers[-1].text) if len(q.answers) > 1 else "") for q in view.questions
    ]
    return draw("drawings", "learning", rows, last, shots.warning())


def questions(view: RunView) -> str:
    """The same few questions, as they were answered first and are answered now."""
    if not view.questions:
        return ""
    last = max(answer.share for question in view.questions for answer in question.answers)
    asked = [(q.prompt, q.answers[0].text, q.answers[-1].text if len(q.answers) > 1 else None) for q in view.questions]
    return draw("live", "questions", asked, last)


def looks(view: RunView, shots: Shots) -> str:
    """The same few pictures, with what was said of them first and is said now."""
    if not view.questions:
        return ""
    last = max(answer.share for question in view.questions for answer in question.answers)
    rows = [
        (
            shots.truth(q.prompt),
            q.reference,
            [(answer.text, shots.then(q.prompt, answer.drawn)) for answer in (q.answers[0], *q.answers[1:][-1:])],
        )
        for q in view.questions
    ]
    return draw("pictures", "learning", rows, last, shots.key, shots.warning())


def numbers(view: RunView) -> dict[str, str]:
    """The figures under the curve."""
    last = view.steps[-1] if view.steps else None
    looks = [look for look in view.evaluations if look.split != "base"]
    before = next((look.loss for look in view.evaluations if look.split == "base"), None)
    said = {
        "loss": figure(last.loss) if last else "–",
        "held": figure(looks[-1].loss) if looks else "–",
        "held-note": f"{figure(before)} before training" if before is not None else "",
        "speed": f"{last.tokens_per_second:,.0f}" if last else "–",
        "memory": size(last.memory_bytes) if last else "–",
        **_rate(view),
        "pull": figure(last.grad_norm, 2) if last else "–",
    }
    return {name: draw("live", "plain", text) for name, text in said.items()}


def _rate(view: RunView) -> dict[str, str]:
    """The learning rate, which goes down to nothing in the end: then the highest there was."""
    if not view.steps:
        return {"rate": "–", "rate-note": ""}
    over = not view.active or view.step >= view.total_steps > 0
    rate = max(step.learning_rate for step in view.steps) if over else view.steps[-1].learning_rate
    return {"rate": f"{Decimal(f'{rate:.2g}'):f}", "rate-note": "at its highest" if over else ""}


def ending(view: RunView) -> str:
    """Why a run ended, where there is something to say about it."""
    said = view.ending
    if said is None or not (said.what or said.todo):
        return ""
    kind = {"finished": "good", "stopped": "info"}.get(said.outcome, "error")
    return notice(said.what or "The run ended.", said.todo, kind)


def story_lines(view: RunView) -> str:
    """What happened, in plain words, newest first."""
    lines = sorted((*view.notes, *view.incidents, *view.adjustments), key=lambda event: event.time, reverse=True)
    if not lines:
        return ""
    return draw("live", "story", [_line(event, view.started) for event in lines[:STORY_LINES]])


def _line(event: Noted | Incident | Adjusted, started: float) -> tuple[str, str, str]:
    when = duration(max(0.0, event.time - started)) if started else ""
    match event:
        case Noted():
            return "note", when, event.text
        case Incident():
            return "trouble", when, event.text
        case Adjusted():
            return "change", when, adjustment(event)
