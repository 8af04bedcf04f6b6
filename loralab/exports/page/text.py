"""Owns making a page of a language model, and looking into a finished one; only a worker opens this.

Invariant: the base lies in the page once, as it was, and what was learned beside it as an adapter; where llama.cpp cannot lay it over its
base both are merged, and the page then has no "before".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core.errors import LabError
from loralab.core.parity import Check
from loralab.datasets.loading import load_examples
from loralab.exports import Note, Source, gguf_adapter, gguf_model, ollama
from loralab.exports._files import encoder_of, write_papers
from loralab.exports.gguf import lora, proof, recipe, tokens, writer
from loralab.exports.gguf.inside import adapter_inside, file_inside
from loralab.exports.page import assets, document
from loralab.exports.page.known import UNCERTAIN, known
from loralab.exports.page.told import told
from loralab.exports.parity.trained import Trained
from loralab.models.model_folder import read_json, shape_of
from loralab.reports.card import limits
from loralab.runtimes.llama.parent import LlamaCpp

BASE, LEARNED, PROGRAM = "base.gguf", "learned.gguf", "llama.wasm.gz"
SINGLE = 200_000_000  # bytes of model up to which it is one file; a browser holds letters and numbers of it at once
CONTEXT = 2048  # tokens read at once, where the model has room for them: what a phone's memory holds
ANSWER = 512  # tokens of the longest answer


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Write base and adapter as GGUF, ask llama.cpp for the known answers, and put all of it into a page.

    Returns file (the page, or index.html of the folder), file_bytes, single, known (how many answers it knows), adapter.
    """
    with TemporaryDirectory(dir=target) as folder:
        room = Path(folder)
        parts, answers = _answering(source, room, note)
        over = LEARNED in parts
        (room / PROGRAM).write_bytes(assets.vendored(assets.LLAMA))
        note("writing the page")
        page = _page(source, {PROGRAM: room / PROGRAM, **parts}, answers, over=over)
        single = sum(path.stat().st_size for path in parts.values()) <= SINGLE
        if single:
            file = target / f"{gguf_model.file_name(source)}.html"
            document.write(page, file)
        else:
            file = target / "index.html"
            document.write_folder(page, target)
            for name, path in page.parts.items():
                path.replace(target / name)
    write_papers(source, target, merged=True, loading=_loading(file.name, single=single))
    return {"file": file.name, "file_bytes": file.stat().st_size, "single": single, "known": len(answers), "adapter": over}


def _answering(source: Source, room: Path, note: Note) -> tuple[dict[str, Path], list[dict[str, Any]]]:
    """The files of the model and what llama.cpp answers with them: the adapter over its base, or, where that fails, both as one."""
    if gguf_adapter.refuse(source) is None:
        parts = _models(source, room, note, over=True)
        try:
            return parts, _asked(parts, note)
        except LabError as error:
            if error.problem.code == UNCERTAIN:
                raise
    parts = _models(source, room, note, over=False)
    return parts, _asked(parts, note)


def _asked(parts: dict[str, Path], note: Note) -> list[dict[str, Any]]:
    note("writing down known answers")
    with closing(LlamaCpp(parts[BASE], parts.get(LEARNED), context=512)) as runtime:
        return known(runtime)


def _models(source: Source, room: Path, note: Note, *, over: bool) -> dict[str, Path]:
    """The base and what was learned, or both as one, in `room`."""
    if not over:
        place = room / "merged"
        place.mkdir()
        made = gguf_model.export(source, place, note)
        return {BASE: (place / str(made["file"])).replace(room / BASE)}
    import torch

    from loralab.runtimes.base_model import load_base

    note("loading the model")
    with TemporaryDirectory() as folder:
        encoder = encoder_of(source, Path(folder))
        raw = read_json(source.model / "config.json")
        attention = "eager" if raw.get("attn_logit_softcapping") else "sdpa"
        model = load_base(source.model, "fp32", torch.device("cpu"), attention)
        vocabulary = proof.settled(tokens.read(encoder, model.config.vocab_size), encoder)
        with gguf_model.packing(recipe.VARIANTS[source.variant]) as pack:
            writer.write(room / BASE, model, vocabulary, recipe.VARIANTS[source.variant], gguf_model.label_of(source), note, pack)
    note("writing the adapter")
    lora.write(room / LEARNED, source.adapter, read_json(source.model / "config.json"), "learned")
    return {BASE: room / BASE, LEARNED: room / LEARNED}


