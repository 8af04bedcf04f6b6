"""Owns the faults that are planted in finished exports for the question “is the file what was trained”: each changes one thing, and leaves
a file that programs load. Names say what was done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.support import gguf_models

Tensors = dict[str, Any]  # name -> fp32 numbers
Q = gguf.GGMLQuantizationType


# ---- GGUF ------------------------------------------------------------------------------------------------------------------


def rewrite(
    folder: Path,
    values: dict[str, Any] | None = None,
    change: Callable[[Tensors], object] = lambda tensors: None,
    raw: Callable[[str, Any], Any] = lambda name, data: data,
    kinds: dict[str, Q] | None = None,
) -> None:
    """The file again: other header values (None: without), other numbers (packed as before, or by `kinds`), other bytes."""
    path = next(folder.glob("*.gguf"))
    old = path.rename(path.with_suffix(".old"))
    reader = gguf.GGUFReader(old)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    written = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")} | (values or {})
    for name, value in written.items():
        if name == "general.architecture" or value is None:
            continue
        types = reader.fields[name].types if name in reader.fields else [gguf.GGUFValueType.UINT32]
        writer.add_key_value(name, value, types[0], types[1] if len(types) > 1 else None)
    shapes = {t.name: tuple(int(n) for n in t.shape)[::-1] for t in reader.tensors}
    before = {t.name: gguf.quants.dequantize(np.array(t.data), t.tensor_type).reshape(shapes[t.name]) for t in reader.tensors}
    after = {name: value.copy() for name, value in before.items()}
    change(after)
    stored = {t.name: (np.array(t.data), t.tensor_type) for t in reader.tensors}
    for name, numbers in after.items():
        data, kind = stored.get(name, (None, Q.F32))
        same = name in before and before[name].shape == numbers.shape and np.array_equal(before[name], numbers, equal_nan=True)
        if not same or (kinds and name in kinds):
            kind = (kinds or {}).get(name, kind)
            data = _packed(np.ascontiguousarray(numbers, np.float32), kind)
        writer.add_tensor(name, raw(name, data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    del reader
    old.unlink()


def _packed(values: Any, kind: Q) -> Any:
    if kind == Q.F32:
        return values
    if kind.name.endswith("_K"):
        return np.frombuffer(gguf_models.ggml(kind.name, values.shape[1], values.tobytes()), np.uint8).reshape(len(values), -1)
    return gguf.quants.quantize(values, kind)


def field(folder: Path, name: str) -> Any:
    return gguf.GGUFReader(next(folder.glob("*.gguf"))).fields[name].contents()


def _swapped(folder: Path, name: str, first: int, second: int) -> list[Any]:
    found = list(field(folder, name))
    found[first], found[second] = found[second], found[first]
    return found


def _exchange(first: str, second: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[first], tensors[second] = tensors[second].copy(), tensors[first].copy()

    return change


def _with(name: str, act: Callable[[Any], Any]) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name] = act(tensors[name].copy())

    return change


def _row_zeroed(values: Any) -> Any:
    values[3] = 0
    return values


def _one_number(values: Any) -> Any:
    values[2, 5] += 3 * np.abs(values[2]).max()
    return values


def _bytes_of_one_block(name: str, data: Any) -> Any:
    """The scale of one block, half as large: the two bytes in which the type keeps it."""
    if name != "blk.0.ffn_up.weight":
        return data
    data = data.copy()
    place = {2 * 256: None, 272: 0, 144: 0}.get(data.shape[1])
    if data.dtype == np.uint8 and place is not None:
        data[4, 0:2] = (data[4, 0:2].copy().view(np.float16) * np.float16(0.5)).view(np.uint8)
        return data
    data[4, :32] = data[4, :32] * data.dtype.type(0.5)
    return data


def _renamed(tensors: Tensors) -> None:
    tensors["blk.1.attn_k.weight_"] = tensors.pop("blk.1.attn_k.weight")


def _shorter(folder: Path) -> None:
    cut = {name: list(field(folder, f"tokenizer.ggml.{name}"))[:-8] for name in ("tokens", "token_type")}
    values = {f"tokenizer.ggml.{name}": found for name, found in cut.items()} | {"llama.vocab_size": len(cut["tokens"])}

    def change(tensors: Tensors) -> None:
        for name in ("token_embd.weight", "output.weight"):
            if name in tensors:
                tensors[name] = tensors[name][:-8]

    rewrite(folder, values, change)


HEADER: dict[str, Callable[[Path], dict[str, Any]]] = {
    "two tokens exchanged": lambda f: {"tokenizer.ggml.tokens": _swapped(f, "tokenizer.ggml.tokens", 270, 271)},
    "a merge dropped": lambda f: {"tokenizer.ggml.merges": list(field(f, "tokenizer.ggml.merges"))[:-1]},
    "two merges exchanged": lambda f: {"tokenizer.ggml.merges": _swapped(f, "tokenizer.ggml.merges", 3, 40)},
    "a special token made plain": lambda f: {"tokenizer.ggml.token_type": [1, *list(field(f, "tokenizer.ggml.token_type"))[1:]]},
    "another end": lambda f: {"tokenizer.ggml.eos_token_id": 0},
    "another padding": lambda f: {"tokenizer.ggml.padding_token_id": 2},
    "a beginning put first": lambda f: {"tokenizer.ggml.add_bos_token": True},
    "another word splitting": lambda f: {"tokenizer.ggml.pre": "llama-bpe"},
    "another template": lambda f: {"tokenizer.chat_template": field(f, "tokenizer.chat_template") + " "},
    "no template": lambda f: {"tokenizer.chat_template": None},
    "norm epsilon x 100": lambda f: {"llama.attention.layer_norm_rms_epsilon": field(f, "llama.attention.layer_norm_rms_epsilon") * 100},
    "another context": lambda f: {"llama.context_length": 4096},
    "rope base off by 1 %": lambda f: {"llama.rope.freq_base": field(f, "llama.rope.freq_base") * 1.01},
    "half the rope": lambda f: {"llama.rope.dimension_count": field(f, "llama.rope.dimension_count") // 2},
    "another number of heads": lambda f: {"llama.attention.head_count": 8},
    "another number of key heads": lambda f: {"llama.attention.head_count_kv": 1},
    "a layer less": lambda f: {"llama.block_count": 1},
    "no rope base": lambda f: {"llama.rope.freq_base": None},
    "an unasked value": lambda f: {"llama.attention.sliding_window": 16},
    "another file type": lambda f: {"general.file_type": 0 if field(f, "general.file_type") else 1},
}
NUMBERS: dict[str, Callable[[Tensors], object]] = {
    "one tensor scaled by 1.01": _with("blk.0.ffn_down.weight", lambda v: v * 1.01),
    "a norm scaled by 1.001": _with("blk.1.attn_norm.weight", lambda v: v * 1.001),
    "a tensor transposed": _with("blk.0.attn_output.weight", lambda v: v.T),
    "layers exchanged": _exchange("blk.0.ffn_up.weight", "blk.1.ffn_up.weight"),
    "gate and up exchanged": _exchange("blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"),
    "one row nought": _with("blk.0.ffn_up.weight", _row_zeroed),
    "one number wrong": _with("blk.0.ffn_up.weight", _one_number),
    "rows in another order": _with("blk.0.attn_q.weight", lambda v: v[::-1]),
    "two columns exchanged": _with("token_embd.weight", lambda v: np.concatenate([v[:, 1::-1], v[:, 2:]], 1)),
    "a tensor renamed": _renamed,
    "a tensor lost": lambda t: t.pop("blk.1.attn_v.weight") is None,
    "a tensor nobody asked for": lambda t: t.update({"blk.0.attn_v.bias": np.ones(len(t["blk.0.attn_v.weight"]), np.float32)}),
    "a number that is none": _with("output_norm.weight", lambda v: np.concatenate([[np.nan], v[1:]])),
}


def of_gguf(folder: Path) -> dict[str, Callable[[], object]]:
    """Every fault for a GGUF file of a whole Llama, by its name."""
    found: dict[str, Callable[[], object]] = {}
    for name, values in HEADER.items():
        found[name] = lambda values=values: rewrite(folder, values(folder))
    for name, change in NUMBERS.items():
        found[name] = partial(rewrite, folder, change=change)
    found["one block's scale halved"] = lambda: rewrite(folder, raw=_bytes_of_one_block)
    found["another type of number"] = lambda: rewrite(folder, kinds={"blk.0.attn_q.weight": Q.F32})
    found["a shorter vocabulary"] = lambda: _shorter(folder)
    found["cut in half"] = lambda: cut(folder)
    return found


def cut(folder: Path) -> None:
    path = max((p for p in folder.iterdir() if p.suffix in (".gguf", ".safetensors", ".pt", ".data")), key=lambda p: p.stat().st_size)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# ---- another adapter under the same export ---------------------------------------------------------------------------------


def weaker(adapter: Path, place: Path, share: float, only: str = "") -> Path:
    """The adapter at a share of its strength, in all layers or in those whose name holds `only`."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, place)
    file = place / "adapter_model.safetensors"
    found = {name: value * share if "lora_B" in name and only in name else value for name, value in load_file(file).items()}
    save_file(found, file, {"format": "pt"})
    return place


