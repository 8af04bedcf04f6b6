"""Owns the whole model with the adapter merged into it: one folder that needs no PEFT.

Invariant: it is merged in fp32, read back from the disk, and how far its answers are from base plus adapter is measured and recorded.
"""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

from loralab.errors import Problem, UserError
from loralab.exports import Format, Note, Source, adapter
from loralab.exports._files import copy_tokenizer, write_papers

EXACT_BELOW = 1_000_000_000  # parameters; smaller models are kept in fp32, larger ones in bf16, half the size
PROBE = 32  # tokens of the prompt on which merged and unmerged are compared
FAR = 0.5  # logits further apart than this are no rounding


def refuse(source: Source) -> Problem | None:
    """Needs what an adapter needs, and its base."""
    if not (source.model / "config.json").is_file():
        return Problem(code="not_downloaded", what="The base model is not on this computer any more.", todo="Download it again.")
    return adapter.refuse(source)


def needs_bytes(source: Source) -> int:
    """fp32 at worst: twice a half-precision base."""
    return 2 * sum(path.stat().st_size for path in source.model.glob("*.safetensors"))


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge, write, read back, compare. Raises UserError when the result does not answer as base plus adapter does."""
    import torch
    from peft import PeftModel

    from loralab.train.model import load_base

    cpu = torch.device("cpu")
    note("loading the model")
    model: Any = PeftModel.from_pretrained(load_base(source.model, "fp32", cpu), str(source.adapter)).eval()
    wanted = _logits(model)
    note("merging")
    merged = model.merge_and_unload(safe_merge=True)
    small = sum(p.numel() for p in merged.parameters()) < EXACT_BELOW
    merged = merged if small else merged.to(torch.bfloat16)
    note("writing the model")
    merged.save_pretrained(target)
    del model, merged
    gc.collect()
    note("reading it back")
    difference = float((_logits(load_base(target, "fp32", cpu)) - wanted).abs().max())
    if not difference < FAR:
        raise UserError("The merged model does not answer like the adapter.", "Take the adapter itself instead.", code="merge_differs")
    copy_tokenizer(source, target)
    if (source.model / "generation_config.json").is_file():
        shutil.copyfile(source.model / "generation_config.json", target / "generation_config.json")
    write_papers(source, target, merged=True)
    return {"max_logit_difference": difference, "dtype": "fp32" if small else "bf16"}


def _logits(model: Any) -> Any:
    import torch

    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(PROBE)[None] * 37 % vocabulary  # any tokens will do, as long as they are the same ones
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


FORMAT = Format(
    name="merged", label="Whole model, adapter merged in", words="Large; one folder that any program for Hugging Face models loads.",
    refuse=refuse, needs_bytes=needs_bytes, export=export, zipped=False,
)  # fmt: skip
