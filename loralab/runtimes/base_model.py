"""Owns loading a base model. Invariant: safetensors only, no remote code, nothing fetched from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from loralab.core.errors import UserError
from loralab.core.records import SQUEEZED
from loralab.runtimes import squeezed_base
from loralab.runtimes.squeezed_base import TYPES as DTYPES
from loralab.runtimes.squeezed_base import Squeezing


def device() -> torch.device:
    """Where to compute: an NVIDIA card, an Apple GPU or the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def kernel(attention: str) -> str | None:
    """The name transformers loads a model with. None for the fast kernel: some families (Gemma 2) have none and take plain arithmetic."""
    return "eager" if attention == "eager" else None


def load_base(
    folder: Path, precision: str, where: torch.device | None = None, attention: str = "sdpa", *, double: bool = True, compute: str = ""
) -> PreTrainedModel:
    """The causal language model in `folder`, in evaluation mode, every weight frozen.

    `double` and `compute` are of bases in 4 or 8 bits alone, see Squeezing. Raises UserError when the folder holds no safetensors,
    Unavailable when such a base is asked for and bitsandbytes is absent.
    """
    if not (folder / "config.json").exists():
        raise UserError(f"There is no model in {folder}.", "Download it first, or use the starter model.", code="not_downloaded")
    where = where or device()
    if precision in SQUEEZED:
        model = squeezed_base.load(folder, Squeezing(precision, double, compute), where, kernel(attention))
    else:
        model = _plain(folder, precision, attention).to(where)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _plain(folder: Path, precision: str, attention: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=DTYPES[precision],
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        attn_implementation=kernel(attention),
    )
