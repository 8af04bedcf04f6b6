"""Owns the faults that are put into finished exports: each changes one thing in a folder, as a wrong converter would have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.support import gguf_models

# ---- files of GGUF ---------------------------------------------------------------------------------------------------------


def _rewrite(folder: Path, values: dict[str, Any], tensors: Callable[[str, Any], Any] = lambda name, data: data) -> None:
    """The file again with other header values (None: without) and other numbers (None: without that tensor)."""
    path = next(folder.glob("*.gguf"))
    old = path.rename(path.with_suffix(".old"))
    reader = gguf.GGUFReader(old)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, arch)
    written = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")} | values
    for name, value in written.items():
        if name == "general.architecture" or value is None:
            continue
        types = reader.fields[name].types if name in reader.fields else [gguf.GGUFValueType.UINT32]
        writer.add_key_value(name, value, types[0], types[1] if len(types) > 1 else None)
    for tensor in reader.tensors:
        data = tensors(tensor.name, np.array(tensor.data))
        if data is not None:
            writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    del reader
    old.unlink()


def _header(folder: Path, name: str) -> Any:
    return gguf.GGUFReader(next(folder.glob("*.gguf"))).fields[name].contents()


def wrong_template(folder: Path, place: Any) -> None:
    template = _header(folder, "tokenizer.chat_template")
    _rewrite(folder, {"tokenizer.chat_template": template.replace("assistant", "Assistant")})


def missing_stop(folder: Path, place: Any) -> None:
    _rewrite(folder, {"tokenizer.ggml.eos_token_id": 0})


def double_beginning(folder: Path, place: Any) -> None:
    _rewrite(folder, {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 0})


def swapped_positions(folder: Path, place: Any) -> None:
    _rewrite(folder, {"llama.rope.freq_base": 500000.0})


def dropped_tensor(folder: Path, place: Any) -> None:
    _rewrite(folder, {}, lambda name, data: None if name in ("blk.1.attn_v.weight", "blk.1.attn_v.weight.lora_a") else data)


def truncated(folder: Path, place: Any) -> None:
    path = max((p for p in folder.iterdir() if p.suffix in (".gguf", ".safetensors")), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _merged_again(folder: Path, base: Path, adapter: Path) -> None:
    """The GGUF file anew from another base or adapter."""
    import torch
    from peft import PeftModel

    from loralab.exports.gguf import recipe, tokens, writer
    from loralab.models.tokenize import TextEncoder
    from loralab.runtimes.base_model import load_base

    path = next(folder.glob("*.gguf"))
    encoder = TextEncoder(base)
    model: Any = PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).merge_and_unload()
    variant = recipe.VARIANTS[path.stem.rpartition("-")[2].lower()]
    writer.write(path, model, tokens.read(encoder, model.config.vocab_size), variant, writer.Label("tiny"), foreign=gguf_models.ggml)


def _other_base(folder: Path, base: Path) -> Path:
    """A base of the same shape with other weights."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    other = Path(shutil.copytree(base, folder.parent / "other"))
    weights = load_file(other / "model.safetensors")
    torch.manual_seed(3)
    save_file(
        {n: torch.randn_like(w) * w.std() if w.ndim > 1 else w for n, w in weights.items()}, other / "model.safetensors", {"format": "pt"}
    )
    return other


def _weaker(folder: Path, adapter: Path) -> Path:
    """The adapter with half its alpha."""
    import shutil

    weaker = Path(shutil.copytree(adapter, folder.parent / "weaker"))
    _settings(weaker / "adapter_config.json", lora_alpha=4)
    return weaker


def wrong_base(folder: Path, place: Any) -> None:
    _merged_again(folder, _other_base(folder, place[1]), place[2])


def lost_alpha(folder: Path, place: Any) -> None:
    _merged_again(folder, place[1], _weaker(folder, place[2]))


def lost_alpha_of_adapter(folder: Path, place: Any) -> None:
    _rewrite(folder, {"adapter.lora.alpha": 4.0})


# What is seen in the file alone is planted in tests/support/planted.py; here is what its program has to be asked about, too.
WHOLE_GGUF = (
    (wrong_template, {"tokenizer", "template"}, "template"),
    (missing_stop, {"tokenizer", "stops"}, "ends an answer"),
    (double_beginning, {"tokenizer", "template"}, "in front of the one"),
    (wrong_base, {"weights"}, "another base"),
    (lost_alpha, {"weights"}, "alpha"),
    (dropped_tensor, {"weights", "loads"}, "cut short or damaged"),
    (swapped_positions, {"settings"}, ""),
    (truncated, {"loads"}, "cut short"),
)
GGUF_ADAPTER = ((lost_alpha_of_adapter, {"settings", "weights"}, "alpha"), (dropped_tensor, {"weights", "loads"}, "damaged"))


# ---- folders of transformers and PEFT --------------------------------------------------------------------------------------


def _settings(path: Path, **changes: Any) -> None:
    found = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}), "utf-8")


def folder_template(folder: Path, place: Any) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text("utf-8").replace("assistant", "Assistant"), "utf-8")


def folder_beginning(folder: Path, place: Any) -> None:
    path = folder / "chat_template.jinja"
    path.write_text("<|endoftext|>" + path.read_text("utf-8"), "utf-8")


def folder_stop(folder: Path, place: Any) -> None:
    _settings(folder / "tokenizer_config.json", eos_token="<|endoftext|>")
    for path in folder.glob("generation_config.json"):
        _settings(path, eos_token_id=0)


def folder_positions(folder: Path, place: Any) -> None:
    found = json.loads((folder / "config.json").read_text("utf-8"))
    _settings(folder / "config.json", rope_parameters={**found["rope_parameters"], "rope_theta": 500000.0})


def folder_base(folder: Path, place: Any) -> None:
    other = _other_base(folder, place[1])
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())


def adapter_base(folder: Path, place: Any) -> None:
    _settings(folder / "adapter_config.json", base_model_name_or_path="another/base")


def adapter_alpha(folder: Path, place: Any) -> None:
    _settings(folder / "adapter_config.json", lora_alpha=4)


def merged_alpha(folder: Path, place: Any) -> None:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    model: Any = PeftModel.from_pretrained(load_base(place[1], "fp32", torch.device("cpu")), str(_weaker(folder, place[2])))
    model.merge_and_unload().save_pretrained(folder)


FOLDER = (
    (folder_template, {"tokenizer", "template"}, "template"),
    (folder_stop, {"tokenizer", "stops"}, "ends an answer"),
    (folder_beginning, {"tokenizer", "template"}, "in front of the one"),
    (truncated, {"loads"}, "cut short"),
)
ADAPTER = (*FOLDER, (adapter_base, {"settings", "loads"}, ""), (adapter_alpha, {"settings", "logits"}, ""))
MERGED = (*FOLDER, (folder_base, {"weights"}, "another base"), (merged_alpha, {"weights"}, "alpha"), (folder_positions, {"settings"}, ""))


def model_folder(folder: Path) -> Path:
    """A tiny Llama whose answers end with a token that no program knows by its name, and whose own settings name another."""
    gguf_models.model_folder(folder, eos_token_id=0)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        path = folder / name
        path.write_text(path.read_text("utf-8").replace("<|im_end|>", "<|done|>"), "utf-8")
    return folder
