"""Owns a format whose converter loses the end of answers: a real GGUF export with one fault, for a real worker (LORALAB_PLUGINS)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from loralab.exports import Note, Source, gguf_model
from tests.support import damage


def _export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    facts = gguf_model.export(source, target, note)
    damage.missing_stop(target, None)
    return facts


FORMAT = replace(gguf_model.FORMAT, name="spoiled", export=_export)
