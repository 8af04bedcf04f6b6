"""Owns the profile of a data set: what a file of examples holds, measured on all of it. Invariant: what is profiled is what is trained on,
because both come from `load_examples` with the same roles.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile, Example, Preview, Record
from loralab.datasets.checks import Case, examine
from loralab.datasets.dataset import Loaded, count_duplicates, load_examples, split
from loralab.datasets.shapes import file_shape
from loralab.models.tokenize import Encoded, TextEncoder

__all__ = ["Loaded", "SampleSet", "load_examples", "profile_dataset", "remembered_roles", "sample", "samples", "split"]

N_PREVIEWS = 10
_WHOLE = 1 << 30  # tokens: no example is cut while it is measured
_BATCH = 1024


class SampleSet(Record):
    """A bundled data set."""

    name: str
    title: str
    teaches: str  # one sentence
    path: str
    rows: int
    licence: str
    credit: str
    goal: str  # what a person would want it for: one of the goals offered at the start


def samples() -> tuple[SampleSet, ...]:
    """The bundled data sets, in the order of `data/samples/samples.json`."""
    index = json.loads((paths.SAMPLES / "samples.json").read_text("utf-8"))
    return tuple(SampleSet(path=str(paths.SAMPLES / entry.pop("file")), **entry) for entry in index)


def sample(name: str) -> SampleSet:
    """The bundled data set of this name. Raises UserError with the names there are."""
    known = {entry.name: entry for entry in samples()}
    if name not in known:
        raise UserError(f"There is no bundled data set called “{name}”.", f"There are: {', '.join(known)}.", code="no_sample")
    return known[name]


def profile_dataset(
    path: Path, tokenizer_folder: Path, *, roles: dict[str, str] | None = None, learn_from: str = "replies", home: Path | None = None
) -> DatasetProfile:
    """Read and measure a file, folder or zip of examples, in tokens of the model in `tokenizer_folder`.

    `roles` (role -> column) are used and, given a `home`, remembered for files with the same columns; without them the remembered ones
    apply, else what is recognised. Raises UserError when nothing can be learned from it.
    """
    path = Path(path).expanduser().resolve()
    examples, loaded = load_examples(path, roles)
    if roles and home:
        _remember(home, loaded.columns, loaded.roles)
    elif home and (known := remembered_roles(home, loaded.columns)):
        examples, loaded = load_examples(path, known)
    if not roles and len({example.source for example in examples}) > 1:
        # Several files may have been understood in several ways: what is profiled must be what these roles give in the worker.
        certain = loaded.certain
        examples, loaded = load_examples(path, loaded.roles)
        loaded = loaded.model_copy(update={"certain": certain})
    encoder = TextEncoder(tokenizer_folder)
    lengths, learned = _measure(encoder, examples, learn_from)
    train, heldout = split(examples)
    return DatasetProfile(
        id=content_id(examples),
        name=loaded.name,
        path=str(path),
        shape=loaded.shape,
        roles=loaded.roles,
        columns=loaded.columns,
        certain=loaded.certain,
        encoding=loaded.encoding,
        n_read=loaded.n_read,
        n_kept=len(examples),
        left_out=loaded.left_out,
        n_train=len(train),
        n_heldout=len(heldout),
        n_duplicates=count_duplicates(examples),
        labels=dict(Counter(example.label for example in examples if example.label is not None).most_common()),
        tokens={**quantiles(lengths), "total": sum(lengths), "learned": learned},
        tokenizer=tokenizer_folder.name,
        previews=_previews(encoder, examples, learn_from),
        findings=tuple(problem.model_dump() for problem in examine(Case(examples, loaded, lengths))),
    )


def content_id(examples: Sequence[Example]) -> str:
    """Hash of what is learned from; names of files and positions do not matter."""
    digest = hashlib.sha256()
    for example in examples:
        content: Any = [[message.role, message.content] for message in example.messages] or example.text
        if example.media or example.target:  # the ids of texts are what they always were
            content = [content, example.label, *example.media, example.target and example.target.model_dump(mode="json")]
        digest.update(json.dumps(content, ensure_ascii=False).encode("utf-8") + b"\n")
    return digest.hexdigest()[:16]


def quantiles(lengths: Sequence[int]) -> dict[str, int]:
    """p50, p90, p95, p99 and max: the smallest length that at least this share of the examples does not exceed."""
    ranked = sorted(lengths)
    at = {f"p{percent}": ranked[max(0, -(-percent * len(ranked) // 100) - 1)] for percent in (50, 90, 95, 99)}
    return {**at, "max": ranked[-1]}


def _measure(encoder: TextEncoder, examples: Sequence[Example], learn_from: str) -> tuple[list[int], int]:
    """Tokens of each example, and tokens learned from in all; in batches, so that memory stays small."""
    lengths: list[int] = []
    learned = 0
    for start in range(0, len(examples), _BATCH):
        for encoded in encoder.many(examples[start : start + _BATCH], _WHOLE, learn_from):
            lengths.append(len(encoded.ids))
            learned += sum(encoded.learned)
    return lengths, learned


def _previews(encoder: TextEncoder, examples: Sequence[Example], learn_from: str) -> tuple[Preview, ...]:
    """Ten examples spread over the file."""
    step = max(1, len(examples) // N_PREVIEWS)
    chosen = examples[::step][:N_PREVIEWS]

    def preview(example: Example, encoded: Encoded) -> Preview:
        pieces = tuple((text, learned) for text, learned in encoded.pieces)
        return Preview(row=example.row, pieces=pieces, cost=len(encoded.ids), learned=sum(encoded.learned))

    return tuple(preview(example, encoded) for example, encoded in zip(chosen, encoder.many(chosen, _WHOLE, learn_from), strict=True))


# ---- roles remembered per file shape ---------------------------------------------------------------------------------------


def remembered_roles(home: Path, columns: Sequence[str]) -> dict[str, str]:
    """The roles a person once gave to a file with these columns; empty when there are none."""
    roles = _memory(home).get(file_shape(columns), {})
    return roles if set(roles.values()) <= set(columns) else {}


def _remember(home: Path, columns: Sequence[str], roles: dict[str, str]) -> None:
    memory = {**_memory(home), file_shape(columns): roles}
    paths.write_atomic(_memory_file(home), json.dumps(memory, ensure_ascii=False, indent=1, sort_keys=True))


def _memory_file(home: Path) -> Path:
    return Path(home) / "datasets" / "roles.json"


def _memory(home: Path) -> dict[str, dict[str, Any]]:
    """What is remembered; a damaged file counts as none, because asking again is harmless."""
    if not _memory_file(home).exists():
        return {}
    try:
        memory = json.loads(_memory_file(home).read_text("utf-8"))
    except ValueError:
        return {}
    return memory if isinstance(memory, dict) else {}
