"""Owns the whole model with the adapter merged into it: one folder that needs no PEFT.

Invariant: it is merged in fp32, read back from the disk, and how far its answers are from base plus adapter is measured and recorded.
The model is never in memory twice: what base plus adapter say is noted, then they go, then file is merged to file.
"""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from loralab.core.errors import Problem, UserError
from loralab.exports import Format, Note, Source, Trial, adapter
from loralab.exports._files import copy_tokenizer, encoder_of, write_ends, write_papers
from loralab.exports._merge import PREFIX, SHARD, Layer, joined, layers_of, write
from loralab.exports.parity.folders import merged_inside
from loralab.models.model_folder import count_weights, header, weight_files
from loralab.reports.markdown import word
from loralab.runtimes.fresh import Folder

EXACT_BELOW = 1_000_000_000  # parameters; smaller models are kept in fp32, larger ones in bf16, half the size
PROBE = 32  # tokens of the prompt on which merged and unmerged are compared
FAR = {"fp32": 0.5, "bf16": 2.0}  # logits further apart than this are no rounding, by the numbers they were computed in
QUESTION = "What can you do?"
ROOM = 1.3  # of a model's bytes: what loading and asking it takes


def refuse(source: Source) -> Problem | None:
    """Needs what an adapter needs, and the base it was trained on."""
    if not (source.model / "config.json").is_file():
        return Problem(code="not_downloaded", what="The base model is not on this computer any more.", todo="Download it again.")
    return adapter.refuse(source) or _other_base(source)


def _other_base(source: Source) -> Problem | None:
    """From the heads of the files alone: whether a layer the adapter changes has another width in this base."""
    try:
        known = {name: entry["shape"] for file in weight_files(source.model) for name, entry in header(file).items()}
        learned = header(source.adapter / adapter.WEIGHTS)
    except ValueError as error:
        return Problem(
            code="damaged", what=f"A file of weights is damaged: {error}.", todo="Fetch the base model or train the adapter again."
        )
    for name, entry in learned.items():
        layer, mark, _ = name.removeprefix(PREFIX).rpartition(".lora_A")
        shape = known.get(f"{layer}.weight")
        if mark and shape and entry["shape"][1] not in shape:
            what = f"This adapter was trained on another base model: its layer {layer} is {entry['shape'][1]} wide, here it is {shape[1]}."
            return Problem(code="other_base", what=what, todo="Put the base model back that it was trained on, or train again on this one.")
    return None


def needs_bytes(source: Source) -> int:
    """fp32 at worst: twice a half-precision base."""
    return 2 * sum(path.stat().st_size for path in source.model.glob("*.safetensors"))


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge, write, read back, compare. Raises UserError when the result does not answer as base plus adapter does."""
    import torch

    from loralab.runtimes.base_model import load_base

    cpu = torch.device("cpu")
    weights = count_weights(weight_files(source.model))[0]
    exact = weights < EXACT_BELOW
    precision = "fp32" if 4 * ROOM * weights < psutil.virtual_memory().available else "bf16"
    note("loading the model")
    layers = layers_of(source)
    wanted = _write(source, layers, target, torch.float32 if exact else torch.bfloat16, precision, note)
    gc.collect()
    note("reading it back")
    difference = float((_logits(load_base(target, precision, cpu)) - wanted).abs().max())
    if not difference < FAR[precision]:
        raise UserError("The merged model does not answer like the adapter.", "Take the adapter itself instead.", code="merge_differs")
    copy_tokenizer(source, target)
    with TemporaryDirectory() as folder:
        write_ends(target, encoder_of(source, Path(folder)), source.model)
    write_papers(source, target, merged=True, loading=_loading(source))
    facts = {"max_logit_difference": difference, "dtype": "fp32" if exact else "bf16", "checked_in": precision}
    return facts | {"streamed": bool(layers)}


def _write(source: Source, layers: dict[str, Layer], target: Path, dtype: Any, precision: str, note: Note) -> Any:
    """Write the model; returns what base plus adapter say. Nothing of the model is left in memory."""
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    base = load_base(source.model, precision if layers else "fp32", torch.device("cpu"))
    model: Any = PeftModel.from_pretrained(base, str(source.adapter)).eval()
    wanted = _logits(model)
    if layers:
        del base, model
        gc.collect()
        write(source, layers, target, dtype, note)
        return wanted
    note("merging")
    merged = joined(model).to(dtype)
    note("writing the model")
    merged.save_pretrained(target, max_shard_size=SHARD)
    return wanted


def _loading(source: Source) -> tuple[str, ...]:
    name = word(f"{source.base.name}-{source.run}")
    return (
        "In Python, with this folder as the current one:",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'model = AutoModelForCausalLM.from_pretrained(".")',
        'tokenizer = AutoTokenizer.from_pretrained(".")',
        f'asked = [{{"role": "user", "content": "{QUESTION}"}}]',
        'ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
        "print(tokenizer.decode(model.generate(**ids, max_new_tokens=200)[0]))",
        "```",
        "",
        "With vLLM (Linux and a graphics card), as a server that speaks OpenAI's protocol:",
        "",
        "```sh",
        f"vllm serve . --served-model-name {name}",
        "```",
    )


def _logits(model: Any) -> Any:
    import torch

    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(PROBE)[None] * 37 % vocabulary  # any tokens will do, as long as they are the same ones
    with torch.no_grad():
        return model(input_ids=ids).logits.float()


def _opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The folder, by transformers in a fresh process."""
    return Folder(folder)


def _inside(source: Source, folder: Path, trained: Any) -> Any:
    return merged_inside(source, folder, trained, kind_of(source))


def kind_of(source: Source) -> str:
    """The type of the numbers in the result."""
    return "f32" if count_weights(weight_files(source.model))[0] < EXACT_BELOW else "bf16"


FORMAT = Format(
    name="merged",
    label="Whole model, adapter merged in",
    words="Large; one folder that any program for Hugging Face models loads.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=export,
    zipped=False,
    trial=Trial(open=_opened, inside=_inside, kind=kind_of),
)
