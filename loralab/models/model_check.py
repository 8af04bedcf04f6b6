"""Owns the answer to “can this model be trained here?”: the catalogue's entry, the check of a folder, and the words for both.

Invariant: a check reads names, JSON and headers; it never loads weights, runs a model's own code or asks the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from loralab.core.errors import Problem
from loralab.core.records import Record
from loralab.core.words import size
from loralab.models import model_folder
from loralab.models.model_folder import Shape
from loralab.models.seeing import Seeing

# What reading JSON that is not as it should be can raise: nonsense where a number, a name or a list belongs.
DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


class Package(Record):
    """A file of the package index with a model inside."""

    name: str
    version: str
    file: str  # the GGUF in it
    bytes: int
    sha256: str


class ModelEntry(Record):
    """A model of the catalogue. Sizes in bytes, lengths in tokens; the measures are those of its config.json."""

    name: str
    title: str  # as people know it
    source: Literal["bundled", "package", "hub"]  # where it is fetched from
    hub_id: str = ""  # of a package: the Hub's copy, which is a second source
    package: Package | None = None
    good_for: tuple[str, ...] = ()  # sort, answer, write, chat, code, think
    languages: tuple[str, ...] = ()  # ISO 639-1
    licence: str
    gated: bool = False  # its owner asks people to sign in and accept terms first
    parameters: int = Field(gt=0)
    context: int = Field(gt=0)
    architecture: str
    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    mlp_matrices: int
    tied: bool
    template: str  # chatml, llama3, gemma, ...; none: a base model, gets the plain template
    weights: str = "safetensors"  # pickle: an older file, converted safely after the download
    download_bytes: int = 0
    words: str = ""
    present: bool = False  # on this computer

    @property
    def shape(self) -> Shape:
        """The measures alone."""
        return Shape(**{name: getattr(self, name) for name in Shape.model_fields})


class ModelCheck(Record):
    """Whether a model can be trained here. `words` is the plain answer; problems of severity error stand in the way."""

    name: str
    ok: bool
    folder: Path
    entry: ModelEntry | None = None
    present: bool = False
    shape: Shape | None = None  # None: nothing is known before it is downloaded
    seeing: Seeing | None = None  # of a model that sees; of one that reads None
    download_bytes: int = 0  # what there is to fetch, as far as is known
    parameters: int = 0
    attention_linear: int = 0  # weights in attention matrices, all layers
    mlp_linear: int = 0  # weights in feed-forward matrices, all layers
    dtype_bytes: int = 2  # of one weight as stored
    file: bool = False  # a GGUF file that is here and of which a folder is still to be made: fetching it means unpacking
    template: bool = False  # it came with a chat template of its own
    problems: tuple[Problem, ...] = ()
    words: str = ""

    @property
    def architecture(self) -> str:
        return self.shape.architecture if self.shape else ""

    @property
    def context(self) -> int:
        """Longest text in tokens; 2,048 where it is not known yet."""
        return self.shape.context if self.shape else 2048

    @property
    def linear(self) -> int:
        """Weights an adapter can sit beside: what every token is multiplied with."""
        return self.attention_linear + self.mlp_linear


def absent(name: str, folder: Path, entry: ModelEntry | None, close: Sequence[str] = ()) -> ModelCheck:
    """The check of a model that is not on this computer: what is known of it, and the next step."""
    problem = _missing(name, entry, close)
    shape = entry.shape if entry else None
    return ModelCheck(
        name=name,
        ok=False,
        folder=folder,
        entry=entry,
        shape=shape,
        download_bytes=entry.download_bytes if entry else 0,
        parameters=entry.parameters if entry else 0,
        attention_linear=shape.attention_linear if shape else 0,
        mlp_linear=shape.mlp_linear if shape else 0,
        template=bool(entry and entry.template != "none"),
        problems=(problem,),
        words=str(problem),
    )


def packed(name: str, folder: Path, file: Path) -> ModelCheck:
    """The check of a GGUF file of which no folder was made yet. Raises UserError for one that cannot be trained."""
    from loralab.models.gguf import unfold

    about = unfold.about(file, file.stat().st_mtime_ns)
    shape = model_folder.shape_of(dict(about.config))
    what = f"{file.name} is a model in one file. LoRALab can train it once it has unpacked it into its workspace ({size(about.bytes)})."
    what += f" {lost(about.bits)}" if about.bits else ""
    problem = Problem(code="not_downloaded", what=what, todo="Unpack it.")
    return ModelCheck(
        name=name,
        ok=False,
        folder=folder,
        shape=shape,
        file=True,
        download_bytes=about.bytes,
        parameters=about.parameters,
        attention_linear=shape.attention_linear,
        mlp_linear=shape.mlp_linear,
        template=about.template,
        problems=(problem,),
        words=str(problem),
    )


def _missing(name: str, entry: ModelEntry | None, close: Sequence[str]) -> Problem:
    if entry is None:
        hint = f" Or did you mean {' or '.join(close)}?" if close else ""
        return Problem(
            code="not_downloaded", what=f"{name} is not on this computer yet.", todo=f"Download it; its size is shown first.{hint}"
        )
    if entry.source == "bundled":
        what = "The bundled starter model is missing from data/starter/text."
        return Problem(code="no_starter", what=what, todo="Get a complete copy of LoRALab.")
    download = size(entry.download_bytes)
    if entry.gated:
        what = f"{entry.name} is not on this computer yet ({download}), and its owner asks you to accept the {entry.licence} terms first."
        return Problem(code="not_downloaded", what=what, todo=gated_steps(entry.hub_id))
    return Problem(code="not_downloaded", what=f"{entry.name} is not on this computer yet.", todo=f"Download it ({download}).")


def gated_steps(hub_id: str) -> str:
    """What to do to be let in to a model whose owner asks for it."""
    return f"Open huggingface.co/{hub_id} and accept the terms, keep your Hugging Face token under “About this computer”, then download it."


def present(name: str, folder: Path, entry: ModelEntry | None) -> ModelCheck:
    """The check of a model whose files are here."""
    names = {p.name for p in folder.iterdir()}
    try:
        config = model_folder.read_json(folder / "config.json")
        problems = model_folder.obstacles(config, names)
        shape = model_folder.shape_of(config) if config else None
        own = model_folder.own_template(folder)
        total, dtype_bytes, parts, broken = _weights(folder)
    except DAMAGED as error:
        damaged = Problem(code="damaged_model", what=f"A file of this model is damaged ({error}).", todo="Download it again.")
        return ModelCheck(name=name, ok=False, folder=folder, entry=entry, present=True, problems=(damaged,), words=str(damaged))
    problems += broken + _squeezed(folder)
    if not own:
        problems.append(
            Problem(
                code="no_template",
                what="This model has no chat format of its own.",
                todo="LoRALab uses a plain User/Assistant format.",
                severity="info",
            )
        )
    ok = not any(p.severity == "error" for p in problems)
    words = next((str(p) for p in problems if p.severity == "error"), "") or f"{name} can be trained: {count_words(total)} parameters."
    words += "".join(f" {p.what}" for p in problems if p.code == "was_squeezed")
    exact = bool(parts["attention"] and parts["mlp"])
    return ModelCheck(
        name=name,
        ok=ok,
        folder=folder,
        entry=entry,
        present=True,
        shape=shape,
        dtype_bytes=dtype_bytes,
        template=bool(own),
        parameters=total or (shape.parameters if shape else 0),
        attention_linear=parts["attention"] if exact else shape.attention_linear if shape else 0,
        mlp_linear=parts["mlp"] if exact else shape.mlp_linear if shape else 0,
        problems=tuple(problems),
        words=words,
    )


def _squeezed(folder: Path) -> list[Problem]:
    """What is said of a model that came as a squeezed file."""
    words = lost(squeezed_bits(folder))
    return [Problem(code="was_squeezed", what=words, todo="It can be trained all the same.", severity="info")] if words else []


def squeezed_bits(folder: Path) -> int:
    """Bits of a number in the squeezed file a folder was made of; 0 where it was made of none."""
    try:
        return int(model_folder.read_json(folder / model_folder.MARKER).get("bits") or 0)
    except DAMAGED:
        return 0


def lost(bits: int) -> str:
    """The honest sentence about what a squeezed file has lost; empty where nothing was."""
    if not bits:
        return ""
    much = "a little" if bits > 5 else "some"
    return f"Whoever made this file squeezed the model to {bits} bits a number, and {much} of what it knew was lost on the way."


def _weights(folder: Path) -> tuple[int, int, dict[str, int], list[Problem]]:
    files = model_folder.weight_files(folder)
    missing = [p.name for p in files if not p.is_file()]
    if missing:
        gap = Problem(
            code="incomplete_download",
            what=f"A part of the weights is missing ({missing[0]}).",
            todo="Download the model again; what is there is kept.",
        )
        return 0, 2, {"attention": 0, "mlp": 0, "other": 0}, [gap]
    return *model_folder.count_weights(files), []


def count_words(n: int) -> str:
    """A number of parameters as people say it."""
    return f"{n / 1e9:.1f} billion" if n >= 1e9 else f"{n / 1e6:.0f} million"
