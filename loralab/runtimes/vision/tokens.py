"""Vision transformers of transformers (DINOv2 with and without registers, SigLIP 1 and 2) as features for our heads.

Invariants: positions are fitted to the input's size when it is loaded, so that nothing depends on a size afterwards; no weight is made up:
a file that lacks one is refused; everything is frozen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

from loralab.core.errors import UserError

TOKEN_STRIDES = (4, 8, 16, 32)  # of the feature maps behind the picture itself
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _embed_dino(net: Any, x: Tensor) -> Tensor:
    e = net.embeddings
    tokens = torch.cat((e.cls_token.expand(x.shape[0], -1, -1), e.patch_embeddings(x)), 1) + e.position_embeddings
    registers = getattr(e, "register_tokens", None)
    return tokens if registers is None else torch.cat((tokens[:, :1], registers.expand(x.shape[0], -1, -1), tokens[:, 1:]), 1)


def _fit_dino(net: Any, rows: int, columns: int, patch: int) -> None:
    e = net.embeddings
    like = torch.zeros(1, 1 + rows * columns, e.position_embeddings.shape[-1])
    e.position_embeddings = nn.Parameter(e.interpolate_pos_encoding(like, rows * patch, columns * patch).clone())


def _embed_siglip(net: Any, x: Tensor) -> Tensor:
    e = net.embeddings
    return e.patch_embedding(x).flatten(2).transpose(1, 2) + e.position_embedding.weight


def _fit_siglip(net: Any, rows: int, columns: int, patch: int) -> None:
    e = net.embeddings
    if e.position_embedding.weight.shape[0] == rows * columns and rows == columns:
        return
    like = torch.zeros(1, rows * columns, e.position_embedding.weight.shape[-1])
    e.position_embedding = nn.Embedding.from_pretrained(e.interpolate_pos_encoding(like, rows * patch, columns * patch)[0].clone())
    e.position_ids = torch.arange(rows * columns)[None]


@dataclass(frozen=True)
class Layout:
    """Where the parts of a family lie. `first`: tokens before those of the patches, where the network's config does not say it."""

    name: str  # of the class in transformers
    embed: Callable[[Any, Tensor], Tensor]
    fit: Callable[[Any, int, int, int], None]
    layers: Callable[[Any], Any]
    norm: Callable[[Any], Any]
    first: int
    usual: tuple[tuple[float, ...], tuple[float, ...]]  # mean and spread of pixels in 0..1


_DINO: dict[str, Any] = {"embed": _embed_dino, "fit": _fit_dino, "layers": lambda net: net.encoder.layer, "norm": lambda net: net.layernorm}
_SIGLIP = Layout("SiglipVisionModel", _embed_siglip, _fit_siglip, lambda net: net.encoder.layers, lambda net: net.post_layernorm, 0, HALVES)
LAYOUTS = {
    "dinov2": Layout("Dinov2Model", **_DINO, first=1, usual=IMAGENET),
    "dinov2_with_registers": Layout("Dinov2WithRegistersModel", **_DINO, first=1, usual=IMAGENET),
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
}


