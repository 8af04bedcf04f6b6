"""Owns what the tabs ask the lab about a file: its profile and the plan for it.

Invariant: an answer is remembered for one file as it is now, one model and one goal; a changed file is read again.
"""

from __future__ import annotations

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


class Desk:
    """The advisor over the lab, with the last profiles at hand so that a click does not read the whole file again."""

    def __init__(self, advisor: Advisor) -> None:
        self.advisor, self.lab = advisor, advisor.lab
        self._profiles: OrderedDict[tuple[str, float, str, str], DatasetProfile] = OrderedDict()

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

    def propose(self, dataset: str, model: str, goal: str, fixed: dict[str, Any] | None = None) -> Proposal:
        """A plan for this file, model and goal; `fixed` are settings a person has chosen."""
        profile = self.profile(dataset, model, goal)
        wanted = goals.changes(goal, profile)
        own = self.advisor.propose(profile, model=model, **wanted)
        if not fixed:
            return self._spoken(own)
        asked = self.advisor.propose(profile, model=model, **{**wanted, **fixed})
        kept = {name: why for name, why in own.reasons.items() if asked.plan.get(name) == own.plan.get(name)}
        return self._spoken(asked.model_copy(update={"reasons": {**asked.reasons, **kept}}))

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
