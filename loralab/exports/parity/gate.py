"""Owns sending a finished export through the parity gate, and what is written about it: parity.json, the card, the checksums.

Invariant: base plus adapter are loaded anew from the run's own files, so that nothing the export made can vouch for itself.
"""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from loralab.core.events import Incident, Noted
from loralab.core.parity import FILE, Parity
from loralab.core.paths import write_atomic
from loralab.exports import Format, Note, Source
from loralab.exports._files import encoder_of, seal
from loralab.exports.parity.checks import gate, untried
from loralab.exports.parity.reference import Wanted, heldout, wanted_of
from loralab.models.model_folder import count_weights, read_json, weight_files
from loralab.models.tokenize import TextEncoder
from loralab.runs.run_folder import RunFolder

BASE_TODO = "To have it proven, download the base model again and export once more."
ROOM = 1.3  # of a model's bytes: what loading and asking it takes
NOBODY = "No program here can load this kind of file, so it was not compared with what was trained."


def prove(form: Format, source: Source, target: Path, note: Note, folder: RunFolder) -> Parity:
    """Compare what lies in `target` with what was trained; the outcome is written beside it and told."""
    parity = _compared(form, source, target, note)
    write_atomic(target / FILE, parity.model_dump_json(indent=2) + "\n")
    card = target / "README.md"
    if card.is_file():
        card.write_text(card.read_text("utf-8").rstrip("\n") + "\n\n" + "\n".join(parity.lines()), "utf-8")
    seal(target, FILE, card.name)
    _tell(parity, folder)
    return parity


def _compared(form: Format, source: Source, target: Path, note: Note) -> Parity:
    if form.trial is None:
        return untried(NOBODY)
    missing = form.trial.missing()
    if missing:
        return untried(missing.what, missing.todo)
    if not (source.model / "config.json").is_file():
        return untried("The base model is not on this computer any more, so nothing could be compared.", BASE_TODO)
    opened = form.trial.open
    with TemporaryDirectory() as folder:
        kept, room = Path(folder, "trained"), Path(folder, "room")
        kept.mkdir()
        room.mkdir()
        note("asking what was trained")
        encoder = encoder_of(source, kept)
        wanted = trained(source, encoder)
        gc.collect()
        note("trying it where it will be used")
        return gate(lambda context: opened(source, target, room, context), encoder, wanted, form.trial.kind(source))


def trained(source: Source, encoder: TextEncoder) -> Wanted:
    """What base plus adapter say, in fp32 where the memory allows it and in bf16 otherwise."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    raw: dict[str, Any] = read_json(source.model / "config.json")
    fits = 4 * ROOM * count_weights(weight_files(source.model))[0] < psutil.virtual_memory().available
    attention = "eager" if raw.get("attn_logit_softcapping") else "sdpa"
    base = load_base(source.model, "fp32" if fits else "bf16", torch.device("cpu"), attention)
    model: Any = PeftModel.from_pretrained(base, str(source.adapter)).eval()
    return wanted_of(model, encoder, heldout(source, encoder, base.config.get_text_config().vocab_size))


def named(parity: Parity, name: str, *, differs: bool = False) -> str:
    """A file or folder that differs says so in its name; one nobody could try is told of, but not under suspicion."""
    return f"{name}-unproven" if differs or parity.outcome == "differs" else name


def _tell(parity: Parity, folder: RunFolder) -> None:
    """The outcome as an event: good news as a note, a difference as an incident with what to do."""
    data = parity.model_dump()
    if parity.outcome != "differs":
        folder.emit(Noted(text=f"{parity.words} {parity.todo}".strip(), data={"parity": data}))
        return
    why = f"Probably: {parity.why}" if parity.why else ""
    folder.emit(Incident(code="export_differs", text=" ".join(filter(None, (parity.words, why, parity.todo))), data={"parity": data}))