class Tokens(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> features, finest first: the picture itself at half its size, then maps of the transformer
    at TOKEN_STRIDES, the finest from a quarter of its depth (as Ranftl et al. 2021, arXiv 2103.13413, take them); with `pooled` one vector
    [n, 2 * width] instead: what it says of the whole, and the mean of its patches.
    """

    targets = r".*backbone\.net\.encoder\.layers?\.\d+\..*(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj)"
    mean: Tensor
    scale: Tensor

    def __init__(self, net: Any, layout: Layout, size: tuple[int, int], prepared: tuple[Tensor, Tensor], *, pooled: bool) -> None:
        super().__init__()
        patch = net.config.patch_size
        self.net, self.layout, self.pooled, self.kind = net, layout, pooled, ""
        self.grid = (max(1, round(size[1] / patch)), max(1, round(size[0] / patch)))  # rows and columns
        self.side = (self.grid[0] * patch, self.grid[1] * patch)
        self.first = layout.first + getattr(net.config, "num_register_tokens", 0)
        layout.fit(net, *self.grid, patch)
        if hasattr(net, "head"):  # SigLIP's, which looks at the whole; under that name PEFT would take it for the head that learns
            net.pooling = net.head
            del net.head
        if not pooled:
            net.pooling = None
        net.embeddings.mask_token = None  # of a training that is over
        depth, width = len(layout.layers(net)), net.config.hidden_size
        self.taps = [max(1, round(depth * part / 4)) for part in (1, 2, 3, 4)]
        self.channels = (2 * width,) if pooled else (3, *[width] * len(TOKEN_STRIDES))
        for name, value in zip(("mean", "scale"), prepared, strict=True):
            self.register_buffer(name, value[:, None, None], persistent=False)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        x = (pixels - self.mean) / self.scale
        size = x.shape[-2:]
        fitted = x if tuple(size) == self.side else F.interpolate(x, size=self.side, mode="bilinear", align_corners=False)
        tokens, found = self.layout.embed(self.net, fitted), list[Tensor]()
        for i, layer in enumerate(self.layout.layers(self.net), start=1):
            tokens = layer(tokens, attention_mask=None)
            found += [tokens] * (0 if self.pooled else self.taps.count(i))
        norm = self.layout.norm(self.net)
        if self.pooled:
            last = norm(tokens)
            whole = last[:, 0] if self.first else self.net.pooling(last)
            return [torch.cat((whole, last[:, self.first :].mean(1)), 1)]
        maps = [norm(one)[:, self.first :].transpose(1, 2).reshape(pixels.shape[0], -1, *self.grid) for one in found]
        sizes = [(size[0] // stride, size[1] // stride) for stride in TOKEN_STRIDES]
        maps = [F.interpolate(one, size=to, mode="bilinear", align_corners=False) for one, to in zip(maps, sizes, strict=True)]
        return [F.avg_pool2d(x, 2), *maps]


def load_tokens(folder: Path, size: tuple[int, int], *, pooled: bool, weights: bool = True) -> Tokens:
    """The transformer in a folder for inputs of `size` (width, height); without its `weights` as chance has them. Raises UserError where it
    is damaged.
    """
    kind = str(config_of(folder).get("model_type"))
    layout = LAYOUTS[kind]
    family = getattr(transformers, layout.name)
    net = loaded(family, folder, attn_implementation="sdpa") if weights else bare(family, folder)
    found = Tokens(net, layout, size, preparation(folder, layout.usual), pooled=pooled)
    found.kind = kind
    return found.requires_grad_(False).eval()


def config_of(folder: Path) -> dict[str, Any]:
    """What config.json says; empty for the bundled starter, which has none."""
    file = folder / "config.json"
    try:
        found = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise UserError(f"{file} is damaged.", "Download the model again.", code="damaged") from error
    return found if isinstance(found, dict) else {}


def loaded(kind: Any, folder: Path, fresh: tuple[str, ...] = (), **settings: Any) -> Any:
    """A network of transformers from its folder, in fp32. `fresh`: beginnings of names that may be missing, as they are learned anew.

    Raises UserError where the files are damaged, or lack a weight that would have to be made up.
    """
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()  # that a tower for texts is not used needs no warning
    transformers.logging.disable_progress_bar()
    try:
        found = kind.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32, output_loading_info=True, **settings)
    except Exception as error:  # a wall of foreign files: whatever is wrong with them is the file's fault
        todo = "Download the model again, or choose another one."
        raise UserError(f"The model in {folder.name} cannot be opened: {error}", todo, code="damaged") from error
    finally:
        transformers.logging.set_verbosity(before)
    net, about = found
    missing = sorted(name for name in about["missing_keys"] if not name.startswith(fresh or ("\0",)))
    if missing:
        what = f"The model in {folder.name} is incomplete: {len(missing):,} of its weights are missing ({missing[0]})."
        raise UserError(what, "Download the model again, or choose another one.", code="damaged")
    return net


def bare(kind: Any, folder: Path, **settings: Any) -> Any:
    """A network of transformers as the config.json in a folder says, in fp32, with weights of chance that others then replace."""
    return kind(kind.config_class.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32, **settings))


def preparation(folder: Path, usual: tuple[tuple[float, ...], tuple[float, ...]]) -> tuple[Tensor, Tensor]:
    """What is taken off each channel's pixels in 0..255, and what they are divided by, as preprocessor_config.json says it."""
    file = folder / "preprocessor_config.json"
    said: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    mean, spread = said.get("image_mean") or usual[0], said.get("image_std") or usual[1]
    if said.get("do_normalize") is False:
        mean, spread = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    full = 1 / float(said.get("rescale_factor") or 1 / 255)
    return torch.tensor([full * float(one) for one in mean]), torch.tensor([full * float(one) for one in spread])
