"""Owns transformers and PEFT in a fresh process, as a runtime: a folder loaded the way others will load it.

Invariant: the process that answers has seen nothing but the folder (and, for an adapter, its base); our encoder is not used in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from loralab.exports._llama.parent import Child

ADAPTER = "adapter_config.json"


class Folder:
    """A folder in a fresh process: a Runtime. `base` is the base model's folder where `folder` is an adapter's."""

    def __init__(self, folder: Path, base: Path | None = None) -> None:
        self._child = Child("transformers")
        self.name = self._child.version
        try:
            model, adapter = (base, folder) if base else (folder, "")
            self._child.ask("open", model=str(model), adapter=str(adapter), context=0, threads=0)
        except Exception:
            self._child.close()
            raise

    def tokenize(self, text: str, *, added: bool = True) -> list[int]:
        return self._child.ask("tokenize", text=text, added=added)[0]

    def chat_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return self._child.ask("chat_ids", messages=list(messages))[0]

    def logits(self, ids: Sequence[int]) -> Any:
        return np.frombuffer(self._child.ask("logits", ids=list(ids))[1], np.float32).reshape(len(ids), -1)

    def generate(self, ids: Sequence[int], limit: int) -> list[int]:
        return self._child.ask("generate", ids=list(ids), limit=limit)[0]

    def ends(self, token: int) -> bool:
        return self._child.ask("ends", token=token)[0]

    def close(self) -> None:
        self._child.close()


# ---- in the child ----------------------------------------------------------------------------------------------------------


class Transformers:
    """The child's side: a backend of loralab.exports._llama.child."""

    def __init__(self) -> None:
        self.version = f"transformers {version('transformers')}, PEFT {version('peft')}"

    def open(self, model: str, adapter: str, context: int, threads: int) -> None:  # noqa: ARG002  (sizes and threads are torch's own)
        """Load a model in fp32 and, where named, an adapter over it."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        found: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        if adapter:
            from peft import PeftModel

            found = PeftModel.from_pretrained(found, adapter)
        self._model: Any = found.eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(adapter or model)

    def tokenize(self, text: str, added: bool) -> list[int]:
        return self._tokenizer(text, add_special_tokens=added)["input_ids"]

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        return self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]

    def logits(self, ids: list[int]) -> bytes:
        import torch

        with torch.no_grad():
            rows = self._model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        return rows.float().numpy().tobytes()

    def generate(self, ids: list[int], limit: int) -> list[int]:
        import torch

        asked = torch.tensor([ids])
        stops = sorted(self._ends())
        told = self._model.generate(
            input_ids=asked, attention_mask=torch.ones_like(asked), max_new_tokens=limit, do_sample=False, num_beams=1,
            eos_token_id=stops or None, pad_token_id=stops[0] if stops else 0,
        )  # fmt: skip
        return told[0, len(ids) :].tolist()

    def ends(self, token: int) -> bool:
        return token in self._ends()

    def _ends(self) -> set[int]:
        """By what the folders say: the generation settings, and the tokenizer's end-of-text, which most programs add."""
        listed = self._model.generation_config.eos_token_id
        found = set(listed if isinstance(listed, list) else [listed]) | {self._tokenizer.eos_token_id}
        return {int(i) for i in found if i is not None}


def base_of(folder: Path) -> str:
    """The base an exported adapter says it belongs to."""
    return str(json.loads((folder / ADAPTER).read_text("utf-8")).get("base_model_name_or_path") or "")
