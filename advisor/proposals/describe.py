"""The way from a goal to a plan before there is any data: a complete plan for examples as they should be, and what those are.

Invariants: the plan is one the planner itself proposes, for a profile like that of examples of this kind; it fits this computer, or says
that nothing does; what is said about data is a matter of the kind, never a promise about a result.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from advisor.proposals.kinds import KINDS, Kind, KindName, Length
from loralab.core.records import DatasetProfile, Proposal, Record
from loralab.core.words import count, size
from loralab.lab import Lab, ModelCheck, knows

MAX_SECONDS = 3600.0  # seconds that training may take
WORD_TOKENS = 1.4  # about
READS: tuple[KindName, ...] = ("sort", "extract")  # kinds where a language is that of the texts it gets
LONGER: dict[Length, float] = {"short": 0.5, "": 1.0, "long": 3.0}  # answers, against those of the kind


class Goal(Record):
    """What a person wants. Empty is “as in the examples”."""

    kind: KindName
    language: str = Field(default="", max_length=40)
    length: Length = ""
    text: str = Field(default="", max_length=300)  # their own words, for the title

    @property
    def foreign(self) -> bool:
        """Whether it takes a model that knows more than English."""
        return self.language not in ("", "English")

    @property
    def known_as(self) -> str:
        """A title."""
        text = self.text.strip() or KINDS[self.kind].means
        return text[:77] + ("..." if len(text) > 77 else "")


class Described(Record):
    """A plan for a goal, and the examples it takes."""

    goal: Goal
    proposal: Proposal
    rows: int  # examples to collect
    columns: tuple[str, ...]
    sample: dict[str, str]
    needs: tuple[str, ...]  # sentences
    words: str


def describe(lab: Lab, goal: Goal, model: str = "") -> Described:
    """A complete plan for a goal; `model` where the person chose one."""
    kind = KINDS[goal.kind]
    profile = _imagined(goal, kind)
    name = model or _model(lab, goal, profile)
    fixed: dict[str, Any] = {"learn_from": kind.learn_from} if kind.learn_from == "everything" else {}
    return Described(
        goal=goal,
        proposal=lab.propose(profile, name, **fixed, title=goal.known_as),
        rows=kind.rows,
        columns=kind.columns,
        sample=_sample(goal, kind),
        needs=_needs(goal, kind),
        words=_words(goal, kind, lab.check_model(name)),
    )


def _imagined(goal: Goal, kind: Kind) -> DatasetProfile:
    """The profile of examples as they should be: nothing is measured yet, and the plan says so by having no file."""
    answer = kind.answer if goal.kind == "sort" else round(kind.answer * LONGER[goal.length])
    typical = round(WORD_TOKENS * (kind.question + answer)) + 12  # and what a template puts around them
    tokens = {"p50": typical, "p90": 2 * typical, "p95": round(2.5 * typical), "p99": 3 * typical, "max": 4 * typical}
    heldout = max(8, kind.rows // 10)
    total = kind.rows * typical
    return DatasetProfile(
        id="",
        name="",
        path="",
        shape=kind.shape,
        n_read=kind.rows,
        n_kept=kind.rows,
        n_train=kind.rows - heldout,
        n_heldout=heldout,
        tokens=tokens | {"total": total, "learned": round(total * answer / (kind.question + answer))},
    )


def _model(lab: Lab, goal: Goal, profile: DatasetProfile) -> str:
    """The largest model of the catalogue that speaks the language, needs nobody's permission, fits here and is done in time.

    Where none but the starter is done in time, the smallest that fits: the starter knows no language but English, and little of that.
    """
    chosen, slow = "starter", ""
    for entry in lab.models():
        check = lab.check_model(entry.name)
        if entry.gated or (check.present and not check.ok) or (goal.foreign and not knows(entry, goal.language)):
            continue
        if entry.template == "none" and goal.kind != "write":  # it never saw a conversation
            continue
        found = lab.propose(profile, entry.name)
        if not any(problem.code == "does_not_fit" for problem in found.problems):
            in_time = (found.footprint.seconds or 0.0) <= MAX_SECONDS
            chosen, slow = (entry.name, slow) if in_time else (chosen, slow or entry.name)
    return slow if chosen == "starter" and goal.foreign and slow else chosen


def _sample(goal: Goal, kind: Kind) -> dict[str, str]:
    """One row as an example; a translation into a language that is not the sample's says only what stands there."""
    if goal.kind == "translate" and goal.language == "English":
        return {"source": kind.sample["translation"], "translation": kind.sample["source"]}
    if goal.kind == "translate" and goal.language not in ("", "German"):
        return kind.sample | {"translation": f"(the same sentence in {goal.language})"}
    return kind.sample


def _needs(goal: Goal, kind: Kind) -> tuple[str, ...]:
    found = [f"About {count(kind.rows, 'example')}, each {kind.sentence}."]
    columns = " and ".join(f"“{column}”" for column in kind.columns)
    if kind.shape == "text":
        found.append(f"Plain text files are fine as they are, or a table (CSV, Excel) with the column {columns}.")
    else:
        found.append(f"A table (CSV, Excel) with the columns {columns} is enough.")
    if goal.language and goal.kind in READS:
        found.append(f"Texts in {goal.language}, like the ones it will get later.")
    elif goal.language:
        found.append(f"All {kind.gives} in {goal.language}: it writes in the language of the examples.")
    if goal.length and goal.kind != "sort":
        found.append(f"{goal.length.capitalize()} {kind.gives} throughout: it writes as long as the examples do.")
    return (*found, *kind.tips)


def _words(goal: Goal, kind: Kind, model: ModelCheck) -> str:
    translating = goal.kind == "translate" and goal.language
    does = f"translate into {goal.language}" if translating else kind.does
    manner = [f"in {goal.language}"] if goal.language and not translating else []
    manner += ["in few words"] if goal.length == "short" else ["at length"] if goal.length == "long" else []
    how = f", {' and '.join(manner)}" if manner else ""
    fetch = "" if model.present else f" It is not on this computer yet: {size(model.download_bytes)} to download, and you are asked first."
    deaf = goal.foreign and model.entry is not None and not knows(model.entry, goal.language)
    limit = f" This model knows hardly any {goal.language}: choose a larger one if you can." if deaf else ""
    return f"It will {does}{how}, with the model {model.name}.{fetch}{limit}"
