"""Owns transformers and PEFT in a fresh process, as a runtime: a folder loaded the way others will load it.

Invariant: the process that answers has seen nothing but the folder (and, for an adapter, its base); our encoder is not used in it.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loralab.runtimes.adapter_trial import Trial
from loralab.runtimes.llama.parent import InChild

ADAPTER = "adapter_config.json"


class Folder(InChild):
    """A folder in a fresh process: a Runtime. `base` is the base model's folder where `folder` is an adapter's."""

    def __init__(self, folder: Path, base: Path | None = None) -> None:
        super().__init__("transformers", str(base or folder), str(folder) if base else "")


# ---- in the child ----------------------------------------------------------------------------------------------------------


class Transformers(Trial):
    """The child's side: a backend of loralab.runtimes.llama.child."""

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
        return self.tail(ids, 0)

    def tail(self, ids: list[int], start: int) -> bytes:
        import torch

        with torch.no_grad():
            rows = self._model(input_ids=torch.tensor([ids])).logits[0, start:].double().log_softmax(-1)
        return rows.float().numpy().tobytes()

    def generate(self, ids: list[int], limit: int) -> list[int]:
        import torch

        asked = torch.tensor([ids])
        stops = sorted(self._ends())
        told = self._model.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            max_new_tokens=limit,
            do_sample=False,
            num_beams=1,
            eos_token_id=stops or None,
            pad_token_id=stops[0] if stops else 0,
        )
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
