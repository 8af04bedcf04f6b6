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
from loralab.core.records import DatasetProfile, Example, Preview
from loralab.datasets.checks import Case, examine
from loralab.datasets.dataset import SHOWN, Loaded, count_duplicates, split, usual_share
from loralab.datasets.formats.written import KINDS
from loralab.datasets.language import language_of, need_of
from loralab.datasets.large.reading import first_look, is_large
from loralab.datasets.large.store import StoredExamples, spoken
from loralab.datasets.large.watch import Watch
from loralab.datasets.loading import load_examples
from loralab.datasets.readable import readable
from loralab.datasets.tables import marked, origins
from loralab.datasets.tables.shapes import file_shape
from loralab.models.tokenize import Encoded, TextEncoder

__all__ = ["Loaded", "profile_dataset", "remembered_roles", "split"]

N_PREVIEWS = 10
MOST_LOOKED = 20_000  # examples of a large file whose tokens are counted and that the checks see
_WHOLE = 1 << 30  # tokens: no example is cut while it is measured
_BATCH = 1024


def profile_dataset(
    path: Path,
    tokenizer_folder: Path,
    *,
    roles: dict[str, str] | None = None,
    parts: Sequence[str] = (),
    learn_from: str = "replies",
    home: Path | None = None,
    watch: Watch | None = None,
) -> DatasetProfile:
    """Read and measure a file, folder or zip of examples, in tokens of the model in `tokenizer_folder`.

    `roles` (role -> column) are used and, given a `home`, remembered for files with the same columns; without them the remembered ones
    apply, else what is recognised. `parts`: the sheets or tables of it that are read. Raises UserError when nothing can be learned from it.
    """
    path = Path(path).expanduser().resolve()
    examples, loaded = _read(path, roles, parts, home, watch)
    encoder = TextEncoder(tokenizer_folder)
    examples, loaded = readable(encoder, examples, loaded)
    looked = examples.evenly(MOST_LOOKED) if isinstance(examples, StoredExamples) else examples
    lengths, learned = _measure(encoder, looked, learn_from)
    times = len(examples) / len(looked)
    train, heldout = split(examples, usual_share(len(examples)))
    return DatasetProfile(
        id=content_id(examples),
        aside=" ".join(filter(None, (marked.words(examples, heldout), origins.words(train, heldout)))),
        path=str(path),
        examples=tuple(examples[:SHOWN]),
        n_kept=len(examples),
        n_train=len(train),
        n_heldout=len(heldout),
        n_duplicates=count_duplicates(examples),
        labels=_labels(examples),
        words=quantiles(examples.words if isinstance(examples, StoredExamples) else [spoken(example) for example in examples]),
        tokens={**quantiles(lengths), "total": round(times * sum(lengths)), "learned": round(times * learned)},
        tokenizer=tokenizer_folder.name,
        language=language_of(looked),
        need=need_of(looked),
        previews=_previews(encoder, examples, learn_from),
        findings=tuple(examine(Case(looked, loaded, lengths, examples))),
        looked=len(looked) if times > 1 else 0,
        **loaded.model_dump(exclude={"path"}),
    )


def _shape(loaded: Loaded) -> tuple[str, ...]:
    """What files have in common for which the same roles hold: their columns, who speaks, and what they are written for."""
    return (*loaded.columns, *loaded.speakers, *dict.fromkeys(part.about for part in loaded.parts if part.about in KINDS))


def _read(
    path: Path, roles: dict[str, str] | None, parts: Sequence[str], home: Path | None, watch: Watch | None
) -> tuple[Sequence[Example], Loaded]:
    """The examples by the roles that are given, remembered or recognised, in this order; what is given is remembered."""
    if not roles and home and is_large(path):  # it is not read twice
        roles, remember = remembered_roles(home, _shape(first_look(path))) or None, False
    else:
        remember = True
    examples, loaded = load_examples(path, roles, parts, watch=watch, home=home)
    if roles and home and remember:
        _remember(home, _shape(loaded), loaded.roles)
    elif home and remember and (known := remembered_roles(home, _shape(loaded))):
        examples, loaded = load_examples(path, known, parts)
    if not roles and not isinstance(examples, StoredExamples) and len({example.source for example in examples}) > 1:
        # Several files may have been understood in several ways: what is profiled must be what these roles give in the worker.
        certain = loaded.certain
        examples, loaded = load_examples(path, loaded.roles, parts)
        loaded = loaded.model_copy(update={"certain": certain})
    return examples, loaded


def _labels(examples: Sequence[Example]) -> dict[str, int]:
    if isinstance(examples, StoredExamples):
        return examples.labels
    return dict(Counter(example.label for example in examples if example.label is not None).most_common())


def content_id(examples: Sequence[Example]) -> str:
    """Hash of what is learned from; names of files and positions do not matter."""
    if isinstance(examples, StoredExamples):
        return examples.id
    digest = hashlib.sha256()
    for example in examples:
        content: Any = [[message.role, message.content] for message in example.messages] or example.text
        if example.media or example.target:  # the ids of texts are what they always were
            content = [content, example.label, *example.media, example.target and example.target.model_dump(mode="json")]
        if more := _beside_words(example):
            content = [content, more]
        digest.update(json.dumps(content, ensure_ascii=False).encode("utf-8") + b"\n")
    return digest.hexdigest()[:16]


def _beside_words(example: Example) -> list[Any]:
    """What makes an example another one with the same words; nothing of most."""
    marks: list[Any] = [[place, *(call.model_dump() for call in m.calls)] for place, m in enumerate(example.messages) if m.calls]
    marks += [place for place, message in enumerate(example.messages) if not message.learn]
    marks += [[message.role, message.content] for message in example.rejected]
    return [*marks, *filter(None, (m.tools for m in example.messages)), *(["held out"] if example.held_out else [])]


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
