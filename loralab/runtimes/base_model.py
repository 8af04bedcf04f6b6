"""Owns loading a base model. Invariant: safetensors only, no remote code, nothing fetched from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from loralab.core.errors import Unavailable, UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "nf4": torch.bfloat16}


def device() -> torch.device:
    """Where to compute: an NVIDIA card, an Apple GPU or the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def kernel(attention: str) -> str | None:
    """The name transformers loads a model with. None for the fast kernel: some families (Gemma 2) have none and take plain arithmetic."""
    return "eager" if attention == "eager" else None


def load_base(folder: Path, precision: str, where: torch.device | None = None, attention: str = "sdpa") -> PreTrainedModel:
    """The causal language model in `folder`, in evaluation mode, every weight frozen.

    Raises UserError when the folder holds no safetensors, Unavailable when 4-bit is asked for and bitsandbytes is absent.
    """
    if not (folder / "config.json").exists():
        raise UserError(f"There is no model in {folder}.", "Download it first, or use the starter model.", code="not_downloaded")
    where = where or device()
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=DTYPES[precision],
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        attn_implementation=kernel(attention),
        **_quantised(precision, where),
    )
    if precision != "nf4":
        model.to(where)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _quantised(precision: str, where: torch.device) -> dict[str, Any]:
    if precision != "nf4":
        return {}
    try:
        import bitsandbytes  # noqa: F401, PLC0415  # pyright: ignore[reportMissingImports, reportUnusedImport]  (an optional part, for 4-bit plans)
    except ImportError as error:
        todo = "Install it (pip install bitsandbytes) or choose bf16."
        raise Unavailable("4-bit training needs the bitsandbytes package, which is not installed.", todo, code="no_bitsandbytes") from error
    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16, bnb_4bit_use_double_quant=True
    )
    return {"quantization_config": settings, "device_map": {"": str(where)}}
