"""Owns a base model in 4 or 8 bits (QLoRA, Dettmers 2023): loading it a matrix at a time, and computing with it on a processor.

Invariants: never more than one matrix of the base is held as it was published; only the matrices inside the blocks are rounded, and
embedding and output stay as they are in the file (16 bits as a rule), so that what is not squeezed is exact; the files are read, not
mapped, because mapped pages count as memory of this process although nobody needs them.

On a card bitsandbytes' own layers compute. On a processor they would fill a new tensor of the matrix's size for each product, and (int8)
round the inputs to 8 bits, too; here every product unpacks into one scratch matrix that all layers share.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, BitsAndBytesConfig, GenerationConfig
from transformers.models.auto.auto_factory import _get_model_class  # pyright: ignore[reportPrivateUsage]  (the choice AutoModel makes)

from loralab.core import parts
from loralab.core.errors import UserError
from loralab.core.records import SQUEEZED
from loralab.runtimes.four_bits import is_squeezed, squeeze_in_slabs, unpacked

KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ROWS = 4096  # of a 16-bit output matrix that are made exact at once: 34 MB at a width of 2,048


class Squeezing(NamedTuple):
    """How a base is squeezed. An empty `compute` is what this kind of device is usually quick in."""

    kind: str = "nf4"  # nf4 | fp4 | int8
    double: bool = True  # the scales of 4-bit blocks are squeezed, too
    compute: str = ""  # fp32 | bf16 | fp16

    def computing(self, where: torch.device) -> torch.dtype:
        """The type of what goes through the layers."""
        return TYPES[self.compute or ("fp32" if where.type == "cpu" else "bf16")]


def load(folder: Path, how: Squeezing, where: torch.device, attention: str | None) -> Any:
    """The causal language model in `folder` with its matrices squeezed. Raises Unavailable when bitsandbytes is absent."""
    _require_bitsandbytes()
    squeeze_in_slabs()
    compute = how.computing(where)
    pieces = _pieces(folder)
    if not pieces:
        raise UserError(f"There is no model in {folder}.", "Download it first, or use the starter model.", code="not_downloaded")
    kinds = {KINDS[piece.kind] for piece in pieces.values() if KINDS[piece.kind].is_floating_point}
    stored = kinds.pop() if compute == torch.float32 and len(kinds) == 1 else compute
    settings: dict[str, Any] = {
        "dtype": stored,
        "attn_implementation": attention,
        "quantization_config": _settings(how, compute),
        "device_map": {"": str(where)},
    }
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    kind: Any = _get_model_class(config, MODEL_FOR_CAUSAL_LM_MAPPING)  # the class that AutoModelForCausalLM takes; only it is given tensors
    model: Any = kind.from_pretrained(None, config=config, state_dict=pieces, **settings)
    model.name_or_path = model.config.name_or_path = str(folder)
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    _compute_in(model, compute)
    return model


def _require_bitsandbytes() -> None:
    try:
        import bitsandbytes  # noqa: F401, PLC0415  # pyright: ignore[reportMissingImports, reportUnusedImport]  (an optional part)
    except ImportError as error:
        raise parts.unavailable("bitsandbytes", "Training in 4 or 8 bits needs a part that is not installed here.") from error


def _settings(how: Squeezing, compute: torch.dtype) -> BitsAndBytesConfig:
    if how.kind not in SQUEEZED:
        raise ValueError(f"{how.kind} is no way to squeeze a base")
    if how.kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=how.kind, bnb_4bit_compute_dtype=compute, bnb_4bit_use_double_quant=how.double
    )


# ---- reading a tensor at a time --------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A tensor of a safetensors file that is read when it is asked for; what transformers takes for one while it loads."""

    file: Path
    at: int  # bytes from the file's beginning
    kind: str  # of KINDS
    shape: tuple[int, ...]

    def get_shape(self) -> list[int]:
        return list(self.shape)

    def __getitem__(self, whole: Any) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  (transformers asks for [...])
        found = torch.empty(self.shape, dtype=KINDS[self.kind])
        with self.file.open("rb", buffering=0) as opened:
            opened.seek(self.at)
            bytes_: Any = found.view(-1).view(torch.uint8).numpy()
            view = memoryview(bytes_)
            while view.nbytes:
                read = opened.readinto(view)
                if not read:
                    raise EOFError(f"{self.file.name} ends before its last number")
                view = view[read:]
        return found


