"""Owns measuring an export: the same held-out examples as its run, read and answered by the program the export was made for, and held
against what was trained.

Invariants: only examples that the run itself was measured on, token for token the same; loss after the very tokens that were learned; an
answer is compared only where the run's was written the same way (greedy, without the penalty small models get).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core.errors import LabError, UserError
from loralab.core.events import Noted, fold, read
from loralab.core.jobs import EvaluateExportJob, ExportJob
from loralab.core.judgement import Judgement, tell
from loralab.core.records import Example
from loralab.datasets.dataset import split, spread
from loralab.datasets.loading import load_examples
from loralab.evaluations.shared.answers import LONGEST, SHORTEST, asked
from loralab.evaluations.text import exact_match, json_match, label_accuracy, number_match
from loralab.exports import Source, formats
from loralab.exports._files import encoder_of
from loralab.exports.job import open_source
from loralab.models.model_folder import count_weights, weight_files
from loralab.reports.compare import Comparison, compare, judgement
from loralab.runs.run_folder import RunFolder, read_job
from loralab.runtimes.runtime import Runtime

MOST_ROWS, MOST_ANSWERS = 32, 32  # some programs have to be asked once for every token
SPARE = 16  # tokens of context beyond the longest example and answer
RIGHT: dict[str, Callable[[str, str], float]] = {
    "label_accuracy": lambda text, wanted: float(label_accuracy.normalised(text) == label_accuracy.normalised(wanted)),
    "exact_match": lambda text, wanted: float(exact_match.normalised(text) == exact_match.normalised(wanted)),
    "number_match": lambda text, wanted: float(number_match.same(text, wanted)),
    "json_match": json_match.fields_right,
}
Rows = list[dict[str, Any]]


def run(folder: RunFolder) -> dict[str, Any]:
    """Measure an export as the EvaluateExportJob says. Returns base_loss (trained), adapter_loss (exported)."""
    asked = folder.asked(EvaluateExportJob)
    runs_folder = folder.path.parent
    trained = judgement(runs_folder / asked.of)
    made, place, result = made_by(runs_folder / asked.export)
    source = open_source(runs_folder, asked.of, asked.model or made.model, asked.adapter or made.adapter)
    source = replace(source, variant=str(result.get("variant") or ""))
    form = formats(source.task)[str(result["format"])]
    if form.proof is not None:
        raise UserError(
            "A model for pictures is compared with what was trained when it is exported.", "Check the export.", code="no_runtime"
        )
    if form.trial is None:
        raise UserError("No program here can load this kind of file.", "Compare the run itself.", code="no_runtime")
    if missing := form.trial.missing():
        raise UserError(missing.what, missing.todo, code=missing.code, part=missing.part)
    with TemporaryDirectory() as room:
        folder.emit(Noted(text="", phase="loading the export"))
        kept, work = Path(room, "trained"), Path(room, "room")
        kept.mkdir()
        work.mkdir()
        encoder = encoder_of(source, kept)
        examples, encoded = _heldout(source, encoder, trained)
        longest = max((len(row.ids) for row in encoded.values()), default=0) + LONGEST + SPARE
        with closing(form.trial.open(source, place, work, longest)) as runtime:
            rows = _measured(runtime, encoder, examples, encoded, trained, folder, alike=_alike(source))
    return _told(rows, trained, runtime.name, folder, asked)


def made_by(folder: Path) -> tuple[ExportJob, Path, dict[str, Any]]:
    """What the export was asked for, where it lies and what it told. Raises UserError when it is not there any more."""
    job = read_job(folder)
    view = fold(job.run, read(folder / "events.jsonl")[0])
    result = view.ending.result if view.ending else {}
    place = Path(str(result.get("folder") or ""))
    if not isinstance(job, ExportJob) or not result.get("folder") or not place.is_dir():
        raise UserError("What this export made is not there any more.", "Export it again.", code="no_export")
    return job, place, result


def _heldout(source: Source, encoder: Any, trained: dict[str, Any]) -> tuple[dict[int, Example], dict[int, Any]]:
    """The held-out examples the run was measured on, and as tokens, by row; only those whose tokens are as many as then."""
    plan = source.plan
    examples, _ = load_examples(Path(str(plan.get("dataset") or "")), plan.get("roles") or None, plan.get("parts") or ())
    held = split(examples, float(plan.get("heldout_share", 0.1)), int(plan.get("seed", 0)), str(plan.get("heldout_by", "likeness")))[1]
    encoded = encoder.many(list(held), int(plan.get("max_length", 1024)), str(plan.get("learn_from", "replies")))
    counted = {row["row"]: row["tokens"] for row in trained["rows"]["loss"]}
    same = {e.row: row for e, row in zip(held, encoded, strict=True) if counted.get(e.row) == sum(row.learned[1:])}
    if not same:
        raise UserError("The examples are not those the run was measured on.", "Put the file back as it was.", code="nothing_shared")
    return {e.row: e for e in held if e.row in same}, same


def _alike(source: Source) -> bool:
    """Whether the run's own answers were written without the penalty on repetition that small models get."""
    from loralab.serve.generate import SMALL_MODEL

    return count_weights(weight_files(source.model))[0] >= SMALL_MODEL


