"""Owns sending a finished export through the parity gate, and what is written about it: parity.json, the card, the checksums.

Invariant: base plus adapter are loaded anew from the run's own files, so that nothing the export made can vouch for itself.
"""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from loralab.core.errors import LabError
from loralab.core.events import Compared, Incident
from loralab.core.parity import FILE, TITLE, Check, Parity
from loralab.core.paths import write_atomic
from loralab.exports import Format, Note, Source, Trial
from loralab.exports._files import encoder_of, seal
from loralab.exports.parity.checks import gate, untried
from loralab.exports.parity.reference import Wanted, asked_again, heldout, wanted_of
from loralab.exports.parity.trained import Trained
from loralab.models.model_folder import count_weights, read_json, weight_files
from loralab.models.tokenize import TextEncoder
from loralab.runs.run_folder import RunFolder

BASE_TODO = "To have it proven, download the base model again and export once more."
ROOM = 1.3  # of a model's bytes: what loading and asking it takes
NOBODY = "No program here can load this kind of file, so it was not compared with what was trained."


def prove(form: Format, source: Source, target: Path, note: Note, folder: RunFolder, *before: Check) -> Parity:
    """Compare what lies in `target` with what was trained; the outcome is written beside it and told. `before`: checks made already."""
    begun = time.monotonic()
    parity = _compared(form, source, target, note)
    seconds = round(time.monotonic() - begun, 1)
    return written(parity.model_copy(update={"seconds": seconds, "checks": (*before, *parity.checks)}), target, folder)


def written(parity: Parity, target: Path, folder: RunFolder) -> Parity:
    """The outcome beside an export, at the end of its card and as an event."""
    kept = parity.model_copy(update={"seconds": 0.0})  # what it took here is told and not written down: the same export is the same file
    write_atomic(target / FILE, kept.model_dump_json(indent=2) + "\n")
    card = target / "README.md"
    if card.is_file():
        text = card.read_text("utf-8").partition(f"\n{TITLE}\n")[0]  # what an earlier comparison said goes
        card.write_text(text.rstrip("\n") + "\n\n" + "\n".join(kept.lines()), "utf-8")
    seal(target, FILE, card.name)
    _tell(parity, folder)
    return parity


def _compared(form: Format, source: Source, target: Path, note: Note) -> Parity:
    if form.proof is not None:
        return form.proof.compare(source, target, note)
    if form.trial is None:
        return untried(NOBODY)
    if not (source.model / "config.json").is_file():
        return untried("The base model is not on this computer any more, so nothing could be compared.", BASE_TODO)
    if source.changed:
        return untried(source.changed.what, source.changed.todo)
    missing, opened = form.trial.missing(), form.trial.open
    with TemporaryDirectory() as folder:
        kept, room = Path(folder, "trained"), Path(folder, "room")
        kept.mkdir()
        room.mkdir()
        encoder = encoder_of(source, kept)
        wanted, inside = examined(form.trial, source, target, encoder, note)
        gc.collect()
        if missing:
            return gate(None, encoder, wanted, form.trial.kind(source), inside, untried(missing.what, missing.todo, missing.part))
        note("trying it where it will be used")
        return gate(lambda context: opened(source, target, room, context), encoder, wanted, form.trial.kind(source), inside)


def examined(trial: Trial, source: Source, target: Path, encoder: TextEncoder, note: Note) -> tuple[Wanted, list[Check]]:
    """What was trained, what is in the file, and what the file's own numbers say; nothing of a model is left in memory."""
    note("asking what was trained")
    model = trained(source)
    wanted = wanted_of(model, encoder, heldout(source, encoder, model.config.get_text_config().vocab_size))
    note("looking into the file")
    return looked_into(trial, source, target, Trained(model, encoder, source.adapter), wanted)


def looked_into(trial: Trial, source: Source, target: Path, found: Trained, wanted: Wanted) -> tuple[Wanted, list[Check]]:
    """What is in the file, and what its own numbers say; `found` is used up."""
    checks: list[Check] = []
    try:
        for check in trial.inside(source, target, found):  # those made before it broke are kept
            checks.append(check)  # noqa: PERF402
    except LabError as error:
        checks.append(Check(name="loads", ok=False, words=error.problem.what))
        return wanted, checks
    return replace(wanted, own=asked_again(found.with_the_files_numbers(), found.encoder, wanted)), checks


def trained(source: Source) -> Any:
    """Base plus adapter, in fp32 where the memory allows it and in bf16 otherwise."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    raw: dict[str, Any] = read_json(source.model / "config.json")
    fits = 4 * ROOM * count_weights(weight_files(source.model))[0] < psutil.virtual_memory().available
    attention = "eager" if raw.get("attn_logit_softcapping") else "sdpa"
    base = load_base(source.model, "fp32" if fits else "bf16", torch.device("cpu"), attention)
    return PeftModel.from_pretrained(base, str(source.adapter)).eval()


def named(parity: Parity, name: str, *, differs: bool = False) -> str:
    """A file or folder that differs says so in its name; one nobody could try is told of, but not under suspicion."""
    return f"{name}-unproven" if differs or parity.outcome == "differs" else name


def _tell(parity: Parity, folder: RunFolder) -> None:
    """The outcome as an event: good news as a note, a difference as an incident with what to do."""
    data = parity.model_dump()
    if parity.outcome != "differs":
        folder.emit(Compared(text=f"{parity.words} {parity.todo}".strip(), outcome=parity.outcome, runtime=parity.runtime))
        return
    why = f"Probably: {parity.why}" if parity.why else ""
    folder.emit(Incident(code="export_differs", text=" ".join(filter(None, (parity.words, why, parity.todo))), data={"parity": data}))
