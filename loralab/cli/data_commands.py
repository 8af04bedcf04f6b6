"""Owns the commands that make data sets, try them and list domains. Invariant: the promises of app.py; nothing is written over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loralab import lab as facade
from loralab.cli import terminal
from loralab.cli.console import Home, Json, Model, Output, Set, chosen, follow, propose_for, succeed
from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.words import count

if TYPE_CHECKING:
    from loralab.core.jobs import Writer
    from loralab.lab import Lab

Out = Annotated[str, typer.Option("--out", metavar="FILE", help="The .jsonl file to be (default: one in the workspace).")]
Licence = Annotated[str, typer.Option("--licence", help="Licence of the documents; it stands in every row.")]
InDomain = Annotated[str, typer.Option("--domain", help="A field with words of its own: legal, support, ...")]
Without = Annotated[list[str] | None, typer.Option("--without", metavar="GATE", help="Leave this gate out; may be given several times.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (build, synthesize, sift, augment, helps, curve, domains):
        app.command()(command)


def build(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    files: Annotated[list[str], typer.Argument(metavar="FILES_OR_FOLDER", help="Documents: pdf, docx, html, md, txt, epub, srt, csv.")],
    out: Out = "",
    licence: Licence = "",
    domain: InDomain = "",
    maker: Annotated[list[str] | None, typer.Option("--maker", help="Only this maker; may be given several times.")] = None,
    without: Without = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Make questions and answers from documents, each with the words it is quoted from. No language model, no network."""
    lab, to = facade.Lab(home), Output(json)
    run = lab.build_data(files, out, licence=licence, domain=domain, makers=tuple(maker or ()), without=tuple(without or ()))
    _concluded(lab, run, to)


def synthesize(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: Annotated[str, typer.Argument(metavar="FILE", help="Rows to begin with: a made file, or any with questions and answers.")],
    writer: Annotated[str, typer.Option("--writer", help="An address (http://127.0.0.1:11434/v1), a .gguf file, or a model’s name.")],
    model: Annotated[str, typer.Option("--model", help="At an address: the model as the endpoint calls it.")] = "",
    out: Out = "",
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows wanted at most.")] = 100,
    form: Annotated[list[str] | None, typer.Option("--form", help="In which way: more, paraphrase, reverse, harder ...")] = None,
    language: Annotated[str, typer.Option("--language", help="For the form “language”: into which.")] = "",
    most: Annotated[float, typer.Option("--most-per-human", min=0.1, help="Written rows for each real one.")] = 4.0,
    check: Annotated[bool, typer.Option("--check", help="Have the writer answer again, with and without the passage.")] = False,
    domain: InDomain = "",
    without: Without = None,
    yes: Annotated[bool, typer.Option("--yes", help="The terms of the writer are known.")] = False,
    json: Json = False,
    home: Home = None,
) -> None:
    """Have a language model of yours write more rows like these; each is checked and says who wrote it."""
    lab, to = facade.Lab(home), Output(json)
    known = lab.writer_terms(_writer(writer, model))
    to.say(known.words)
    if not yes and not typer.confirm("Ask it?", err=True):
        raise UserError("Nothing was asked.", "Answer y, or add --yes.", code="not_confirmed")
    more: dict[str, Any] = {"rows": rows, "forms": tuple(form or ()), "language": language, "most_per_human": most, "check": check}
    _concluded(lab, lab.synthesize(file, known.writer, out, domain=domain, without=tuple(without or ()), **more), to)


