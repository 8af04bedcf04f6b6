"""Owns an adapter being held against its base by PEFT itself, in a child: the tensors it should hold, and whether it changes anything.

Invariant: nothing is guessed from names. The base's own parts (built without weights) and PEFT's own reading of the settings decide.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import psutil
from safetensors import safe_open

WEIGHTS = "adapter_model.safetensors"
PROBE = 48  # tokens on which the base is asked with and without
ROOM = 1.3  # of a model's bytes: what loading and asking it takes
SAME = 2.0**-7  # of a number: two copies of a matrix may differ by what sixteen bits round


class Trial:
    """What a child can be asked about an adapter; every answer is plain JSON."""

    def ready(self) -> bool:
        """Load the libraries, so that what is asked next is quick."""
        import peft  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import transformers  # noqa: F401  # pyright: ignore[reportUnusedImport]

        return True

    def expected(self, model: str, adapter: str) -> dict[str, Any]:
        """Shapes: of the base's weights by name (`weights`), and of the tensors an adapter of these settings has (`tensors`).

        `reason` says why PEFT finds no place for one: none (no part of that name), unreadable; `said` is what it said; `unknown` are
        settings it reads past.
        """
        import torch
        from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
        from transformers import AutoConfig, AutoModelForCausalLM

        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            base: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model, local_files_only=True))
            weights = {f"{name}.weight": list(part.weight.shape) for name, part in base.named_modules() if _weighted(part)}
            found: dict[str, Any] = {"weights": weights, "tensors": {}, "reason": "", "said": ""}
            listed: dict[str, Any] = json.loads((Path(adapter) / "adapter_config.json").read_text("utf-8"))
            found["unknown"] = sorted(set(filter(listed.get, listed)) - {known.name for known in fields(LoraConfig)})
            try:
                settings: Any = LoraConfig.from_pretrained(adapter)
                settings.init_lora_weights = True  # how it began is over
                over = get_peft_model(base, settings, low_cpu_mem_usage=True)
                tensors = get_peft_model_state_dict(over, save_embedding_layers=False)
            except Exception as error:  # noqa: BLE001  whatever in foreign settings PEFT stumbles over
                none = isinstance(error, ValueError) and any(word in str(error) for word in ("not found", "No modules", "excluded"))
                return found | {"reason": "none" if none else "unreadable", "said": f"{error}"}
        return found | {"tensors": {name: list(tensor.shape) for name, tensor in tensors.items()}}

    def strangers(self, model: str, file: str, copies: dict[str, str]) -> list[str]:
        """Of tensors in `file` that should be copies of the base's (name there -> name in the base): those that are not."""
        with safe_open(file, "pt") as given:
            return [name for name, origin in copies.items() if not _same(given.get_tensor(name), _of_base(Path(model), origin))]

    def tried(self, model: str, adapter: str) -> dict[str, float]:
        """How far the base's answers are from its own with the adapter over it: `change` and `largest` logit; {} for want of memory."""
        import torch
        from peft import PeftModel

        from loralab.runtimes.base_model import load_base

        weights = sum(path.stat().st_size for path in Path(model).glob("*.safetensors")) / 2  # sixteen bits each, or fewer of them
        free = psutil.virtual_memory().available
        if 2 * ROOM * weights > free:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            base = load_base(Path(model), "fp32" if 4 * ROOM * weights < free else "bf16", torch.device("cpu"))
            over: Any = PeftModel.from_pretrained(base, adapter).eval()
        ids = torch.arange(PROBE)[None] * 37 % base.config.get_text_config().vocab_size
        with torch.no_grad():
            told = over(input_ids=ids).logits.float()
            with over.disable_adapter():
                alone = over(input_ids=ids).logits.float()
        change = float((told - alone).abs().max())
        return {"change": change if math.isfinite(change) else -1.0, "largest": float(alone.abs().max())}


def _weighted(part: Any) -> bool:
    weight = getattr(part, "weight", None)
    return weight is not None and weight.ndim > 0


def _of_base(folder: Path, name: str) -> Any:
    """A weight of the base, as its files have it: also without the model's own first name, or where it is the embedding."""
    ends = (name, name.partition(".")[2], *(("embed_tokens.weight", "wte.weight", "embed_in.weight") if "lm_head" in name else ()))
    names: Mapping[str, Path] = _files_of(folder)
    for end in filter(None, ends):
        for known, file in names.items():
            if known == end or known.endswith(f".{end}"):
                with safe_open(file, "pt") as base:
                    return base.get_tensor(known)
    return None


def _files_of(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as base:
            found |= dict.fromkeys(base.keys(), file)
    return found


def _same(given: Any, base: Any) -> bool:
    import torch

    if base is None or given.shape != base.shape:
        return False
    least = SAME * 1e-3 * float(base.float().abs().max())
    return torch.allclose(given.float(), base.float(), rtol=SAME, atol=least)
