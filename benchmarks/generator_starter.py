"""Trains the starter that draws on Noto Emoji (Apache-2.0, Google; emoji-datasource-google 16.0.0). Run by whoever remakes it:

    python -m benchmarks.generator_starter noto_emoji_64.zip work_folder --steps 4000

Every step follows from the seed and its number alone, so a stopped training goes on as if it had not been: what comes out depends on seed
and steps (and, in the last digits, on the processor). `work_folder` gets train.pt (to go on from), model.safetensors (averaged weights,
fp16), config.json and samples.png.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from loralab.runtimes.vision.drawing import laid_out
from loralab.runtimes.vision.draws import SIDE, Draws

BATCH, RATE, WARM_UP, KEEP = 32, 1e-3, 100, 0.998  # KEEP: of the averaged weights, a step
CATEGORIES = {"Smileys & Emotion": "smiley", "Animals & Nature": "animal", "Food & Drink": "food", "Activities": "play", "Symbols": "shape"}
SHAPES = re.compile(r"\b(circle|square|diamond|triangle)\b")  # of the symbols, those that are shapes with colours
SHOWN = (
    "red apple",
    "dog face",
    "pizza",
    "grinning face",
    "blue heart",
    "evergreen tree",
    "soccer ball",
    "blue square",
    "fish",
    "sunflower",
    "hamburger",
    "purple apple",
)


def pictures(zipped: Path) -> tuple[Tensor, list[str], list[str]]:
    """Pictures [n, 3, SIDE, SIDE] of -1..1 on white, their names and a word for their category. No people, flags, letters or signs."""
    found, names, kinds = list[Tensor](), list[str](), list[str]()
    with zipfile.ZipFile(zipped) as archive:
        for row in csv.DictReader(io.TextIOWrapper(archive.open("metadata.csv"), "utf-8")):
            name, kind = row["text"].replace(":", " "), CATEGORIES.get(row["category"])
            if kind is None or "skin tone" in name or (kind == "shape" and not SHAPES.search(name)):
                continue
            picture = Image.open(archive.open(row["file"])).convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            small = Image.alpha_composite(white, picture).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
            found.append(torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(SIDE, SIDE, 3).permute(2, 0, 1) / 127.5 - 1)
            names.append(name)
            kinds.append(kind)
    return torch.stack(found), names, kinds


def told(words: str) -> None:
    """Say how far it is."""
    sys.stderr.write(f"{words}\n")


def main() -> None:
    """Train until `--steps` are done."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("zipped", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--steps", type=int, default=4000)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--threads", type=int, default=2)
    options = asked.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    data, names, kinds = pictures(options.zipped)
    told(f"{len(data)} pictures")
    model, averaged = laid_out(Draws()), Draws()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, (0.9, 0.99), weight_decay=0.01, fused=True)
    averaged.load_state_dict(model.state_dict())
    step = 0
    if (kept := options.folder / "train.pt").is_file():
        state = torch.load(kept, weights_only=True)
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    began, losses = time.monotonic(), list[float]()
    while step < options.steps:
        losses.append(one_step(model, optimizer, data, names, kinds, options.seed * 1_000_003 + step))
        step += 1
        average(averaged, model, step)
        if step % 50 == 0:
            seconds = (time.monotonic() - began) / len(losses)
            told(f"{step} loss {sum(losses[-50:]) / 50:.4f} {seconds:.2f} s/step")
        if step % 200 == 0 or step == options.steps:
            state = {"model": model.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            torch.save(state, kept.with_suffix(".part"))
            kept.with_suffix(".part").rename(kept)
            save(averaged, options.folder, step, options.seed, len(data))


def one_step(model: Any, optimizer: Any, data: Tensor, names: list[str], kinds: list[str], seed: int) -> float:
    """One update on pictures, times and noise that follow from `seed`."""
    chance = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(data), (BATCH,), generator=chance)
    times = torch.sigmoid(torch.randn(BATCH, generator=chance))
    noise = torch.randn(BATCH, 3, SIDE, SIDE, generator=chance)
    ways = torch.rand(BATCH, generator=chance).tolist()  # a caption is left out, the category alone, the name alone, or both
    captions = []
    for i, way in zip(chosen.tolist(), ways, strict=True):
        captions.append("" if way < 0.1 else kinds[i] if way < 0.2 else names[i] if way < 0.7 else f"{names[i]} {kinds[i]}")
    picture = data[chosen]
    noisy = torch.lerp(picture, noise, times[:, None, None, None])
    with torch.autocast("cpu", torch.bfloat16):
        found = model(noisy, times, captions)
    loss = (found.float() - (noise - picture)).pow(2).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for group in optimizer.param_groups:
        group["lr"] = RATE * min(1.0, (optimizer.state[group["params"][0]].get("step", torch.zeros(())).item() + 1) / WARM_UP)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


@torch.no_grad()
def average(averaged: Draws, model: Draws, step: int) -> None:
    """Averaged weights take a little of the present ones."""
    share = 1 - min(KEEP, (1 + step) / (10 + step))
    for kept, now in zip(averaged.parameters(), model.parameters(), strict=True):
        kept.lerp_(now, share)


def save(model: Draws, folder: Path, step: int, seed: int, pictures_seen: int) -> None:
    """The starter as it now is, and what it draws."""
    save_file({name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    config = {"architecture": "Draws", "side": SIDE, "steps": step, "batch": BATCH, "seed": seed, "pictures": pictures_seen}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    grid = sheet(model)
    Image.fromarray(grid.numpy()).resize((grid.shape[1] * 4, grid.shape[0] * 4), Image.Resampling.BICUBIC).save(folder / "samples.png")


@torch.no_grad()
def sheet(model: Draws, steps: int = 20, guidance: float = 3.0) -> Tensor:
    """What is drawn of SHOWN, three each, as pixels [3 * SIDE, len(SHOWN) * SIDE, 3]."""
    captions = [word for word in SHOWN for _ in range(3)]
    x = torch.randn(len(captions), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))
    told, free = model.reader(captions), model.reader([""] * len(captions))
    for i in range(steps):
        times = torch.full((len(captions),), 1 - i / steps)
        with_words, without = model.flow(x, times, told), model.flow(x, times, free)
        x = x - (without + guidance * (with_words - without)) / steps
    pixels = ((x.clamp(-1, 1) + 1) * 127.5).byte().view(len(SHOWN), 3, 3, SIDE, SIDE)
    return pixels.permute(1, 3, 0, 4, 2).reshape(3 * SIDE, len(SHOWN) * SIDE, 3)


if __name__ == "__main__":
    main()
