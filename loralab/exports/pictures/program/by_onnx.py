"""The model in ONNX Runtime; everything it has to know is in the file itself."""

import json
from pathlib import Path
from typing import Any

import numpy as np


class Model:
    """`card`: what the file says about itself. `program`: what computes."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
        self.card = {name: json.loads(text) for name, text in self.session.get_modelmeta().custom_metadata_map.items()}
        self.program = f"ONNX Runtime {onnxruntime.__version__}"

    def outputs(self, pixels: np.ndarray) -> list[Any]:
        """What the model says of pictures [n, height, width, 3] in 0..255."""
        order = [self.card["channels"].index(channel) for channel in "RGB"]
        given = pixels[..., order].transpose(0, 3, 1, 2).astype(np.float32)
        return list(self.session.run(None, {"pixels": np.ascontiguousarray(given)}))


def load(folder: Path, base: Path | None = None) -> Model:
    """The model in a folder; it needs no other."""
    del base
    return Model(folder)
