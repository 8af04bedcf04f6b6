"""“test three settings first”: three short runs that differ in one setting, and which of them the whole run is begun with.

A tenth of the updates ranks settings much as the whole run does (LoRA-BO, arXiv 2602.11171, a tenth of the data). All three see the same
examples in the same order and are judged on the same held-out ones, so each is compared with the usual one example by example. Of pictures
they are judged on those that are set aside to choose by, so that the held-out ones are still judged once.

Invariant: another setting than the usual one is picked only where it is better beyond chance, corrected for there being two others; where
nothing is, the usual one stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from loralab.core.errors import UserError
from loralab.core.jobs import AfterTrials, Job, TrainJob, Trial
from loralab.core.records import Plan, Record
from loralab.lab import Lab, compare

SHARE_OF_UPDATES, MIN_UPDATES, MAX_UPDATES = 0.1, 20, 60  # of the updates of the whole run; updates of a trial
RATE_RATIO = 3.0  # times: how far the others are from the usual value (the public sweep: 3 times off costs about 1 % of the loss)
MAX_CHANCE = 0.05  # chance of picking another although all are alike
ORDER_NOISE = 0.03  # of what a trial gained: how far the order of its examples moves its end (deviation; benchmarks/labfail/make/alike.py)
Z = 2.24  # standard deviations: two others beside the usual one, MAX_CHANCE together
MIN_RATE, MAX_RATE = 1e-6, 1e-2  # learning rates that are tried
MEASURES = ("loss",)
FINEST = ("bits_per_byte", "of_label", "alike", "found", "right")  # of a comparison: what tells small differences, the finest first


class Picked(Record):
    """What a test came to."""

    setting: str
    value: float
    usual: float
    runs: tuple[str, ...]
    words: str


def values(usual: float, least: float, most: float) -> tuple[float, ...]:
    """The usual value, one a third of it and one three times it, as far as the bounds allow; the usual one first."""
    others = [float(f"{value:.2g}") for value in (usual / RATE_RATIO, usual * RATE_RATIO)]
    return usual, *[value for value in others if least <= value <= most and value != usual]


def begin(lab: Lab, plan: Plan, total_steps: int, tried: Sequence[float], *, follow: bool = True) -> tuple[str, ...]:
    """Start one short run for each learning rate, the usual one first; they queue behind each other. Returns their ids."""
    group, count = secrets.token_hex(4), len(tried)
    steps = min(total_steps, max(MIN_UPDATES, min(MAX_UPDATES, round(SHARE_OF_UPDATES * total_steps))))
    names, model = list[str](), str(lab.catalog.folder(plan.base_model))
    for number, value in enumerate(tried, 1):
        trial = Trial(group=group, setting="learning_rate", value=value, usual=number == 1, plan=plan.model_dump(), follow=follow)
        title = f"Test {number} of {count}: learning rate {value:g}"
        short = plan.model_dump() | {
            "learning_rate": value,
            "max_steps": steps,
            "eval_every": max(1, steps // 4),
            "patience": 0,
            "title": title,
        }
        names.append(lab.begin(TrainJob(plan=short, model=model, origin=trial, measures=MEASURES)))
    return tuple(names)


def pilot_of(lab: Lab, run: str) -> Trial | None:
    """Which test a run belongs to; None for any other run."""
    try:
        job = lab.job(run)
    except UserError:
        return None
    return job.origin if isinstance(job, TrainJob) and isinstance(job.origin, Trial) else None


def pick(lab: Lab, names: Sequence[str]) -> Picked:
    """What the tests came to. Raises UserError while one still runs, or where the usual one did not finish and no other did."""
    trials = {name: trial for name in names if (trial := pilot_of(lab, name))}
    views = {name: lab.view(name) for name in trials}
    if any(view.active for view in views.values()):
        raise UserError("The tests are still running.", "Wait until the last one has ended.", code="still_running")
    sound = [name for name, view in views.items() if view.state == "finished" and not view.incidents]
    usual = next((name for name, trial in trials.items() if trial.usual), "")
    if not sound or not usual:
        raise UserError("None of the tests ended well.", "Open the first of them: it says why.", code="no_trial")
    chosen, words = decide({name: lab.judgement(name) for name in sound}, usual)
    said = words.format(usual=f"{trials[usual].value:g}", chosen=f"{trials[chosen].value:g}")
    return Picked(setting=trials[usual].setting, value=trials[chosen].value, usual=trials[usual].value, runs=tuple(names), words=said)


def follow(lab: Lab, names: Sequence[str]) -> str:
    """Begin the whole run with what its tests came to; its id. Raises UserError where none of them ended well."""
    picked, trial = pick(lab, names), pilot_of(lab, names[0])
    if trial is None:
        raise UserError("These runs are not tests.", code="no_trial")
    whole = trial.plan | {trial.setting: picked.value}
    return lab.begin(TrainJob(plan=whole, model=lab.job(names[0]).model, origin=AfterTrials(group=trial.group, words=picked.words)))


def chosen_because(job: Job) -> str:
    """Why a run has the setting its tests came to; empty where there were none."""
    return job.origin.words if isinstance(job, TrainJob) and isinstance(job.origin, AfterTrials) else ""


def loss_of(judgement: dict[str, Any], side: str = "after") -> float:
    """Held-out loss of a judged run, nats a token; of its base with `side` “before”. Of pictures: what is lacking to all being right."""
    if pictures := _pictures(judgement):
        return 1 - sum(
            float(row.get("of_label", row["after_right"]) if side == "after" else row["before_right"]) for row in pictures
        ) / len(pictures)
    rows = judgement["rows"]["loss"]
    return sum(row[f"{side}_loss"] * row["tokens"] for row in rows) / sum(row["tokens"] for row in rows)


def _pictures(judgement: dict[str, Any]) -> list[dict[str, Any]]:
    return next((list(rows) for rows in judgement["rows"].values() if rows and "media" in rows[0]), [])


def luck(judgement: dict[str, Any]) -> float:
    """Nats a token (of pictures: a share) by which two trials that are alike may differ, because their examples came in another order.

    The examples they are judged on tell nothing about it: two runs of one setting differ on all of them alike.
    """
    gained = loss_of(judgement, "before") - loss_of(judgement)
    return Z * 2**0.5 * ORDER_NOISE * max(0.0, gained)


def decide(judgements: dict[str, dict[str, Any]], usual: str) -> tuple[str, str]:
    """The run whose setting is taken, and why. Where the usual one failed, the best of those that did not."""
    best = min(judgements, key=lambda name: loss_of(judgements[name]))
    if usual not in judgements:
        return best, "The learning rate {usual} failed in the test; {chosen} did best of those that did not."
    if best == usual:
        return usual, "The learning rate {usual} did best in the test."
    others = len(judgements) - 1
    scores = {score.name: score for score in compare(judgements[usual], judgements[best]).scores}
    found = next(scores[name] for name in FINEST if name in scores)
    ahead = loss_of(judgements[usual]) - loss_of(judgements[best])
    if found.verdict == "better" and others * found.p <= MAX_CHANCE and ahead > luck(judgements[usual]):
        return best, "In the test the learning rate {chosen} did better than {usual}, by more than chance."
    return usual, "Any difference in the test may be chance, so the learning rate stays at {usual}."


def waiting(lab: Lab, recent: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Tests among the runs whose last one has ended and whose whole run has not begun, each as its runs, the usual one first."""
    groups: dict[str, list[str]] = {}
    begun: set[str] = set()
    for row in sorted(recent, key=lambda row: (row["started"], row["id"])):
        name = str(row["id"])
        if row["kind"] != "train":
            continue
        if trial := pilot_of(lab, name):
            if trial.follow:
                groups.setdefault(trial.group, []).append(name)
        elif isinstance(job := lab.job(name), TrainJob) and isinstance(job.origin, AfterTrials):
            begun.add(job.origin.group)
    ended = {str(row["id"]) for row in recent if row["state"] not in ("waiting", "running")}
    return [tuple(names) for group, names in groups.items() if group not in begun and ended.issuperset(names)]
