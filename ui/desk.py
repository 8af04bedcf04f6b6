"""Owns what the tabs ask the lab about a file: its profile and the plan for it.

Invariant: an answer is remembered for one file as it is now, one model and one goal; a changed file is read again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from advisor.advisor import Advisor
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.paths import room
from loralab.core.records import DatasetProfile, Proposal
from loralab.lab import USUAL, Lab, Watch, drawing_entry
from ui import goals
from ui.runs.run_names import spoken

VISION_USUAL, DRAWING_USUAL = "vision-starter", "drawing-starter"  # the usual models for pictures, by their own names
_KEPT = 16  # profiles held in memory; one is a few hundred kilobytes at most


Kept = TypeVar("Kept")
Choice = tuple[str, str, str]  # dataset, model, goal


def asked_first(profile: DatasetProfile) -> bool:
    """Whether a person has to say which column is what, or that a text is what is meant, before anything starts."""
    return not profile.certain


def model_for(lab: Lab, profile: DatasetProfile, model: str) -> str:
    """The model that learns: of pictures one that sees or draws, of texts one that reads; the usual one where another kind was chosen."""
    if profile.task == "draw":
        return model if drawing_entry(model) else USUAL
    return model if (lab.check_model(model).seeing is not None) == goals.of_pictures(profile) else USUAL


def stops(profile: DatasetProfile) -> bool:
    """Whether nothing can start with these examples as they are."""
    return asked_first(profile) or any(finding.severity == "error" for finding in profile.findings)


class Desk:
    """The advisor over the lab, with the last profiles at hand so that a click does not read the whole file again."""

    def __init__(self, advisor: Advisor) -> None:
        self.advisor, self.lab = advisor, advisor.lab
        self._profiles: OrderedDict[tuple[str, float, str, str], DatasetProfile] = OrderedDict()
        self._parts: dict[str, tuple[str, ...]] = {}  # sheets that a person chose, by file
        self._filled: dict[Choice, Proposal] = {}  # what forms were filled with
        self._reasons: dict[Choice, dict[tuple[str, str], str]] = {}  # setting and value -> why it was proposed
        self._taken: dict[tuple[str, str], str] = {}  # likewise, of what somebody else than the person chose
        self._weighed: dict[str, Proposal] = {}  # by choice and form

    def profile(
        self,
        dataset: str,
        model: str,
        goal: str = "",
        roles: dict[str, str] | None = None,
        parts: Sequence[str] | None = None,
        watch: Watch | None = None,
    ) -> DatasetProfile:
        """What the file holds. `roles` says which column is what, `parts` which sheets are read; both are remembered for this file.

        `watch` follows the reading of a large one.
        """
        path = Path(dataset)
        if not path.exists():
            raise UserError("The file with the examples is no longer there.", "Choose it again on the first page.", code="no_dataset")
        learn = goals.learn_from(goal) if goal else "replies"
        model = self.reader(model)
        key = (dataset, path.stat().st_mtime, model, learn)
        if parts is not None:
            self._parts = {**self._parts, dataset: tuple(parts)}
        if roles is not None or parts is not None:
            self._profiles.clear()
        if key not in self._profiles:
            chosen = self._parts.get(dataset, ())
            self._profiles[key] = self.lab.profile(path, model=model, roles=roles, learn_from=learn, parts=chosen, watch=watch)
            while len(self._profiles) > _KEPT:
                self._profiles.popitem(last=False)
        return self._profiles[key]

    def reader(self, model: str) -> str:
        """The model whose tokens the lengths are counted in: the chosen one, or the starter while that is not on this computer."""
        check = self.lab.check_model(model)
        return model if check.present and check.seeing is None else "starter"

    def learner(self, dataset: str, model: str, goal: str) -> str:
        """The name of the model that learns from a file, where `model` is what stands in the field."""
        profile = self.profile(dataset, model, goal)
        found = model_for(self.lab, profile, model)
        usual = DRAWING_USUAL if profile.task == "draw" else VISION_USUAL
        return usual if found == USUAL and goals.of_pictures(profile) else found

    def proposed(self, dataset: str, model: str, goal: str) -> dict[str, Any]:
        """The settings that the form was filled with for these choices."""
        found = self._filled.get((dataset, model, goal))
        return found.plan if found else {}

    def insist(self, proposal: Proposal, *, anyway: bool = False) -> None:
        """Raise UserError with the first thing that would make this plan fail; `anyway` overrules what is remembered to have failed."""
        for problem in proposal.problems:
            if problem.severity == "error" and not (anyway and problem.code == "never_twice"):
                raise UserError(problem.what, problem.todo, code=problem.code)

    def propose(self, dataset: str, model: str, goal: str, changes: dict[str, Any] | None = None) -> Proposal:
        """A plan made anew for this file, model and goal, to fill the form with; `changes` are settings that must be so."""
        profile = self.profile(dataset, model, goal)
        model = model_for(self.lab, profile, model)
        found = self.advisor.propose(profile, model=model, **{**goals.changes(goal, profile), **(changes or {})})
        choice = (dataset, model, goal)
        self._filled = _kept(self._filled, choice, found)
        said = {(name, str(found.plan.get(name))): why for name, why in found.reasons.items() if name not in (changes or {})}
        self._reasons = _kept(self._reasons, choice, self._reasons.get(choice, {}) | said)
        return self._spoken(self._owned(found, choice))

    def note_reasons(self, settings: dict[str, Any], why: str) -> None:
        """Say why these settings are as they are, where it was not the person who thought of them."""
        self._taken = {**self._taken, **{(name, str(value)): why for name, value in settings.items()}}

    def _owned(self, proposal: Proposal, choice: Choice) -> Proposal:
        """Each setting with the reason it was proposed for: “You chose this.” is said only where a person did."""
        known = self._taken | self._reasons.get(choice, {})
        kept = {name: known.get((name, str(proposal.plan.get(name))), why) for name, why in proposal.reasons.items()}
        return proposal.model_copy(update={"reasons": kept})

    def weigh(self, dataset: str, model: str, goal: str, form: dict[str, Any]) -> Proposal:
        """What the plan on the form needs and what is wrong with it; a setting that is as it was proposed keeps its reason."""
        profile, choice = self.profile(dataset, model, goal), (dataset, model, goal)
        model = model_for(self.lab, profile, model)
        found = self.advisor.propose(profile, model=model, **{**goals.changes(goal, profile), **form})
        found = self._spoken(self._owned(found, choice))
        self._weighed = _kept(self._weighed, _asked(choice, form), found)
        return found

    def weighed(self, dataset: str, model: str, goal: str, form: dict[str, Any]) -> Proposal:
        """The last answer about this very form, for who comes after the form changed; weighed now where there is none."""
        known = self._weighed.get(_asked((dataset, model, goal), form))
        return known or self.weigh(dataset, model, goal, form)

    def _spoken(self, proposal: Proposal) -> Proposal:
        """The same with runs named as a person knows them."""
        reasons = {name: spoken(self.lab, why) for name, why in proposal.reasons.items()}
        problems = tuple(one.model_copy(update={"what": spoken(self.lab, one.what)}) for one in proposal.problems)
        return proposal.model_copy(update={"reasons": reasons, "problems": problems})

    def without_traces(self, kept: str, uploaded: str, profile: DatasetProfile) -> str:
        """What to go on with of a file that came in: of pictures of patients what was taken in without their names, and nothing else."""
        if not profile.medical or profile.path == kept:
            return kept
        for file in (Path(kept), Path(uploaded)):
            file.unlink(missing_ok=True)
        return profile.path

    def keep(self, uploaded: str) -> str:
        """Copy a dropped file into the workspace under its own name, once per content, and return where it lies."""
        source = Path(uploaded)
        content = digest(source)[:12]
        target = room("datasets", self.lab.home) / content / source.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".")
            os.close(handle)
            shutil.copyfile(source, temporary)
            os.replace(temporary, target)
        return str(target)


def _kept(known: dict[Any, Kept], key: Any, value: Kept) -> dict[Any, Kept]:
    """The last answers, this one the newest. A new dict: several windows ask at once."""
    return dict([*((k, v) for k, v in known.items() if k != key), (key, value)][-_KEPT:])


def _asked(choice: Choice, form: dict[str, Any]) -> str:
    stamp = Path(choice[0]).stat().st_mtime if Path(choice[0]).exists() else 0
    return json.dumps([choice, stamp, form], sort_keys=True, default=str)