def _page(source: Source, parts: dict[str, Path], answers: list[dict[str, Any]], *, over: bool) -> document.Page:
    config = read_json(source.model / "config.json")
    shown = told(source, f"A language model made from {source.base.reference} on one computer.", limits(source.base, source.plan))
    settings = {
        "id": f"{source.run}-{source.variant}",
        "known": answers,
        "adapter": over,
        "system": ollama.system_prompt(source),
        "context": min(shape_of(config).context or CONTEXT, CONTEXT),
        "longest": ANSWER,
        "remember": _in_turns(source),
    }
    return document.Page(shown | {"adapter": over}, settings, parts, assets.LLAMA_CODE, ("common.js", "text.js"), "text.html.jinja")


def _in_turns(source: Source) -> bool:
    """Whether it learned from conversations of several turns: else each question is asked alone, as those it was judged on."""
    try:
        examples, _ = load_examples(Path(str(source.plan.get("dataset") or "")), source.plan.get("roles"), source.plan.get("parts") or ())
    except (LabError, OSError):
        return False
    return any(sum(message.role == "user" for message in example.messages) > 1 for example in examples)


def _loading(name: str, *, single: bool) -> tuple[str, ...]:
    if single:
        return (
            f"Open `{name}` with a double click: it answers in Chrome, Edge or Firefox, without a network. Put it on a USB stick or send",
            "it to somebody; nothing that is typed into it leaves their device.",
        )
    return (
        "It is too large for one file, so it is a folder. With Python on the computer, in this folder:",
        "",
        "```sh",
        "python serve.py",
        "```",
        "",
        "Then open the address that it says. Any web server for files will do, too.",
    )


# ---- looking into a finished page ------------------------------------------------------------------------------------------


def place_of(folder: Path) -> Path:
    """The page in a finished export: its one HTML file, or the folder itself. Raises LabError where there is none."""
    found = sorted(folder.glob("*.html"))
    if len(found) != 1:
        raise LabError(f"There are {len(found)} pages in {folder.name}, where one was made.", "Make it again.", code="no_file")
    return folder if found[0].name == "index.html" else found[0]


def opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """What lies in the page, in llama.cpp."""
    parts = document.parts_into(place_of(folder), room)
    return LlamaCpp(parts[BASE], parts.get(LEARNED), context=context)


def inside(source: Source, folder: Path, trained: Trained) -> Iterator[Check]:
    """Settings, tokenizer and weights of the files in the page, and whether its own programs and answers are in it."""
    with TemporaryDirectory() as place:
        room = Path(place)
        parts = document.parts_into(place_of(folder), room)
        same = parts[PROGRAM].read_bytes() == assets.vendored(assets.LLAMA)
        yield Check(
            name="program", ok=same, words=f"the program for browsers is {'the one' if same else 'not the one'} that LoRALab brings"
        )
        variant = recipe.VARIANTS[source.variant]
        if LEARNED not in parts:
            yield from file_inside(parts[BASE], trained, variant)
            return
        yield from file_inside(parts[BASE], Bare(trained), variant)
        alone = room / "adapter"
        alone.mkdir()
        parts[LEARNED].rename(alone / LEARNED) if parts[LEARNED].parent == room else (alone / LEARNED).symlink_to(parts[LEARNED])
        for check in adapter_inside(source, alone, trained):
            yield check.model_copy(update={"name": f"adapter_{check.name}"})


class Bare(Trained):
    """What was trained, without what was learned: what a file of the base alone must hold."""

    def __init__(self, whole: Trained) -> None:
        self._whole = whole
        self.encoder, self.config, self.shape = whole.encoder, whole.config, whole.shape

    def bare(self) -> dict[str, Any]:
        return self._whole.bare()

    def weight(self, name: str) -> Any:
        return self._whole.bare()[name].detach().float()

    def put(self, name: str, values: Any) -> None:
        self._whole.bare()[name].data.copy_(values)

    def strength(self) -> dict[str, float]:
        return {}