def sift(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Any file with questions and answers.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Write the rows that passed into this .jsonl file.")] = "",
    without: Without = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Send rows through the gates: copies, refusals, private data, what does not stand in its passage and more. The file stays as it is."""
    lab, to = facade.Lab(home), Output(json)
    found = lab.sift(file, tuple(without or ()))
    if out:
        if Path(out).exists():
            raise UserError(f"{out} is there already.", "Choose another name.", code="file_exists")
        write_atomic(Path(out), "".join(row.model_dump_json() + "\n" for row in found.kept))
    given = {
        "file": file,
        "kept": len(found.kept),
        "binned": [one.model_dump(include={"gate", "reason"}) | {"question": one.row.question} for one in found.binned],
        "gates": [one.model_dump() for one in found.counts],
        "out": out or None,
    }
    lines = [f"  {one.gate}: “{one.row.question[:60]}”: {one.reason}" for one in found.binned[:10]]
    to.give(given, "\n".join([f"{count(len(found.kept), 'row')} passed, {len(found.binned):,} did not.", _gates(found.counts), *lines]))


def augment(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Any file with questions and answers.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="typos, casing, punctuation, synonyms or question_forms; several times.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=5, help="New rows for each row at most.")] = 1,
    out: Out = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """The same questions as other people would type them, without a language model: slips, small letters, other forms. Answers stay."""
    lab, to = facade.Lab(home), Output(json)
    target = lab.vary(file, tuple(kind or facade.AUGMENTATIONS), out, most)
    rows = lab.made_data(target).rows
    made = sum(row.origin == "synthetic" for row in rows)
    text = f"{target}\n{count(len(rows), 'row')}, {made:,} of them varied. Whether they help: python -m loralab helps {target}"
    to.give({"file": str(target), "rows": len(rows), "varied": made}, text)


def curve(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Any file with questions and answers.")],
    more: Annotated[int, typer.Option("--more", min=1, help="How many more rows are asked about.")] = 50,
    model: Model = "",
    settings: Set = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """What would more rows bring about? Pilots on a quarter, a half and all of the rows, tested on the same ones; each can be stopped."""
    lab, to = facade.Lab(home), Output(json)
    proposal = propose_for(lab, file, model, chosen(settings), ["prompt=question", "answer=answer"])
    runs = lab.learning_curve(file, proposal)
    for run in runs:
        succeed(follow(lab, run, to))
    found = lab.more_rows(runs, more)
    to.give({"runs": list(runs)} | found.model_dump() | {"words": found.words}, found.words)


def helps(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A made file with rows of several origins.")],
    without: Annotated[str, typer.Option("--without", help="The origin in question: synthetic or extracted.")] = "synthetic",
    model: Model = "",
    settings: Set = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Do the made rows help? Train with and without them, test both on the same real rows, and say so, also where the answer is no."""
    lab, to = facade.Lab(home), Output(json)
    proposal = propose_for(lab, file, model, chosen(settings), ["prompt=question", "answer=answer"])
    runs = lab.does_it_help(file, proposal, without)
    for run in runs:
        succeed(follow(lab, run, to))
    found = lab.compare(*runs)
    word, said = found.told("Without them", "With them")
    answer = {"second": "yes", "first": "no, they harm", "same": "no difference"}.get(found.outcome, "cannot tell")
    text = (f"Do they help? {answer}. {word}. {said}", *(score.words for score in found.scores))
    given = {"without": runs[0], "with": runs[1], "helps": answer, "origin": without}
    to.give(given | found.model_dump(exclude={"answers", "rows"}), "\n".join(text))


def domains(
    add: Annotated[str, typer.Option("--add", metavar="FOLDER_OR_ZIP", help="Take a domain of yours into the workspace.")] = "",
    example: Annotated[str, typer.Option("--example", metavar="NAME", help="Write the rows of this domain into a file to train.")] = "",
    out: Out = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """Fields with words of their own (support, legal, medical, creative, code and yours): list them, add one, or try one."""
    lab, to = facade.Lab(home), Output(json)
    if add:
        lab.add_domain(add)
    file = lab.worked_example(example, out) if example else None
    known = lab.domains()
    lines = [
        f"{one.name:10} {one.title}: {one.about} {count(len(one.samples), 'row')}, {count(len(one.glossary), 'term')}." for one in known
    ]
    given = [one.model_dump(include={"name", "title", "about", "licence"}) | {"samples": len(one.samples)} for one in known]
    to.give({"domains": given, "file": str(file) if file else None}, "\n".join([*lines, *([str(file)] if file else [])]))


def _writer(name: str, model: str) -> Writer:
    """What a person calls a writer."""
    if name.startswith(("http://", "https://")):
        if not model:
            raise UserError("It is not said which model the endpoint is to use.", "Add --model NAME.", code="no_model")
        return facade.Writer(kind="endpoint", name=model, url=name)
    if name.lower().endswith(".gguf"):
        return facade.Writer(kind="gguf", name=str(Path(name).expanduser().resolve()))
    return facade.Writer(kind="model", name=name)


def _concluded(lab: Lab, run: str, to: Output) -> None:
    """Follow the work to its end and give the report."""
    view = follow(lab, run, to)
    succeed(view)
    ending = view.ending
    if ending is None or ending.outcome != "finished":
        to.give({"run": run, "outcome": view.state}, f"{ending.what if ending else ''} Go on with: python -m loralab resume {run}".strip())
        return
    made = lab.made_data(str(ending.result["file"]))
    report = made.report or facade.MadeReport()
    text = [f"{made.path}", report.words, _gates(report.gates)]
    text += [f"Not read: {one.source}: {one.reason}" for one in report.refused]
    gaps = [f"{topic.name} ({count(len(topic.passages), 'passage')}, {count(topic.rows, 'row')})" for topic in report.topics if topic.gap]
    text += [f"Topics with hardly a row: {'; '.join(gaps)}."] if gaps else []
    to.give({"run": run, "outcome": view.state, "file": str(made.path), "report": facade.as_json(report)}, "\n".join(text))


def _gates(counts: Sequence[Any]) -> str:
    return terminal.table([(one.title, one.seen, one.skipped or one.stopped) for one in counts], ("gate", "looked at", "stopped"))