ADAPTERS: dict[str, tuple[float, str]] = {
    "adapter at 0.9": (0.9, ""),
    "adapter at 0.75": (0.75, ""),
    "adapter at 0.5": (0.5, ""),
    "adapter at 1.05": (1.05, ""),
    "no adapter": (0.0, ""),
    "adapter of layer 0 lost": (0.0, "layers.0."),
    "adapter of one matrix lost": (0.0, "layers.1.mlp.down_proj"),
}


# ---- folders ---------------------------------------------------------------------------------------------------------------


def settings(path: Path, **changes: Any) -> None:
    found = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in found.items() if value is not None}), "utf-8")


def tokenizer(folder: Path, act: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text("utf-8"))
    act(found)
    path.write_text(json.dumps(found), "utf-8")


def _exchange_tokens(found: dict[str, Any]) -> None:
    vocabulary = found["model"]["vocab"]
    first, second = list(vocabulary)[270:272]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]


PAPERS: dict[str, Callable[[Path], object]] = {
    "two tokens exchanged": lambda f: tokenizer(f, _exchange_tokens),
    "a merge dropped": lambda f: tokenizer(f, lambda t: t["model"]["merges"].pop()),
    "another template": lambda f: (f / "chat_template.jinja").write_text((f / "chat_template.jinja").read_text("utf-8") + " ", "utf-8"),
    "no template": lambda f: (f / "chat_template.jinja").unlink(),
    "another end": lambda f: settings(f / "tokenizer_config.json", eos_token="<|endoftext|>"),
}
CONFIG: dict[str, Callable[[Path], object]] = {
    "norm epsilon x 100": lambda f: settings(f / "config.json", rms_norm_eps=1e-4),
    "another context": lambda f: settings(f / "config.json", max_position_embeddings=4096),
    "rope base off by 1 %": lambda f: settings(f / "config.json", rope_parameters={"rope_type": "default", "rope_theta": 10100.0}),
    "another number of heads": lambda f: settings(f / "config.json", num_attention_heads=8),
    "another number of key heads": lambda f: settings(f / "config.json", num_key_value_heads=1),
    "another type named": lambda f: settings(f / "config.json", dtype="float64"),
    "another end of answers": lambda f: settings(f / "generation_config.json", eos_token_id=[0]),
    "a tied head": lambda f: settings(f / "config.json", tie_word_embeddings=True),
    "a shorter vocabulary": lambda f: settings(f / "config.json", vocab_size=378),
}
_V, _UP = "model.layers.1.self_attn.v_proj.weight", "model.layers.{}.mlp.up_proj.weight"


