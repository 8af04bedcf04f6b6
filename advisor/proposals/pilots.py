"""“Try before you tell”: the likeliest ways out of a disappointing run, each as a short training, and what was seen.

Where all of them fit into the minutes a person allows they are trained as long as they would be, else for a tenth of their updates, as the
tests of a learning rate are (trials.py); then what changes the length of a training is left out, because a short run says nothing of it.

Invariants: the run as it is comes first and is trained alike, on the same examples and the same seed, and all are judged on the same
held-out rows; a way out is said to help only where it is better than that beyond chance, corrected for how many were tried; and nothing of
a test is remembered but its runs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic import Field

from advisor.diagnosis.earlier import WORDS, same, size
from advisor.diagnosis.findings import Diagnosis
from advisor.proposals import trials
from advisor.proposals.next_step import NextStep, is_begun, planned, steps
from advisor.tasks import is_known, known_plan
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import TrainJob, Trial
from loralab.core.records import Plan, Record
from loralab.core.words import count
from loralab.lab import Lab, compare

MOST, ENOUGH = 3, 2  # ways out that are tried; where fewer are known, a smaller and a larger learning rate come to them
FEWEST_HELD = 8  # held-out examples, or nothing is told by them (evaluations/shared/paired.py)
LENGTH = frozenset({"epochs", "max_steps", "max_minutes", "patience"})  # settings of which a short run says nothing
MEASURED_BY = frozenset(
    {"heldout_share", "heldout_by", "seed", "learn_from", "max_length"}
)  # what is judged, so nothing is held against it
PLAIN = {"learning_rate": ("smaller steps", "bigger steps")}  # instead of the words of `earlier`, which tell the numbers, too
LOSS_NOISE = 0.015  # of the loss: how far another seed moves it (deviation; benchmarks/advice/alike.py)
AS_IT_IS = "as it is"
MayBe = Callable[[Plan, float], bool]  # whether no remembered failure rules a learning rate out
RATE_RULE = "tried_rate"  # instead of a rule's name: nothing spoke for it but the test
BUSY = "The tests need the machine for themselves, and something is at work."


class Arm(Record):
    """One of the runs that are compared; of the run as it is without settings."""

    short: str
    words: str = ""
    rule: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    plan: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0


class Offer(Record):
    """What would be tried for a run and what it costs. `arms`: what is trained, the run as it is first where it has to be again."""

    run: str
    arms: tuple[Arm, ...]
    updates: int = 0  # of each; 0: as many as it would make
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """What is tried, in a sentence."""
        names = [arm.short for arm in self.arms if arm.settings]
        return f"{count(len(names), 'change')} {'is' if len(names) == 1 else 'are'} tried: {', '.join(names)}."


class Tested(Record):
    """A test that is at work or has ended."""

    tried: tuple[dict[str, Any], ...] = ()  # the settings that were
    run: str
    runs: tuple[str, ...]
    active: bool = False
    number: int = 0  # of the run at work, from 1
    now: str = ""  # what it tries
    working: str = ""  # its id
    seconds_left: float = 0.0
    step: NextStep | None = None  # what helps; where nothing does, what came nearest to it
    words: str = ""  # what was seen


# ---- before ------------------------------------------------------------------------------------------------------------------


def offer(lab: Lab, diagnosis: Diagnosis, minutes: float, may_be: MayBe) -> Offer | None:
    """What would be tried for a run within these minutes; None where there is nothing to try or the first step needs no test.

    Raises UserError where its examples are gone.
    """
    run, view = diagnosis.run, lab.view(diagnosis.run)
    plan = lab.job(run).plan
    if not is_known(plan) or view.state != "finished" or not view.measured or view.measured.n_heldout < FEWEST_HELD:
        return None
    if trials.pilot_of(lab, run) or plan.get("max_minutes"):  # what a clock ends comes to something else each time
        return None
    found = list(_candidates(lab, diagnosis, may_be))
    return _whole(lab, run, found, minutes) or _short(lab, run, view, found, minutes) if found else None


def _candidates(lab: Lab, diagnosis: Diagnosis, may_be: MayBe) -> Iterator[Arm]:
    """The ways out that change settings alone; none where the likeliest is another, which is certain enough without a test."""
    plan, found = lab.job(diagnosis.run).plan, list[NextStep]()
    for step in islice(steps(lab, diagnosis), MOST):
        if not (step.data or step.model or MEASURED_BY & set(step.settings)):
            found.append(step)
        elif not found:
            return
    if found or _disappoints(lab.view(diagnosis.run)):
        usual = plan["learning_rate"]
        bigger = {step.settings["learning_rate"] > usual for step in found if "learning_rate" in step.settings}
        rates = [rate for rate in trials.values(usual, trials.MIN_RATE, trials.MAX_RATE)[1:] if (rate > usual) not in bigger]
        others = [_other_rate(lab, diagnosis.run, plan, rate) for rate in rates if may_be(known_plan(plan), rate)]
        found += [step for step in others if not is_begun(lab, step)][: max(0, ENOUGH - len(found))]
    for step in found:
        yield Arm(short=in_short(step, plan), words=step.words, rule=step.rule, settings=step.settings, seconds=step.seconds or 0.0)


def _disappoints(view: RunView) -> bool:
    verdict = view.conclusion
    return verdict is not None and (verdict.usable in ("no", "partly") or verdict.learned != "yes")


def _other_rate(lab: Lab, run: str, plan: dict[str, Any], rate: float) -> NextStep:
    how = "smaller" if rate < plan["learning_rate"] else "bigger"
    seconds = planned(lab, plan | {"learning_rate": rate}).footprint.seconds
    return NextStep(
        run=run, rule=RATE_RULE, words=f"Let it learn in {how} steps.", why="", settings={"learning_rate": rate}, seconds=seconds
    )


def in_short(step: NextStep, plan: dict[str, Any]) -> str:
    """A way out in two words."""
    told = WORDS | PLAIN
    for name, value in step.settings.items():
        if name in told and not same(name, plan.get(name), value):
            return told[name][size(name, value) > size(name, plan.get(name))]
    words = step.words.rstrip(".")
    return words[:1].lower() + words[1:]


def _whole(lab: Lab, run: str, found: Sequence[Arm], minutes: float) -> Offer | None:
    """All of them as long as they would be; the run itself is what they are held against, where it was judged."""
    plan = lab.job(run).plan
    arms = [arm.model_copy(update={"plan": plan | arm.settings}) for arm in found]
    if not _has_losses(lab, run):
        arms.insert(0, Arm(short=AS_IT_IS, plan=plan, seconds=_seconds(lab, plan)))
    seconds = sum(arm.seconds for arm in arms)
    return Offer(run=run, arms=tuple(arms), seconds=seconds) if 0 < seconds <= 60 * minutes else None


def _short(lab: Lab, run: str, view: RunView, found: Sequence[Arm], minutes: float) -> Offer | None:
    """Those that a short run can tell of, as many as there is time for."""
    plan, total = lab.job(run).plan, view.total_steps
    updates = min(total, max(trials.MIN_UPDATES, min(trials.MAX_UPDATES, round(trials.SHARE_OF_UPDATES * total))))
    bound = {"max_steps": updates, "max_minutes": 0.0, "eval_every": max(1, updates // 4), "patience": 0}
    arms: list[Arm] = []
    for arm in (Arm(short=AS_IT_IS), *(one for one in found if not _only_whole(one, plan))):
        short = plan | arm.settings | bound
        arms.append(arm.model_copy(update={"plan": short, "seconds": _seconds(lab, short)}))
        if sum(one.seconds for one in arms) > 60 * minutes:
            arms.pop()
            break
    if len(arms) < 2:  # the run as it is, and something to hold against it
        return None
    return Offer(run=run, arms=tuple(arms), updates=updates, seconds=sum(one.seconds for one in arms))


def _only_whole(arm: Arm, plan: dict[str, Any]) -> bool:
    """Whether a short run says nothing of it, or the wrong thing: a bigger rate does better at first."""
    return bool(LENGTH & set(arm.settings)) or (arm.rule == RATE_RULE and arm.settings["learning_rate"] > plan["learning_rate"])


def _seconds(lab: Lab, plan: dict[str, Any]) -> float:
    return planned(lab, plan).footprint.seconds or 0.0


def _has_losses(lab: Lab, run: str) -> bool:
    try:
        return bool(lab.judgement(run)["rows"].get("loss"))
    except UserError:
        return False


# ---- trying ------------------------------------------------------------------------------------------------------------------


def begin(lab: Lab, offered: Offer) -> tuple[str, ...]:
    """Start the runs of a test; they queue behind each other. Raises UserError where the machine is not free or a test is at work."""
    if lab.queue():
        raise UserError(BUSY, "Wait until that has ended.", code="busy")
    job = lab.job(offered.run)
    whole, group, names = job.plan, secrets.token_hex(4), list[str]()
    for number, arm in enumerate(offered.arms, 1):
        trial = Trial(
            group=group,
            usual=not arm.settings,
            plan=whole | arm.settings,
            follow=False,
            of=offered.run,
            rule=arm.rule,
            short=arm.short,
            words=arm.words,
            settings=arm.settings,
            seconds=arm.seconds,
        )
        plan = arm.plan | {"title": f"Trying {number} of {len(offered.arms)}: {arm.short}"[:80]}
        names.append(lab.begin(TrainJob(plan=plan, model=job.model, origin=trial, measures=trials.MEASURES)))
    return tuple(names)


def step_after(lab: Lab, came_to: Tested, diagnosis: Diagnosis) -> NextStep | None:
    """What is told after a test: what helped; where nothing did, what could not be tried, then what came nearest."""
    step = came_to.step
    if step is None or is_begun(lab, step):
        return None
    untried = None if step.helps else next((one for one in steps(lab, diagnosis) if one.settings not in came_to.tried), None)
    return untried.model_copy(update={"tried": step.tried}) if untried else step


def cancel(lab: Lab, run: str) -> None:
    """End a test that is at work; what was seen so far is not told."""
    for name in reversed([*_newest(lab, run)]):  # those that wait first, or the next would begin
        if lab.view(name).active:
            lab.stop(name)


def _newest(lab: Lab, run: str) -> dict[str, Trial]:
    """The runs of the newest test for a run, in order."""
    found: dict[str, dict[str, Trial]] = {}
    for name in lab.names():
        trial = trials.pilot_of(lab, name)
        if trial and trial.of == run:
            found.setdefault(trial.group, {})[name] = trial
    return found[next(reversed(found))] if found else {}


# ---- after -------------------------------------------------------------------------------------------------------------------


def tested(lab: Lab, run: str) -> Tested | None:
    """The newest test for a run: at work, or what it came to. None where there is none, it was cancelled, or nothing can be told by it."""
    arms = _newest(lab, run)
    views = {name: lab.view(name) for name in arms}
    working = [name for name, view in views.items() if view.active]
    if not arms or any(view.state == "stopped" for view in views.values()):
        return None
    if working:
        begun, foretold = views[working[0]].started, arms[working[0]].seconds
        left = sum(arms[name].seconds for name in working) - min(foretold, time.time() - begun if begun else 0.0)
        number = list(arms).index(working[0]) + 1
        now = arms[working[0]].short
        return Tested(run=run, runs=tuple(arms), active=True, number=number, now=now, working=working[0], seconds_left=left)
    return _came_to(lab, run, arms, views)


def _came_to(lab: Lab, run: str, arms: dict[str, Trial], views: dict[str, RunView]) -> Tested | None:
    usual = next((name for name, trial in arms.items() if trial.usual), run)
    named = arms if usual in arms else {usual: None, **arms}
    judged = {name: lab.judgement(name) for name in named if name == run or views[name].state == "finished"}
    losses = {name: trials.loss_of(judgement) for name, judgement in judged.items()}
    others = {name: trial for name, trial in arms.items() if not trial.usual and name in losses}
    if not others:
        return None
    best = chosen(judged, usual)
    nearest = arms[best or min(others, key=lambda name: losses[name])]
    said = _seen({trial.short if trial else AS_IT_IS: losses.get(name) for name, trial in named.items()}, _updates(arms, views))
    if not best:
        said += " Any difference may be chance."
    step = NextStep(
        run=run,
        rule=nearest.rule,
        words=nearest.words,
        why="",
        settings=nearest.settings,
        seconds=planned(lab, nearest.plan).footprint.seconds,
        tried=said,
        helps=bool(best),
    )
    return Tested(run=run, runs=tuple(arms), step=step, words=said, tried=tuple(one.settings for one in arms.values()))


def _updates(arms: dict[str, Trial], views: dict[str, RunView]) -> int:
    """Updates of each, where they were short; 0 where they were as long as they would be."""
    made = {view.total_steps for view in views.values()}
    short = any(trial.usual for trial in arms.values()) and len(made) == 1
    return made.pop() if short else 0


def _seen(losses: dict[str, float | None], updates: int) -> str:
    """“Tried for 40 updates each: fewer rounds 0.31, a smaller learning rate 0.24, as it is 0.29 (…).”"""
    ordered = sorted(losses.items(), key=lambda one: one[0] == AS_IT_IS)
    told = ", ".join(f"{name} {'failed' if loss is None else f'{loss:.3g}'}" for name, loss in ordered)
    length = f" for {count(updates, 'update')} each" if updates else ""
    return f"Tried{length}: {told} (how far off it still is on the examples kept aside; less is better)."


def chosen(judged: dict[str, dict[str, Any]], usual: str) -> str:
    """The run that is better than the usual one beyond chance, the best where several are; empty where none is.

    Where the usual one did not come to its end, the best of those that did and learned something.
    """
    losses = {name: trials.loss_of(judgement) for name, judgement in judged.items()}
    if usual not in judged:
        learned = [name for name in judged if losses[name] < trials.loss_of(judged[name], "before")]
        return min(learned, key=lambda name: losses[name], default="")
    better = [name for name in judged if name != usual and _better(judged, usual, name, losses)]
    return min(better, key=lambda name: losses[name], default="")


def _better(judged: dict[str, dict[str, Any]], usual: str, name: str, losses: dict[str, float]) -> bool:
    if losses[usual] - losses[name] <= luck(judged):
        return False
    scores = {score.name: score for score in compare(judged[usual], judged[name]).scores}
    found = next(scores[one] for one in trials.FINEST if one in scores)
    return found.verdict == "better" and (len(judged) - 1) * found.p <= trials.MAX_CHANCE


def luck(judged: dict[str, dict[str, Any]]) -> float:
    """By how much two of them may differ that are alike: of the furthest that any of them moved, also where that made it worse, and of
    the loss, where none moved far.
    """
    moved = max(abs(trials.loss_of(one, "before") - trials.loss_of(one)) for one in judged.values())
    left = max(trials.loss_of(one) for one in judged.values())
    return trials.Z * 2**0.5 * max(trials.ORDER_NOISE * moved, LOSS_NOISE * left)
