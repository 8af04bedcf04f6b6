"""The advisor's commands of `python -m loralab`. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from advisor.cli.assistant import voice
from advisor.cli.check import check
from advisor.cli.improve import improve
from advisor.cli.memory import memory
from advisor.cli.plans import describe, pilot, retry
from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, Run, newest

AsStory = Annotated[bool, typer.Option("--story", help="As a story: what happened, why, what was changed, what came of it.")]
Question = Annotated[str, typer.Argument(metavar="QUESTION", help="In your own words: “why did it stop?”, “is 0.4 good?”")]
ByRules = Annotated[bool, typer.Option("--rules-only", help="Do not ask the language model.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (check, describe, pilot, why, ask, improve, retry, voice, memory):
        app.command()(command)


def why(run: Run = "last", story: AsStory = False, json: Json = False, home: Home = None) -> None:
    """What went wrong in a run, on what evidence, and what to do about it."""
    from advisor.advisor import Advisor

    lab = facade.Lab(home)
    if story:
        told = Advisor(lab).story(newest(lab, run))
        Output(json).give(told.model_dump(), told.text)
        return
    found = Advisor(lab).remember(newest(lab, run))
    text = [
        f"{one.title}. {one.words}\n  " + "\n  ".join([e.words for e in one.evidence] + [f.words for f in one.fixes])
        for one in found.findings
    ]
    Output(json).give(found.model_dump(), "\n\n".join(text) or "The advisor knows of nothing that went wrong.")


def ask(run: Run, question: Question, rules_only: ByRules = False, json: Json = False, home: Home = None) -> None:
    """Ask about a run in your own words. The rules answer; what they cannot, a language model may, where you have chosen one."""
    from advisor.advisor import Advisor

    lab = facade.Lab(home)
    out, advisor = Output(json), Advisor(lab)
    with closing(advisor.assistant):
        parts = list(advisor.answer(newest(lab, run), question, rules_only=rules_only))
    rules = "\n".join(part.text for part in parts if part.made_by == "rules" and part.text)
    model = " ".join(part.text for part in parts if part.made_by == "model")
    note = next((part.note for part in parts if part.note), "")
    if note:
        out.say(note)
    told = f"{rules}\n\nIn the language model's own words: {model}" if model else rules
    out.give({"question": question, "answer": rules, "model": model, "note": note}, told)
