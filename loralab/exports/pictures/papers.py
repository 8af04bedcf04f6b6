"""Owns what lies beside the weights of an exported model for pictures: its card, its plan, what it tells apart, and programs that run.

Invariant: no path of this computer leaves it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from loralab.exports import Source
from loralab.exports._files import seal
from loralab.exports.pictures import code
from loralab.models.vision import vision_entry
from loralab.reports.card import Origin, shared_plan
from loralab.reports.pictures import picture_card
from loralab.runtimes.vision.picture_model import CARD, PictureCard
from loralab.runtimes.vision.told import told_names

LIBRARY = {"onnx": "onnx", "merged": "pytorch", "adapter": "peft"}
NEEDS = {
    "onnx": "`onnxruntime`, `numpy` and `pillow`",
    "merged": "`torch`, `safetensors`, `numpy` and `pillow`",
    "adapter": "`torch`, `peft`, `numpy` and `pillow`",
}
LARGER = NEEDS | {  # of a larger base
    "merged": "`torch`, `transformers`, `safetensors`, `numpy` and `pillow`",
    "adapter": "`torch`, `transformers`, `peft`, `numpy` and `pillow`",
}


def origin(source: Source) -> Origin:
    """The model that sees, as others know it."""
    entry = vision_entry(str(source.plan.get("base_model", "")))
    return Origin(name=entry.name, hub_id=entry.hub_id, licence=entry.licence) if entry else source.base


def unnamed(source: Source, card: PictureCard) -> Source:
    """Of pictures of patients nothing leaves that somebody named: a file's or a project's name may be a person's."""
    if not card.medical:
        return source
    return replace(source, plan=source.plan | {"dataset": "pictures", "title": "", "roles": {}}, events=())


def write(source: Source, card: PictureCard, target: Path, by: str) -> None:
    """Card, plan, programs and checksums. `by`: what computes, onnx, merged or adapter."""
    source = unnamed(source, card)
    if by != "onnx":
        (target / code.MODEL).write_text(code.model(card), "utf-8")
    (target / code.PROGRAM).write_text(code.program(card, by), "utf-8")
    (target / CARD).write_text(card.model_dump_json(indent=1) + "\n", "utf-8")
    text = picture_card(source.run, source.plan, source.view, card.labels, medical=card.medical)
    text = text.replace("library_name: peft", f"library_name: {LIBRARY[by]}", 1)
    (target / "README.md").write_text(text.rstrip("\n") + "\n\n" + "\n".join(_guide(card, by, origin(source))) + "\n", "utf-8")
    plan = json.dumps(shared_plan(source.plan, origin(source)), indent=2, ensure_ascii=False)
    (target / "plan.json").write_text(plan + "\n", "utf-8")
    seal(target)


def _guide(card: PictureCard, by: str, base: Origin) -> tuple[str, ...]:
    where = "FOLDER_OF_THE_BASE_MODEL " if by == "adapter" else ""
    lies = f"is `{base.hub_id}` on the Hugging Face Hub" if base.hub_id else "lies in LoRALab's folder `data/starter/vision`"
    lies = lies if base.hub_id or not card.base else "is a folder on the computer that trained it"
    base_words = f" Its base model is **{base.name}**, which {lies}." if by == "adapter" else ""
    mean, scale = (", ".join(f"{value:g}" for value in one) for one in (card.mean, card.scale))
    return (
        "## How to use it",
        "",
        f"With Python, {(LARGER if card.base else NEEDS)[by]}.{base_words}",
        "",
        "```sh",
        f"python predict.py {where}PICTURE",
        "```",
        "",
        f"It reads {card.width} x {card.height} pixels in colour (red, green, blue; 0 to 255). `predict.py` makes any picture ready:",
        f"as large as fits, in the middle, with grey ({card.fill}) around it. The model itself takes {mean} off each pixel and",
        f"divides by {scale}.",
        "",
        *_tells(card),
        "",
        *_inside(card, by),
    )


def _tells(card: PictureCard) -> tuple[str, ...]:
    if card.task == "classify":
        sure = f" Where the likeliest is below {card.unsure_below:.2f} it says that it is unsure." if card.unsure_below else ""
        return (f"It tells how likely each class is.{sure}",)
    if card.task == "segment":
        if len(card.labels) == 1:
            return (f"It tells for every pixel how likely it is marked; from {card.threshold:.2f} on `predict.py` marks it.",)
        return ("It tells for every pixel how likely the background and each label are; `predict.py` marks the likeliest.",)
    return (f"It tells where things are; `predict.py` shows those it is at least {card.threshold:.2f} sure of.",)


def _inside(card: PictureCard, by: str) -> tuple[str, ...]:
    if by == "onnx":
        told = " and ".join(f"`{name}`" for name in told_names(card.task, own_head=card.own_head))
        return (
            f"`model.onnx` takes `pixels` [batch, 3, {card.height}, {card.width}] and gives {told}; labels, size, threshold and",
            "what is done to a picture stand in its metadata, so the file is enough.",
        )
    if by == "merged":
        how = "adapter merged" if card.base else "batch norms folded in, adapter merged"
        return (f"`model.safetensors` holds the whole model ({how}), `model.py` is that model in PyTorch.",)
    return ("`adapter_model.safetensors` holds what was learned: the adapter and the whole part that answers.",)
