"""Owns opening an old adapter file (.bin, a pickle) in a process of its own: `python -m loralab.runtimes.unpickle FILE TARGET`.

Invariant: it is only opened in the mode that cannot run programs; only tensors are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Write TARGET as safetensors; the exit code is 0 when FILE held nothing but named tensors."""
    import torch
    from safetensors.torch import save_file

    found = torch.load(Path(arguments[0]), map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not found or not all(isinstance(value, torch.Tensor) for value in found.values()):
        return 1
    save_file({str(name): value.contiguous().clone() for name, value in found.items()}, arguments[1], {"format": "pt"})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
