"""`python -m loralab memory`: what is remembered, searched, taken along, forgotten. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Output
from loralab.core.errors import UserError
from loralab.core.words import count, plural

if TYPE_CHECKING:
    from advisor.words.remembered import Remembered, Section
    from loralab.lab import Lab, Memory

Export = Annotated[Path | None, typer.Option("--export", metavar="FILE", help="Write all of it into a .zip or .jsonl file.")]
Import = Annotated[Path | None, typer.Option("--import", metavar="FILE", help="Add what --export wrote on another computer.")]
Forget = Annotated[
    str, typer.Option("--forget", metavar="NAME", help="Forget one line (its name is in the last column), a run, or “everything”.")
]
Search = Annotated[str, typer.Option("--search", metavar="WORDS", help="Find runs: “ran out of memory qwen”.")]


def memory(
    search: Search = "", export: Export = None, take: Import = None, forget: Forget = "", json: Json = False, home: Home = None
) -> None:
    """What is remembered of your runs; search it, take it to another computer, forget it."""
    lab, out = facade.Lab(home), Output(json)
    memories = lab.history.memories
    asked = [name for name, given in (("--search", search), ("--export", export), ("--import", take), ("--forget", forget)) if given]
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} cannot be done at once.", "Give one of them.", code="too_much_at_once")
    if export:
        n = memories.export(export.expanduser())
        out.give({"exported": n, "file": str(export)}, f"{count(n, 'run')} {plural(n, 'is', 'are')} in {export}.")
    elif take:
        arrived = memories.take_in(take.expanduser())
        out.give(arrived.model_dump(), arrived.words)
    elif forget and not memories.of(forget) and forget != "everything" and (":" in forget or _advised(lab, forget)):
        memories.forget_line(forget)
        out.give({"forgotten": 1}, "Forgotten. It no longer counts.")
    elif forget:
        n = memories.forget("" if forget == "everything" else forget)
        text = f"{count(n, 'run')} forgotten. Their folders stay, and you can still use them."
        out.give({"forgotten": n}, text)
    elif search:
        found = memories.search(search)
        out.give({"found": [one.model_dump() for one in found]}, "\n".join(map(_line, found)) or "Nothing remembered has these words.")
    else:
        from advisor.words.remembered import remembered

        page = remembered(lab)
        out.give(page.model_dump(), _page(page))


def _line(one: Memory) -> str:
    elsewhere = " (from elsewhere)" if one.imported else ""
    said = " ".join(filter(None, (one.what, one.moments[-1].text if one.moments else "")))
    return f"{one.run}{elsewhere}: {one.title or one.dataset}, {one.model}, {one.outcome}. {said}".strip()


def _page(page: Remembered) -> str:
    tables = [f"{one.title}\n{one.words}\n\n{_table(one)}" for one in page.sections if one.rows]
    return "\n\n".join([page.words, *tables])


def _table(section: Section) -> str:
    """The rows, each with the name it is forgotten by; a run's is its own."""
    named = [(*row, "" if line in row else line) for row, line in zip(section.rows, section.lines, strict=True)]
    return terminal.table(named, (*section.columns, "to forget it"))


def _advised(lab: Lab, name: str) -> bool:
    return any(one.id == name for one in lab.history.memories.advice())
