"""Owns the choice of every setting: a complete plan from the examples, the model and the machine, with a reason for each choice.

Invariants: what a person has fixed is kept and everything that depends on it follows; every setting of the plan has a reason; a plan
that does not fit the machine is never proposed in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.core.facts import Facts
from loralab.core.paths import model_name
from loralab.core.records import Alternative, DatasetProfile, Plan, Proposal
from loralab.core.words import about, count
from loralab.datasets.dataset import usual_share
from loralab.datasets.run_facts import of_model
from loralab.machine.hardware import Machine, fingerprint
from loralab.models.catalog import hub_entry
from loralab.models.model_check import ModelCheck, absent
from loralab.planning import estimate, fit
from loralab.planning.calibration import Experience
from loralab.planning.duration import update_seconds
from loralab.planning.limits import avoid_known_failures, because, never_twice, points, with_room_to_spare
from loralab.planning.memory import load
from loralab.planning.plan_checks import check_text, does_not_fit, machine_problems, mode_reason
from loralab.planning.priors import SETTINGS, Priors, Sweep, learn, likeness
from loralab.planning.usual import ENOUGH_UPDATES, MOST_ROUNDS, TINY, kind_of, rounds_words, usual_rounds
from loralab.tasks import parse_plan
from loralab.tasks.text import TextPlan

__all__ = ["check_text", "propose"]

TINY_RATE = 2e-3  # learning rate of a tiny model at alpha / rank = 2
USUAL_RATE = 2e-4  # learning rate from 100 million parameters on, at alpha / rank = 2
MID_RATE = 5e-4  # in between
SMALL_BATCH = 4
RANKS, LITTLE_SLOWER = (128, 64, 32, 16, 8, 4), 1.1  # that are tried where memory and time decide; times the seconds of the usual rank
QUICK_SECONDS = 60.0  # of a quick look, its test included
FEWEST_UPDATES, LONGEST_LOOK = 20, 300.0  # of a quick look: fewer hardly change a model; seconds after which it is none
SHORTEST = 256  # tokens: rows are not cut below this to make them fit
LARGEST_AT_ONCE = 64
WHOLE = ("rank", "effective_batch")  # settings that are whole numbers
WAYS = 2  # that are offered where a plan does not fit
PROVEN = "Of the plans that were tried on this sample, this one did best."


@dataclass
class _Draft:
    """A plan in the making: values so far and why."""

    profile: DatasetProfile
    model: ModelCheck
    machine: Machine
    past: Experience
    priors: Priors
    facts: Facts
    fixed: dict[str, Any]
    moved: dict[str, Any] = field(default_factory=dict[str, Any])  # out of the way of a remembered failure
    why_moved: str = ""
    widest: int = 0  # rank that this machine and the time allow, where that was asked for
    learned: set[str] = field(default_factory=set[str])
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    reasons: dict[str, str] = field(default_factory=dict[str, str])

    def choose(self, name: str, value: Any, reason: str) -> None:
        """Set a field unless the person did; what failed before moves it, then what did best."""
        if name in self.fixed:
            value, reason = self.fixed[name], "You chose this."
        elif name in self.moved:
            value, reason = self.moved[name], self.why_moved
        elif name in self.priors.proven:
            value, reason = self.priors.proven[name], PROVEN
        elif name in SETTINGS:
            value, reason = self._from_history(name, value, reason)
        self.values[name], self.reasons[name] = value, reason

    def _from_history(self, name: str, value: Any, reason: str) -> tuple[Any, str]:
        """The value that runs like this one did best with, where they are to be believed."""
        history = self.priors.sweeps.get(name, ())
        if not history:
            return value, reason
        batch = self.fixed.get("effective_batch", _usual_batch(self.rows))
        steps = round(self.fixed.get("epochs", self.usual_rounds(batch)) * self.rows / batch)
        like = likeness(self.model.parameters, max(1, steps), batch)
        here = Sweep(name, 0.0, (), model_name(self.model.name), self.facts.data, self.facts.architecture, like)
        unit = self.scale if name == "learning_rate" else 1.0  # runs are compared by rate times scale

        def usual(sweep: Sweep) -> float:
            return usual_rate(round(math.exp(sweep.like[0]))) * 2 if name == "learning_rate" else value * unit

        found = learn(here, value * unit, history, usual)
        if found is None:
            return value, reason
        self.learned.add(name)
        best = found.value / unit
        return round(best) if name in WHOLE else float(f"{best:.2g}"), found.words

    @property
    def scale(self) -> float:
        """How loudly the adapter speaks; where one matrix learns faster than the other, the rate of both lies between."""
        loud = self.values["alpha"] / self.values["rank"] ** (0.5 if self.fixed.get("use_rslora") else 1.0)
        return loud * self.fixed.get("lora_plus", 1.0) ** 0.5

    @property
    def plan(self) -> TextPlan:
        """The draft as a typed plan."""
        return TextPlan.model_validate(self.values)

    @property
    def tiny(self) -> bool:
        return 0 < self.model.parameters < TINY

    def usual_rounds(self, batch: int) -> int:
        """Rounds without any history, with so many examples behind a correction."""
        return usual_rounds(kind_of(self.profile), self.model.parameters, self.rows, batch)

    @property
    def rows(self) -> int:
        return self.profile.n_train or max(1, round(self.profile.n_kept * (1 - self.values.get("heldout_share", 0.1))))


def propose(
    profile: DatasetProfile,
    model: ModelCheck,
    machine: Machine,
    changes: dict[str, Any],
    priors: Priors | None = None,
    past: Experience | None = None,
    *,
    look_further: bool = True,
) -> Proposal:
    """A complete text plan. `changes` are settings the person has fixed; a UserError names one that is not possible.

    `priors` is what past runs and sweeps say about settings, `past` what they say about estimates. Where a plan does not fit,
    `look_further` finds the two nearest that do.
    """
    facts, fixed = _facts(profile, model, machine), _fixed(changes)
    draft = _Draft(profile, model, machine, past or Experience(), priors or Priors(), facts, fixed)
    _fill(draft)
    if draft.plan.rank_schedule == "hardware":
        draft.widest = _rank_here(draft)
        _fill(draft)
    away = avoid_known_failures(draft.plan, with_room_to_spare(draft.facts), draft.priors.limits, frozenset(draft.fixed))
    if away.settings:
        draft.moved, draft.why_moved = away.settings, because(away)
        _fill(draft)
    plan = draft.plan
    if fits := draft.priors.limits.known_to_fit(points(plan, draft.facts)[0]):
        draft.reasons["token_budget"] += f" It is known to fit: {fits.run} ran with as much."
    needs = estimate.footprint(plan, model, machine, profile, past=draft.past)
    problems = [*model.problems, *check_text(plan, profile), *machine_problems(plan, machine, needs)]
    alternatives: tuple[Alternative, ...] = ()
    if not estimate.fits(needs, machine):
        nearest = _ways(draft, plan) if look_further else ()
        alternatives = tuple(Alternative(settings=change, words=fit.words(plan, change, profile)) for change in nearest)
        problems.append(does_not_fit(plan, model, needs, [way.words for way in alternatives]))
    problems += [] if away.possible else [never_twice(away.because[-1], fixed=bool(draft.fixed))]
    return Proposal(
        plan=plan.model_dump(),
        reasons=draft.reasons,
        footprint=needs,
        problems=tuple(problems),
        alternatives=alternatives,
        quick_look=_quick_look(draft, plan),
    )


def updates(plan: Plan, profile: DatasetProfile) -> int:
    """Updates that a plan makes on these examples, as far as they are planned here; a plan of another kind says only its most."""
    return estimate.total_steps(plan, profile) if isinstance(plan, TextPlan) else plan.max_steps


def _fill(draft: _Draft) -> None:
    """Choose every setting, each after those it depends on."""
    profile, model = draft.profile, draft.model
    for chosen in (draft.values, draft.reasons, draft.learned):
        chosen.clear()
    draft.choose("dataset", profile.path, "The examples you gave.")
    draft.choose("base_model", model.name, f"The model you chose. {model.words}")
    draft.choose("roles", profile.roles, "As found in the file." if profile.certain else "A guess: nobody has confirmed it.")
    draft.choose("guessed", not profile.certain, "The file's columns are known." if profile.certain else "The names do not say it.")
    draft.choose("parts", tuple(part.name for part in profile.parts if part.taken and part.name), "The largest, or what you chose.")
    steps: tuple[Callable[[_Draft], None], ...] = (_data, _adapter, _precision, _length, _batch, _memory, _rate, _rounds, _pace)
    for step in steps:
        step(draft)
    for name, setting in TextPlan.model_fields.items():  # whatever no rule spoke about keeps its default and its own explanation
        if name not in draft.reasons:
            draft.choose(name, setting.get_default(), f"The usual choice. {setting.description or ''}".strip())


def _ways(draft: _Draft, plan: TextPlan) -> tuple[dict[str, Any], ...]:
    """The two nearest plans that fit; each was proposed again and fitted then."""
    found: list[dict[str, Any]] = []
    for change in fit.nearest(plan, draft.model, draft.machine, draft.profile, draft.fixed, draft.past):
        name = change.get("base_model")
        model = absent(name, Path(), hub_entry(name)) if name else draft.model
        settings = {n: value for n, value in (draft.fixed | change).items() if n != "base_model"}
        again = propose(draft.profile, model, draft.machine, settings, draft.priors, draft.past, look_further=False)
        if estimate.fits(again.footprint, draft.machine):
            found.append(change)
        if len(found) == WAYS:
            break
    return tuple(found)


def _quick_look(draft: _Draft, plan: TextPlan) -> Alternative | None:
    """So many updates that learning and testing take about a minute by estimate; None where that would not save
    half of the time, or would be long even so.
    """

    def learning(steps: int) -> float:
        shorter = plan.model_copy(update={"max_steps": steps})
        return estimate.seconds(shorter, draft.model, draft.machine, draft.profile, draft.past) or 0.0

    total, testing = (ask(plan, draft.model, draft.machine, draft.profile, draft.past) for ask in (estimate.seconds, estimate.beside))
    if total is None or testing is None:
        return None
    start, all_steps = learning(1), estimate.total_steps(plan, draft.profile)
    spare, each = QUICK_SECONDS - testing - start, (total - start) / max(1, all_steps - 1)
    steps = max(FEWEST_UPDATES, int(spare / each)) if each else all_steps
    quick = testing + learning(steps)
    if steps >= all_steps or 2 * quick > testing + total or quick > LONGEST_LOOK:
        return None
    takes = "about a minute" if 45 <= quick < 80 else about(quick)
    return Alternative(settings={"max_steps": steps, "eval_every": max(1, steps // 5)}, words=f"A quick look ({takes})")


def _facts(profile: DatasetProfile, model: ModelCheck, machine: Machine) -> Facts:
    """The facts of a run as far as a profile tells them: enough for what memory and rate depend on."""
    known = {"data": profile.id, "n_train": profile.n_train, "n_heldout": profile.n_heldout, "tokens": profile.tokens}
    known |= {"place": fingerprint(machine), "room": machine.training_memory_free, "parameters": model.parameters}
    return Facts.model_validate(of_model(model.folder) | known)


def _fixed(changes: dict[str, Any]) -> dict[str, Any]:
    """The person's settings, each within its bounds and of its type."""
    plan = parse_plan({**changes, "task": "text"})
    return {name: getattr(plan, name) for name in changes if name != "task"}


