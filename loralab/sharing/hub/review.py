"""Owns what of an export would be published: which files, under which card, and what of private data seems to stand in its words.

Invariants: a file goes only if its name is on the list; a pickle is refused, not left out; no path of this computer goes along.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from loralab.core import parity
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.masking import masked
from loralab.core.records import Example, Record, Sample
from loralab.datasets.checks.private import kinds_in
from loralab.datasets.language import language_of
from loralab.exports.job import open_source
from loralab.runs import runs
from loralab.sharing.hub.card import card_of
from loralab.sharing.patients import clinical

ALLOWED = (
    *("adapter_config.json", "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"),
    *("*.gguf", "*.onnx", "*.onnx.data", "*.onnx_data", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "plan.json", "parity.json"),
    *("pictures.json", "drawing.json", "labels.json", "predict.py", "draw.py", "model.py", "Modelfile", "LICENSE*"),
)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")
CARD, SUMS = "README.md", "SHA256SUMS"
TEXTS = (".json", ".jinja", ".txt", ".py", ".md")
MOST_TEXT = 20 << 20  # bytes of a text file that is looked through; a tokenizer is not a person's words
NO_PUBLIC = "It was made from medical pictures: it can be published for your own eyes only, never for everybody."


class Found(Record):
    """Something that may be private, and where. What it is itself is never repeated."""

    code: str  # secrets | emails | phone_numbers
    what: str
    file: str
    line: int

    @property
    def words(self) -> str:
        """A sentence."""
        return f"{self.what} seem to stand in {self.file}, line {self.line}."


class Review(Record):
    """What would be published."""

    run: str
    title: str
    files: tuple[tuple[str, int], ...]  # name, bytes
    left: tuple[str, ...]  # names of what stays here
    card: str
    found: tuple[Found, ...]
    clinical: bool  # of patients: never public

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.files)


@dataclass(frozen=True)
class Ready:
    """An export made ready: where its files lie, and the texts that are written anew."""

    review: Review
    folder: Path
    sums: str


def ready(home: Path, export: str, *, samples: bool = False) -> Ready:
    """What publishing a finished export would put there. Raises UserError where it may not go, is gone or was changed since it was made."""
    job, ending = runs.job(home, export), runs.view(home, export).ending
    result = ending.result if ending else {}
    folder = Path(str(result.get("folder") or ""))
    if not isinstance(job, ExportJob) or not result.get("folder") or not folder.is_dir():
        raise UserError("There is nothing made to publish yet.", "Make it first, above.", code="no_export")
    proof = parity.read(folder)
    if proof and proof.outcome == "differs":
        raise UserError("It does not answer as what was trained, so it is not published.", "Make it again.", code="differs")
    _as_made(folder, dict(result.get("sums") or {}))
    source = open_source(home / "runs", job.of, job.model, job.adapter)
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if bad := [name for name in names if _matches(name, PICKLES)]:
        todo = "Choose the adapter, the merged model, GGUF or ONNX."
        raise UserError(f"{bad[0]} is a pickle, which can hide programs; it is not published.", todo, code="pickle")
    going = [name for name in names if _matches(name, ALLOWED)]
    readme = (folder / CARD).read_text("utf-8") if (folder / CARD).is_file() else f"# {title_of(home, job.of)}\n"
    card = card_of(source, job.format, readme, proof, samples=samples, language=_language(source.view.samples))
    sums = "".join(f"{digest(folder / name)}  {name}\n" for name in going)
    _no_places(folder, going, card)
    sizes = [*((name, (folder / name).stat().st_size) for name in going), (CARD, len(card.encode())), (SUMS, len(sums))]
    review = Review(
        run=job.of,
        title=title_of(home, job.of),
        files=tuple(sorted(sizes)),
        left=tuple(name for name in names if name not in going and name not in (CARD, SUMS)),
        card=card,
        found=(*scanned(CARD, card), *_in_samples(source.view.samples, samples)),
        clinical=clinical(home, job.of),
    )
    return Ready(review, folder, sums)


def title_of(home: Path, run: str) -> str:
    """What people call a training."""
    job = runs.job(home, run)
    return job.title if isinstance(job, TrainJob) and job.title else run


def scanned(name: str, text: str) -> tuple[Found, ...]:
    """What of private data seems to stand in a text, line by line."""
    lines = enumerate(text.splitlines(), 1)
    return tuple(Found(code=code, what=what, file=name, line=at) for at, line in lines for code, what in kinds_in(line).items())


def _in_samples(samples: tuple[Sample, ...], shown: bool) -> tuple[Found, ...]:
    """What its answers hold, also where they are not shown: what a model says of examples it may say to anybody."""
    if shown:
        return ()  # they stand in the card
    said = (" ".join(f"{one.prompt} {one.before} {one.after}".split()) for one in samples)
    return scanned("its answers to the examples kept aside", "\n".join(said))


def _language(samples: tuple[Sample, ...]) -> str:
    """The language of the examples, by those kept aside that were answered; empty where it is not plain."""
    return language_of([Example(row=at, text=f"{one.prompt} {one.reference}") for at, one in enumerate(samples)]) if samples else ""


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _as_made(folder: Path, sums: dict[str, str]) -> None:
    changed = sorted(name for name, right in sums.items() if not (folder / name).is_file() or digest(folder / name) != right)
    if changed:
        raise UserError(f"{changed[0]} was changed since it was made.", "Make it again, then publish it.", code="changed")


def _no_places(folder: Path, going: list[str], card: str) -> None:
    """Raise UserError where a folder of this computer or a key of the Hub stands in what would go."""
    texts = {CARD: card} | {
        name: (folder / name).read_text("utf-8", errors="replace")
        for name in going
        if name.endswith(TEXTS) and name != "tokenizer.json" and (folder / name).stat().st_size <= MOST_TEXT
    }
    for name, text in texts.items():
        if str(Path.home()) in text and len(Path.home().parts) > 2:
            raise UserError(f"A folder of this computer stands in {name}.", "Make it again, then publish it.", code="place")
        if masked(text) != text:
            raise UserError(f"A key of the Hugging Face Hub stands in {name}.", "Take it out of the examples or the name.", code="secrets")
