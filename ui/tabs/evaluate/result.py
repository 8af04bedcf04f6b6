"""Owns how a run's result is shown: the two answers, the same three questions before and now, and what to do next.

Invariant: no sentence about what came of a run is made here: the verdict's are told as they are, and a run that has none says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.proposals.next_step import NextStep
from loralab.core.events import RunView
from loralab.core.verdict import Verdict
from loralab.core.words import about, can_you_use_it, did_it_learn
from loralab.lab import ToJudge
from ui.markup import draw
from ui.tabs.evaluate.head import Typed
from ui.tabs.evaluate.judged import Found
from ui.tabs.evaluate.trying import NOTHING_HELPED, Trial
from ui.tabs.evaluate.view import caveats
from ui.words import notice, sentence

SHOWN = 3  # questions at a time
LEARNED = {"yes": "good", "no": "warning", "unknown": "warning"}
USABLE = {"yes": "good", "partly": "warning", "no": "error", "you_decide": "info"}
OLD_TONES = {"better": "good", "worse": "error"}
NOT_ASKED = "It was tested before LoRALab asked this. Measure it again, and it is answered."
MORE_ROWS = "More examples, or clearer ones: each row should show what you want to get."
MORE_PICTURES = "More pictures, above all like those it gets wrong, taken where and how you will use it."
MORE_DRAWINGS = "More pictures of the same style, each with a few words that say what it shows."
LONGEST_SHOWN = 60  # characters of an answer that is compared with the example's as a whole
LONGEST_WANTED = 300


@dataclass(frozen=True)
class Told:
    """One of the two answers."""

    asked: str
    word: str
    said: str
    tone: str
    but: str = ""


@dataclass(frozen=True)
class Asked:
    """A question with what is answered by each side: its name, its looks, the answer, and whether that is as the example says."""

    prompt: str
    sides: tuple[tuple[str, str, str, bool], ...]
    wanted: str = ""
    own: bool = False  # a person's


@dataclass(frozen=True)
class Way:
    """A button: what it says, and what it does (`pick` something, `go` to a tab)."""

    words: str
    way: str
    value: str
    main: bool = False


def answers_html(found: Found, verdict: Verdict | None) -> str:
    """The two answers in large type; of a run that was tested before there were two, what its test said."""
    return draw("result", "answers", told(verdict) if verdict else _old(found), list(caveats(found)))


def told(verdict: Verdict) -> tuple[Told, Told]:
    """Both answers."""
    learned = Told("Did it learn?", did_it_learn(verdict), verdict.learned_words, LEARNED[verdict.learned])
    usable, tone = can_you_use_it(verdict), USABLE[verdict.usable]
    return learned, Told("Can you use it?", usable, verdict.usable_words, tone, verdict.but.removeprefix("But: "))


def _old(found: Found) -> tuple[Told, Told]:
    said, _, but = found.words.partition(" But: ")
    first = Told("What its test said", found.verdict.capitalize() or "Measured", said, OLD_TONES.get(found.verdict, "info"), but)
    return first, Told("Can you use it?", "Not asked yet", NOT_ASKED, "info")


# ---- three questions ---------------------------------------------------------------------------------------------------------


def asked_of(view: RunView, found: Found | None) -> list[Asked]:
    """Every question with both answers: a person's own, then those that were asked while it learned, then the others of its test."""
    while_learning = [q for q in view.questions if q.answers and q.answers[0].share == 0 and q.answers[-1].share == 1]
    listed = [replace(before_and_now(s.prompt, "", s.before, s.after), own=True) for s in view.own]
    listed += [before_and_now(q.prompt, q.reference, q.answers[0].text, q.answers[-1].text) for q in while_learning]
    rows = found.rows.get("answers", ()) if found else ()
    listed += [before_and_now(row["question"], row["reference"], row["before"], row["after"]) for row in rows]
    if not rows:
        listed += [before_and_now(s.prompt, s.reference, s.before, s.after) for s in (found.samples if found else view.samples)]
    known: dict[str, Asked] = {}
    for one in listed:
        known.setdefault(one.prompt, one)
    return list(known.values())


def before_and_now(prompt: str, reference: str, before: str, after: str) -> Asked:
    """One question with the answer before training and the one now."""
    sides = (("before", "", before.strip(), as_wanted(before, reference)), ("now", "after", after.strip(), as_wanted(after, reference)))
    return Asked(prompt, sides, "" if any(right for *_, right in sides) else wanted(reference))


def wanted(reference: str) -> str:
    """What the example says, as far as there is room."""
    return reference if len(reference) <= LONGEST_WANTED else f"{reference[:LONGEST_WANTED].rsplit(' ', 1)[0]} …"


def as_wanted(said: str, reference: str) -> bool:
    """Whether a short answer is the example's own: of a long one that would say little."""
    plain = " ".join(reference.casefold().split()).rstrip(".")
    return 0 < len(plain) <= LONGEST_SHOWN and " ".join(said.casefold().split()).rstrip(".") == plain