def _data(draft: _Draft) -> None:
    if draft.profile.shape == "text":
        draft.choose("learn_from", "everything", "The file is plain text, so every word is learned from.")
    else:
        draft.choose("learn_from", "replies", "The model should learn to write the answers, not to ask the questions.")
    share = usual_share(draft.profile.n_kept)
    few = " Of so few, a tenth would not show a small gain." if share > TextPlan.model_fields["heldout_share"].default else ""
    one_in = draft.profile.aside or f"One example in {round(1 / share)} is kept aside, to show honestly whether it got better.{few}"
    draft.choose("heldout_share", share, one_in)


def _adapter(draft: _Draft) -> None:
    usual = "Enough room for style and facts of a few thousand examples; more costs memory and rarely helps."
    draft.choose("rank", draft.widest or 16, "The largest that fits in memory and time here." if draft.widest else usual)
    draft.choose("alpha", 2.0 * draft.values["rank"], "Twice the rank: the usual strength, which the learning rate is tuned for.")
    draft.choose("targets", "all-linear", "Adapting all matrices learns more than attention alone at the same size.")
    draft.choose("dropout", 0.0, "What it learns by heart shows on the examples kept aside, and the best version is what is kept.")


def _rank_here(draft: _Draft) -> int:
    """The largest rank that fits with headroom, within the time limit of the plan; without one, hardly slower than the usual rank."""
    args = draft.model, draft.machine, draft.profile
    usual, learning = update_seconds(draft.plan, *args), estimate.seconds(draft.plan, *args, draft.past)
    limit = 60 * draft.plan.max_minutes
    for rank in RANKS:
        plan = draft.plan.model_copy(update={"rank": rank, "alpha": 2.0 * rank})
        slower = (update_seconds(plan, *args) or 0.0) / usual if usual else 1.0
        in_time = slower * learning <= limit if limit and learning else slower <= LITTLE_SLOWER
        if in_time and fit.choose(plan, *args, draft.moved | draft.fixed, draft.past):
            return rank
    return RANKS[-1]