def _row(tensors: dict[str, Any]) -> None:
    tensors[_UP.format(0)][3] = 0


def _swap(first: str, second: str) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        tensors[first], tensors[second] = tensors[second], tensors[first]

    return change


def _as(name: str, act: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def change(tensors: dict[str, Any]) -> None:
        tensors[name] = act(tensors[name]).contiguous()

    return change


MATRICES: dict[str, Callable[[dict[str, Any]], object]] = {
    "one tensor scaled by 1.01": _as("model.layers.0.mlp.down_proj.weight", lambda v: v * 1.01),
    "a norm scaled by 1.001": _as("model.layers.1.input_layernorm.weight", lambda v: v * 1.001),
    "a tensor transposed": _as("model.layers.0.self_attn.o_proj.weight", lambda v: v.T),
    "layers exchanged": _swap(_UP.format(0), _UP.format(1)),
    "one row nought": _row,
    "a tensor renamed": lambda t: t.update({f"{_V}_": t.pop(_V)}),
    "a tensor lost": lambda t: t.pop(_V) is None,
    "a wrong head": _as("lm_head.weight", lambda v: v.flip(0)),
    "another type of number": _as(_V, lambda v: v.half()),
    "a tensor nobody asked for": lambda t: t.update({"model.layers.0.self_attn.v_proj.bias": t[_V][0].clone()}),
}


def safetensors(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save_file

    path = next(folder.glob("*.safetensors"))
    found = {name: value.clone() for name, value in load_file(path).items()}
    change(found)
    save_file(found, path, {"format": "pt"})


def pt(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    import torch

    found = {name: value.clone() for name, value in torch.load(folder / "model.pt", weights_only=True).items()}
    change(found)
    torch.save(found, folder / "model.pt")


def of_folder(folder: Path, tensors: Callable[[Path, Callable[[dict[str, Any]], object]], None]) -> dict[str, Callable[[], object]]:
    """Every fault for a folder of a whole model, whose numbers `tensors` changes."""
    found: dict[str, Callable[[], object]] = {name: partial(act, folder) for name, act in {**PAPERS, **CONFIG}.items()}
    found |= {name: partial(tensors, folder, change) for name, change in MATRICES.items()}
    found["cut in half"] = lambda: cut(folder)
    return found


_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
PAIRS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a matrix scaled by 1.001": _as(_A, lambda v: v * 1.001),
    "a matrix lost": lambda t: t.pop(_A) is None,
    "a matrix renamed": lambda t: t.update({_A.replace("layers.0", "layers.9"): t.pop(_A)}),
    "layers exchanged": _swap(_A, _A.replace("layers.0", "layers.1")),
    "another type of number": _as(_A, lambda v: v.half()),
    "all nought": lambda t: t.update({name: value * 0 for name, value in t.items()}),
}


def of_adapter(folder: Path) -> dict[str, Callable[[], object]]:
    """Every fault for PEFT's folder."""
    changed = {
        "half the alpha": {"lora_alpha": 4},
        "another rank": {"r": 8},
        "rank stabilised": {"use_rslora": True},
        "sideways": {"fan_in_fan_out": True},
    }
    changed |= {"another base": {"base_model_name_or_path": "another/base"}, "fewer layers": {"target_modules": ["q_proj"]}}
    found: dict[str, Callable[[], object]] = {
        name: partial(settings, folder / "adapter_config.json", **values) for name, values in changed.items()
    }
    found |= {name: partial(act, folder) for name, act in PAPERS.items()}
    found |= {name: partial(safetensors, folder, change) for name, change in PAIRS.items()}
    found["cut in half"] = lambda: cut(folder)
    return found


def of_gguf_adapter(folder: Path) -> dict[str, Callable[[], object]]:
    """Every fault for an adapter's GGUF file."""
    a, b = "blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"
    found: dict[str, Callable[[], object]] = {
        "half the alpha": lambda: rewrite(folder, {"adapter.lora.alpha": 4.0}),
        "another kind": lambda: rewrite(folder, {"adapter.type": "alora"}),
    }
    numbers: dict[str, Callable[[Tensors], object]] = {
        "a matrix scaled by 1.001": _with(b, lambda v: v * 1.001),
        "a matrix lost": lambda t: t.pop(a) is None,
        "a matrix renamed": lambda t: t.update({f"{a}_": t.pop(a)}),
        "layers exchanged": _exchange(b, b.replace("blk.0", "blk.1")),
        "rows in another order": _with(b, lambda v: v[::-1]),
        "one row nought": _with(b, _row_zeroed),
    }
    found |= {name: partial(rewrite, folder, change=change) for name, change in numbers.items()}
    found["cut in half"] = lambda: cut(folder)
    return found
