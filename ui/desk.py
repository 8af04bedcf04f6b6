"""Owns what the tabs ask the lab about a file: its profile and the plan for it.

Invariant: an answer is remembered for one file as it is now, one model and one goal; a changed file is read again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

from advisor.advisor import Advisor
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.paths import room
from loralab.core.records import DatasetProfile, Proposal
from ui import goals
from ui.runs.run_names import spoken

_KEPT = 16  # profiles held in memory; one is a few hundred kilobytes at most


Choice = tuple[str, str, str]  # dataset, model, goal


class Desk:
    """The advisor over the lab, with the last profiles at hand so that a click does not read the whole file again."""

    def __init__(self, advisor: Advisor) -> None:
        self.advisor, self.lab = advisor, advisor.lab
        self._profiles: OrderedDict[tuple[str, float, str, str], DatasetProfile] = OrderedDict()
        self._filled: dict[Choice, Proposal] = {}  # what forms were filled with
        self._weighed: dict[str, Proposal] = {}  # by choice and form

    def profile(self, dataset: str, model: str, goal: str = "", roles: dict[str, str] | None = None) -> DatasetProfile:
        """What the file holds. `roles` says which column is what, and is remembered for this file."""
        path = Path(dataset)
        if not path.exists():
            raise UserError("The file with the examples is no longer there.", "Choose it again on the first page.", code="no_dataset")
        learn = goals.learn_from(goal) if goal else "replies"
        model = self.reader(model)
        key = (dataset, path.stat().st_mtime, model, learn)
        if roles is not None:
            self._profiles.clear()
        if key not in self._profiles:
            self._profiles[key] = self.lab.profile(path, model=model, roles=roles, learn_from=learn)
            while len(self._profiles) > _KEPT:
                self._profiles.popitem(last=False)
        return self._profiles[key]

    def reader(self, model: str) -> str:
        """The model whose tokens the lengths are counted in: the chosen one, or the starter while that is not on this computer."""
        return model if self.lab.check_model(model).present else "starter"

    def insist(self, proposal: Proposal, *, anyway: bool = False) -> None:
        """Raise UserError with the first thing that would make this plan fail; `anyway` overrules what is remembered to have failed."""
        for problem in proposal.problems:
            if problem.severity == "error" and not (anyway and problem.code == "never_twice"):
                raise UserError(problem.what, problem.todo, code=problem.code)

    def propose(self, dataset: str, model: str, goal: str, changes: dict[str, Any] | None = None) -> Proposal:
        """A plan made anew for this file, model and goal, to fill the form with; `changes` are settings that must be so."""
        profile = self.profile(dataset, model, goal)
        found = self.advisor.propose(profile, model=model, **{**goals.changes(goal, profile), **(changes or {})})
        self._filled = _kept(self._filled, (dataset, model, goal), found)
        return self._spoken(found)

    def weigh(self, dataset: str, model: str, goal: str, form: dict[str, Any]) -> Proposal:
        """What the plan on the form needs and what is wrong with it; a setting that is as it was proposed keeps its reason."""
        profile, choice = self.profile(dataset, model, goal), (dataset, model, goal)
        found = self.advisor.propose(profile, model=model, **{**goals.changes(goal, profile), **form})
        if own := self._filled.get(choice):
            kept = {name: why for name, why in own.reasons.items() if found.plan.get(name) == own.plan.get(name)}
            found = found.model_copy(update={"reasons": {**found.reasons, **kept}})
        found = self._spoken(found)
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


def _kept(known: dict[Any, Proposal], key: Any, value: Proposal) -> dict[Any, Proposal]:
    """The last answers, this one the newest. A new dict: several windows ask at once."""
    return dict([*((k, v) for k, v in known.items() if k != key), (key, value)][-_KEPT:])


def _asked(choice: Choice, form: dict[str, Any]) -> str:
    stamp = Path(choice[0]).stat().st_mtime if Path(choice[0]).exists() else 0
    return json.dumps([choice, stamp, form], sort_keys=True, default=str)