def _precision(draft: _Draft) -> None:
    machine = draft.machine
    stored = " Its file holds them in half precision; they are made exact when it is loaded." if draft.model.dtype_bytes == 2 else ""
    if machine.accelerator == "cpu" and draft.tiny:
        draft.choose("precision", "fp32", f"The model is so small that exact numbers cost nothing.{stored}")
    elif machine.fast_bf16:
        place = "graphics card" if machine.accelerator == "cuda" else "processor"
        draft.choose("precision", "bf16", f"Your {place} computes half-precision numbers fast, and they take half the memory.")
    elif machine.accelerator == "cuda":
        draft.choose("precision", "fp16", "Your graphics card is fast in this format, and it takes half the memory.")
    else:
        draft.choose("precision", "fp32", f"Your processor has no fast half-precision, so exact numbers are quicker.{stored}")
    quick = "bf16" if machine.fast_bf16 else "fp16" if machine.accelerator == "cuda" else "fp32"
    draft.choose("compute", quick, "Only for a model in 4 or 8 bits: what is quickest on this computer.")


def _length(draft: _Draft) -> None:
    tokens, context = draft.profile.tokens, draft.model.context
    wanted = tokens.get("p99") or tokens.get("max") or 512
    length = max(16, min(-(-wanted // 64) * 64, context))
    draft.choose(
        "max_length", length, _cut_words(draft.profile, length, "" if length < context else f" The model reads at most {context:,} tokens.")
    )


def _cut_words(profile: DatasetProfile, length: int, more: str = "") -> str:
    """How many examples a length cuts, as far as the quantiles tell."""
    tokens, n = profile.tokens, profile.n_kept
    if length >= tokens.get("max", 0):
        return f"Long enough for every example.{more}"
    for name, share in (("p99", 0.01), ("p95", 0.05), ("p90", 0.1), ("p50", 0.5)):
        if length >= tokens.get(name, 1 << 40):
            return f"Long enough for all but about {max(1, round(share * n)):,} of {n:,} examples, which are cut at the end.{more}"
    return f"More than half of the {n:,} examples are longer and are cut at the end.{more}"


def _usual_batch(rows: int) -> int:
    if rows < 100:  # so small that the most rounds make enough corrections
        return max(1, min(SMALL_BATCH, rows * MOST_ROUNDS // ENOUGH_UPDATES))
    return 16 if rows > 5000 else 8


def _batch(draft: _Draft) -> None:
    rows = draft.rows
    why = {
        8: "A correction after every eight examples: steady, and still many corrections.",
        16: f"With {rows:,} examples, averaging over more of them makes each correction surer.",
    }
    batch = _usual_batch(rows)
    draft.choose("effective_batch", batch, why.get(batch, f"Small steps make the most of {count(rows, 'example')}."))
    draft.choose(
        "micro_batch",
        min(LARGEST_AT_ONCE, draft.values["effective_batch"]),
        "At most all examples of an update; how many go at once is decided by “Tokens at once”.",
    )


def _memory(draft: _Draft) -> None:
    """Make it fit with headroom: the fastest way to use memory, then, when there is none, shorter examples."""
    chosen = _mode(draft)
    while chosen is None and "max_length" not in draft.fixed.keys() | draft.moved.keys() and draft.values["max_length"] > SHORTEST:
        length = max(SHORTEST, draft.values["max_length"] // 2 // 64 * 64)
        draft.choose("max_length", length, _cut_words(draft.profile, length, " Longer ones do not fit in the free memory."))
        chosen = _mode(draft)
    row = load(draft.plan, draft.profile).row
    for name, value in (chosen or {"token_budget": row, "recompute": "full"}).items():
        if name == "precision" and value == draft.values[name]:
            continue  # it has its own reason
        draft.choose(name, value, mode_reason(draft.plan, name, value, draft.profile, fits=chosen is not None))


def _mode(draft: _Draft) -> dict[str, Any] | None:
    return fit.choose(draft.plan, draft.model, draft.machine, draft.profile, draft.moved | draft.fixed, draft.past)


def usual_rate(parameters: int) -> float:
    """The learning rate at alpha / rank = 2 that suits a model of so many weights; 0 where it is not known how many."""
    return TINY_RATE if 0 < parameters < TINY else MID_RATE if 0 < parameters < 2 * TINY else USUAL_RATE


def _rate(draft: _Draft) -> None:
    rate = usual_rate(draft.model.parameters)
    why = {
        TINY_RATE: "A very small model needs bold corrections to change at all.",
        MID_RATE: "A small model takes somewhat bolder corrections than a large one.",
        USUAL_RATE: "The rate that works for most models with adapters.",
    }[rate]
    # the prior holds for alpha / rank = 2: an adapter that speaks louder is corrected more gently
    loud = draft.scale / 2
    if loud > 1.01:
        rate, why = rate / loud, f"{why} Lowered because the adapter is stronger than usual."
    draft.choose("learning_rate", float(f"{rate:.2g}"), why)


def _rounds(draft: _Draft) -> None:
    kind, size, rows, batch = kind_of(draft.profile), draft.model.parameters, draft.rows, draft.values["effective_batch"]
    wanted = draft.usual_rounds(batch)
    draft.choose("epochs", float(wanted), rounds_words(kind, size, rows, wanted, batch))


def _pace(draft: _Draft) -> None:
    total = estimate.total_steps(draft.plan, draft.profile)
    warmup = min(0.5, max(0.05, 5 / total))
    draft.choose("warmup", round(warmup, 3), "The first corrections are small, so that the start does no harm.")
    draft.choose("eval_every", max(1, total // 10), f"About ten looks at the held-out examples over {total:,} corrections.")
    draft.choose("patience", 3, "Three looks in a row without improvement, and it stops: more would only be learning by heart.")
    if draft.plan.averages:
        draft.choose("schedule", "constant", "This optimiser settles by averaging the weights, so nothing has to slow down.")
    else:
        draft.choose("schedule", "cosine", "Corrections get smaller towards the end, so that the result settles.")
    draft.choose("max_grad_norm", 1.0, "One odd example cannot throw the model off.")
    draft.choose("weight_decay", 0.0, "Early stopping already guards against learning by heart.")