def _pieces(folder: Path) -> dict[str, Piece]:
    """Every tensor of the model's files by its name."""
    found: dict[str, Piece] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            start = 8 + struct.unpack("<Q", opened.read(8))[0]
        with safe_open(file, framework="pt") as opened:
            for name in opened.offset_keys():  # in their order in the file
                part = opened.get_slice(name)
                shape, kind = tuple(part.get_shape()), part.get_dtype()
                found[name] = Piece(file, start, kind, shape)
                start += math.prod(shape) * KINDS[kind].itemsize
    return found


# ---- computing -------------------------------------------------------------------------------------------------------------


def _compute_in(model: Any, compute: torch.dtype) -> None:
    """Let `model` compute in that type: small weights are turned to it, layers unpack to it, embedding and output stay as stored."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    plain = type(embedding) is nn.Embedding and type(head) is nn.Linear  # others do more with their numbers than look them up
    ends = {id(end.weight) for end in (embedding, head)} if plain else set[int]()
    for parameter in model.parameters():
        if not is_squeezed(parameter) and id(parameter) not in ends:
            parameter.data = parameter.data.to(compute)
    if embedding.weight.dtype != compute:
        embedding.register_forward_hook(lambda _module, _inputs, out: out.to(compute))
    if plain and head.weight.dtype != compute:
        head.__class__ = Tall
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and is_squeezed(weight):
            _adopt(module, weight, compute)


def _adopt(module: Any, weight: Any, compute: torch.dtype) -> None:
    if weight.dtype == torch.int8:
        scales = weight.SCB
        module.init_8bit_state()  # or the first use would take the scales away from the weight
        weight.SCB = scales
    else:
        weight.quant_state.dtype = compute  # or bitsandbytes would unpack to the type in the file and round
    module.__class__ = _layers()[type(module)]


@lru_cache(maxsize=1)
def _layers() -> dict[type, type]:
    """The layers of bitsandbytes, and what they become here: the same on a card, products through the scratch matrix on a processor."""
    from bitsandbytes import nn  # noqa: PLC0415  (an optional part)

    theirs: Any = nn

    class Linear4bit(theirs.Linear4bit):
        def forward(self, x: Tensor) -> Tensor:
            return _Product.apply(x, self.weight, self.bias) if x.device.type == "cpu" else super().forward(x)

    class Linear8bitLt(theirs.Linear8bitLt):
        def forward(self, x: Tensor) -> Tensor:
            return _Product.apply(x, self.weight, self.bias) if x.device.type == "cpu" else super().forward(x)

    return {theirs.Linear4bit: Linear4bit, theirs.Linear8bitLt: Linear8bitLt}


class _Product(torch.autograd.Function):
    """x Wᵀ + b of a frozen squeezed W. Nothing is kept for the way back but W itself, which is unpacked again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return F.linear(x, _numbers(weight, x), bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = grad_outputs
        return gradient @ _numbers(ctx.weight, gradient), None, None


class Tall(nn.Linear):
    """An output matrix in 16 bits under states in fp32: made exact some rows at a time."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (nn.Linear names it so)
        return _TallProduct.apply(input, self.weight, self.bias)


class _TallProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        out = x.new_empty((*x.shape[:-1], len(weight)))
        for rows in _tiles(weight):
            out[..., rows] = x @ _exact(weight[rows], x).T
        return out if bias is None else out.add_(bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = grad_outputs
        found = gradient.new_zeros((*gradient.shape[:-1], ctx.weight.shape[1]))
        for rows in _tiles(ctx.weight):
            found += gradient[..., rows] @ _exact(ctx.weight[rows], gradient)
        return found, None, None


def _tiles(weight: Tensor) -> list[slice]:
    return [slice(at, min(at + ROWS, len(weight))) for at in range(0, len(weight), ROWS)]


_scratch: dict[
    torch.dtype, Tensor
] = {}  # grows to the largest matrix and stays: memory touched for the first time costs more than filling it


def _room(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    needed = math.prod(shape)
    if dtype not in _scratch or len(_scratch[dtype]) < needed:
        _scratch[dtype] = torch.empty(needed, dtype=dtype)
    return _scratch[dtype][:needed].view(shape)


def _numbers(weight: Any, like: Tensor) -> Tensor:
    shape = tuple(weight.quant_state.shape) if getattr(weight, "quant_state", None) is not None else tuple(weight.shape)
    return unpacked(weight, _room(shape, like.dtype))


def _exact(rows: Tensor, like: Tensor) -> Tensor:
    return _room(tuple(rows.shape), like.dtype).copy_(rows)
