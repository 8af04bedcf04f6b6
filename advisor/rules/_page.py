"""The page of all causes, docs/diagnoses.md, made from the rules' docstrings by `make diagnoses`.

Invariant: nothing in it is written twice.
"""

from __future__ import annotations

import inspect
import sys
from itertools import groupby

from advisor.rules import Rule, rules
from loralab.core.paths import CHECKOUT, write_atomic

PAGE = CHECKOUT / "docs" / "diagnoses.md"
GROUPS = {
    "non-finite": "Numbers that break",
    "memory": "Memory",
    "instability": "Training that runs away",
    "no learning": "Nothing is learned",
    "overfitting": "Learned by heart, or forgotten",
    "template": "How examples are written for the model",
    "data": "The examples",
    "environment": "The computer",
}
DONE = {
    "retry": "done by itself on the next try",
    "propose": "offered with one click",
    "block": "stands in the way of a start",
    "inform": "told",
}


def page() -> str:
    """The page: every rule by its group, in the order of its number."""
    found = sorted(rules().items(), key=lambda item: (list(GROUPS).index(item[1].group), int(item[1].id[1:])))
    head = f"Made from the rules in `advisor/rules/` (`make diagnoses`); {len(found)} causes. ◆: seen before the first update."
    parts = ["# What can go wrong, how it shows, and what to do\n", f"{head}\n"]
    for group, members in groupby(found, key=lambda item: item[1].group):
        parts.append(f"## {GROUPS[group]}\n")
        parts += [_entry(name, rule) for name, rule in members]
    return "\n".join(parts)


def _entry(name: str, rule: Rule) -> str:
    words = inspect.cleandoc(sys.modules[rule.check.__module__].__doc__ or "")
    rest = words.partition("\n\n")[2]
    body = rest.replace("What it looks like:", "**What it looks like:**").replace("Why:", "**Why:**", 1)
    body = body.replace("What to do:", "**What to do:**", 1)
    mark = " ◆" if rule.before else ""
    return f"### {rule.id}{mark} {rule.title}\n\n*({name}; {rule.severity}; {DONE[rule.action]})*\n\n{body}\n"


if __name__ == "__main__":
    write_atomic(PAGE, page())