def questions_html(asked: Sequence[Asked], first: int, typed: Typed | None = None) -> str:
    """Three of them, from the `first` on and round again; nothing where there are none. `typed`: where a person may ask their own, what
    they typed that could not be asked.
    """
    if not asked:
        return ""
    shown = [asked[(first + i) % len(asked)] for i in range(min(SHOWN, len(asked)))]
    links = [("pick", f"others:{(first + SHOWN) % len(asked)}", "Choose others")] if len(asked) > SHOWN else []
    links += [("edit", "own", "Write your own")] if typed else []
    return draw("result", "questions", questions_title(shown), shown, links, typed)


def questions_title(shown: Sequence[Asked]) -> str:
    """What the questions are: that it never saw them is known of those of the file alone."""
    if any(one.own for one in shown):
        return "Your questions" if all(one.own for one in shown) else "Questions, your own first"
    return {1: "A question it never saw", 2: "Two questions it never saw"}.get(len(shown), "Three questions it never saw")


def worst_html(verdict: Verdict | None, asked: Sequence[Asked]) -> str:
    """The answer that shows why it cannot be used yet, where it is not among the questions above anyway."""
    worst = verdict.worst if verdict and verdict.usable in ("no", "partly") else None
    if worst is None or worst.prompt in {one.prompt for one in asked[:SHOWN]}:
        return ""
    return draw(
        "result",
        "questions",
        "The answer that shows it",
        [before_and_now(worst.prompt, worst.reference, worst.before, worst.after)],
        (),
        None,
    )


# ---- what next ---------------------------------------------------------------------------------------------------------------


def next_html(
    verdict: Verdict | None,
    step: NextStep | None,
    *,
    ready: bool,
    looked: bool = True,
    more_words: str = MORE_ROWS,
    trial: Trial | None = None,
) -> str:
    """Use it, and make it better: one step with its minutes and why, or what would be tried first. What helps comes first where it cannot
    be used yet.
    """
    poor = verdict is not None and verdict.usable == "no"
    use = Way("Use it →", "go", "share", main=not poor)
    more = Way("Add examples", "go", "dataset", main=poor and trial is None)
    if step is not None and not step.helps:
        return draw("result", "next", "What was tried", NOTHING_HELPED, more_words, (more, use), step.tried)
    if step is None and trial is None:
        if not looked or verdict is None or not (poor or verdict.learned != "yes"):
            return draw("result", "row", (use,)) if ready else ""
        return draw("result", "next", "What would help", more_words, "", (more, use))
    title = "What would help" if poor or step is None or step.model else "Make it better"
    first = [_trying(trial, main=poor and (step is None or trial.allowed))] if trial else []
    if step is None:
        buttons = (*first, more, use) if poor else (use, *first, more)
        return draw("result", "next", title, more_words, "", buttons, "", trial.words if trial else "", _quiet(trial, None))
    better = _better(step, poor=poor, main=poor and not (trial and trial.allowed))
    ways = first if trial and trial.allowed else [better, *first]
    why = " ".join(filter(None, (sentence(step.title), step.why)))
    buttons = (*ways, use) if poor else (use, *ways)
    return draw("result", "next", title, step.words, why, buttons, step.tried, trial.words if trial else "", _quiet(trial, better))


def _better(step: NextStep, *, poor: bool, main: bool) -> Way:
    """The button that begins a step."""
    cost = f", {about(step.seconds)}" if step.seconds else ""
    does = (
        "Get it and try again" if step.download_bytes else f"Do it{cost}" if poor or step.model or step.tried else f"Make it better{cost}"
    )
    return Way(does, "pick", "improve", main=main)


def _trying(trial: Trial, *, main: bool) -> Way:
    """The button that tries first: with it a person says yes once."""
    return Way(f"{'Make it better' if trial.allowed else 'Try first what helps'}, {trial.cost}", "pick", "try", main=main)


def _quiet(trial: Trial | None, better: Way | None) -> tuple[Way, ...]:
    """Where trying first is what a person said: to have it otherwise this once, or from now on."""
    if trial is None or not trial.allowed:
        return ()
    once = (replace(better, words="Do it without"),) if better else ()
    return (*once, Way("Do not try first", "pick", "untry"))


def five_html(asked: Sequence[ToJudge], verdict: Verdict | None, heard: str) -> str:
    """Five answers to judge, folded; after they were judged, what was said."""
    if not asked:
        return ""
    title = "Judge five answers yourself" if len(asked) > 1 else "Judge an answer yourself"
    body = draw("result", "judged_five", heard) if heard else draw("result", "five", asked)
    opened = " It is you who decides here." if verdict and verdict.usable == "you_decide" else ""
    return draw("result", "fold", title, f"1 minute.{opened}", body, "five")


def failed_html(what: str, todo: str) -> str:
    """Why something that was asked for here could not be done."""
    return notice(what, todo, "error")
