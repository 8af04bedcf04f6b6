"""The whole model in PyTorch."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np


class Model:
    """`card`: what pictures.json says. `program`: what computes."""

    def __init__(self, folder: Path, told: Any) -> None:
        self.card = json.loads((folder / "pictures.json").read_text("utf-8"))
        self.told = told
        import torch

        self.program = f"PyTorch {torch.__version__}"

    def outputs(self, pixels: np.ndarray) -> list[Any]:
        """What the model says of pictures [n, height, width, 3] in 0..255."""
        import torch

        given = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            return [one.numpy() for one in self.told(given)]


def load(folder: Path, base: Path | None = None) -> Model:
    """The model in a folder; it needs no other."""
    del base
    from safetensors.torch import load_file

    beside: Any = importlib.import_module("model")  # model.py lies beside this program

    card = json.loads((folder / "pictures.json").read_text("utf-8"))
    whole = beside.made(card)
    whole.load_state_dict(load_file(folder / "model.safetensors"))
    return Model(folder, beside.Told(whole, card["task"], card["temperature"]).eval())
