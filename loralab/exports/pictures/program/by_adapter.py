"""The adapter on its base model, in PyTorch and PEFT."""

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
        import peft
        import torch

        self.program = f"PyTorch {torch.__version__}, PEFT {peft.__version__}"

    def outputs(self, pixels: np.ndarray) -> list[Any]:
        """What the model says of pictures [n, height, width, 3] in 0..255."""
        import torch

        given = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            return [one.numpy() for one in self.told(given)]


def load(folder: Path, base: Path | None = None) -> Model:
    """The adapter in a folder on the model in another, the one it was trained on."""
    import peft

    beside: Any = importlib.import_module("model")  # model.py lies beside this program

    if base is None:
        raise SystemExit("Name the folder of the base model, too.")
    card = json.loads((folder / "pictures.json").read_text("utf-8"))
    whole = beside.made(card, base)
    tuned: Any = peft.PeftModel.from_pretrained(whole, str(folder))
    return Model(folder, beside.Told(tuned.get_base_model(), card["task"], card["temperature"]).eval())