def _measured(
    runtime: Runtime,
    encoder: Any,
    examples: dict[int, Example],
    encoded: dict[int, Any],
    trained: dict[str, Any],
    folder: RunFolder,
    *,
    alike: bool,
) -> dict[str, Rows]:
    """Loss and answers example by example, as many as there were until a stop."""
    known = [row for row in trained["rows"]["loss"] if row["row"] in encoded]
    chosen = [known[i] for i in spread(len(known), MOST_ROWS)]
    losses: Rows = []
    for number, row in enumerate(chosen):
        if number and folder.stop_asked:
            break
        folder.emit(Noted(text="", phase=f"measuring in {runtime.name}", fraction=number / len(chosen)))
        loss = loss_of(runtime, encoded[row["row"]])
        losses.append({**row, "before_loss": row["after_loss"], "after_loss": loss})
    said: Rows = [
        row for row in trained["rows"].get("answers", ()) if row["row"] in examples and (alike or examples[row["row"]].label is not None)
    ][:MOST_ANSWERS]
    answers: Rows = []
    for number, row in enumerate(said):
        if folder.stop_asked:
            break
        folder.emit(Noted(text="", phase=f"writing answers in {runtime.name}", fraction=number / len(said)))
        answers.append({**row, "before": row["after"], "after": _answer(runtime, encoder, examples[row["row"]])})
    return {"loss": losses} | ({"answers": answers} | _right(answers, trained) if answers else {})


def loss_of(runtime: Runtime, row: Any) -> float:
    """Nats per learned token of one example, by the program's own numbers."""
    places = [i for i in range(1, len(row.ids)) if row.learned[i]]
    first = places[0] - 1  # what stands before the first learned token expects it
    logs = runtime.tail(row.ids[: places[-1]], first)
    return float(-sum(logs[i - 1 - first, row.ids[i]] for i in places) / len(places))


def _answer(runtime: Runtime, encoder: Any, example: Example) -> str:
    prompt, reference = asked(example)
    wanted = len(encoder.text_ids(reference))
    size = 2 * wanted + 4 if example.label is not None else min(LONGEST, max(SHORTEST, 2 * wanted))
    ids = encoder.prompt_ids(prompt) if not isinstance(prompt, str) else encoder.text_ids(prompt)
    written = runtime.generate(ids, size)
    return encoder.decode([token for token in written if not runtime.ends(token)]).strip()


def _right(answers: Rows, trained: dict[str, Any]) -> dict[str, Rows]:
    """Whether each answer is right, by the measure the run's answers were held to."""
    found: dict[str, Rows] = {}
    for name, right in RIGHT.items():
        before = {row["row"]: row["after_right"] for row in trained["rows"].get(name, ()) if "after_right" in row}
        rows = [
            {**row, "label": row["reference"], "before_right": before[row["row"]], "after_right": right(row["after"], row["reference"])}
            for row in answers
            if row["row"] in before
        ]
        if rows:
            found[name] = rows
    return found


def _told(rows: dict[str, Rows], trained: dict[str, Any], program: str, folder: RunFolder, job: EvaluateExportJob) -> dict[str, Any]:
    """Write the judgement of the export against what was trained."""
    complete = not folder.stop_asked
    try:
        compared = compare(trained, {"rows": rows})
    except LabError as error:
        compared = Comparison(words=error.problem.what, scores=(), rows=())
    verdict = compared.scores[0].verdict if compared.scores else "cannot tell yet"
    words = f"First: what was trained. Second: the export, in {program}. {compared.words}"
    path = tell(Judgement(verdict, words, compared.scores, rows=rows, complete=complete), folder, loss=_mean(rows["loss"], "after_loss"))
    result: dict[str, Any] = {"of": job.of, "export": job.export, "report": str(path), "n_heldout": len(rows["loss"])}
    result |= {"base_loss": _mean(rows["loss"], "before_loss"), "adapter_loss": _mean(rows["loss"], "after_loss")}
    stopped = {"outcome": "stopped", "what": "Stopped as you asked; what was measured until then is kept."}
    return result if complete else result | stopped


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return sum(row[name] * row["tokens"] for row in rows) / max(1, sum(row["tokens"] for row in rows))
