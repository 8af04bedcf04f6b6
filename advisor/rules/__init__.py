"""The failure rules, one per file, what a rule is and the words it is written in. Invariant: the folder is the registry.

A module here has one function `check` under `@rule(...)`. Its docstring is its page in docs/diagnoses.md, for a person who cannot program:
a first line that names the cause, then “What it looks like:”, “Why:” and “What to do:”, each a short paragraph. `check` is a pure function
of the case: it reads no clock, no file and no memory, and gives None where it sees nothing or is not told what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Action, Evidence, Finding, Fix, Found, Group, Severity, advice, amount, change, fact
from advisor.text import READING_TASKS, TEXT_TASKS
from loralab.core import plugins

__all__ = ["Case", "Evidence", "Fix", "Found", "Rule", "advice", "amount", "change", "fact", "rule", "rules"]

Check = Callable[[Case], Found | None]


@dataclass(frozen=True)
class Rule:
    """One cause of failure: how it is recognised and what is to be done about it."""

    id: str  # its row in the table of causes: R02
    group: Group
    severity: Severity
    action: Action
    check: Check
    before: bool = False  # asks nothing of a run: it is asked before the first update, too
    during: bool = True  # also asked while the run goes on
    tasks: frozenset[str] | None = TEXT_TASKS  # kinds of training it knows; None: every kind, for it reads no setting of one of them

    @property
    def title(self) -> str:
        """The cause as a short sentence without a full stop: how its page begins."""
        page = sys.modules[self.check.__module__].__doc__ or ""
        return " ".join(page.partition("\n\n")[0].split()).removesuffix(".")

    def find(self, name: str, case: Case) -> Finding | None:
        """The finding of this rule, which lives in the module `name`."""
        found = self.check(case)
        if found is None:
            return None
        return Finding(
            rule=name,
            id=self.id,
            group=self.group,
            title=self.title,
            words=found.words,
            severity=found.severity or self.severity,
            action=found.action or self.action,
            confidence=found.confidence,
            evidence=tuple(found.evidence),
            fixes=tuple(found.fixes),
        )


def rule(
    id: str,  # noqa: A002
    group: Group,
    severity: Severity,
    action: Action,
    before: bool = False,
    during: bool = True,
    tasks: frozenset[str] | None = TEXT_TASKS,
) -> Callable[[Check], Rule]:
    """Make a rule of a check: what the fields of Rule say. What is wrong with examples or template is so for pairs of answers, too."""
    known = READING_TASKS if tasks is TEXT_TASKS and group in ("data", "template") else tasks
    return lambda check: Rule(id, group, severity, action, check, before, during, known)


def rules() -> dict[str, Rule]:
    """All rules by the name of their file."""
    return plugins.discover("advisor.rules", "check")
