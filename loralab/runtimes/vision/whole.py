"""Models of transformers that come with a head of their own (RF-DETR, D-FINE, EoMT), in the shape that our heads have.

Invariants: running means of batch norms never move, also while it learns, because an adapter does not hold them; what is learned anew is
named leaf by leaf, because PEFT compares the ends of names; a picture's loss stands for itself, so that a batch may be split anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]  (torch has no public name for all of them)

from loralab.runtimes.vision.heads.masks_of_queries import QueryMaskHead
from loralab.runtimes.vision.heads.queries import QueryHead
from loralab.runtimes.vision.tokens import IMAGENET, bare, config_of, loaded, preparation

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Whole(nn.Module):
    """Pixels [n, 3, height, width] in 0..255 -> what the network says, a tuple of tensors, which `head` reads.

    `targets`: what an adapter sits beside; `to_save`: what is learned anew and saved whole; `idle`: names of weights (a regular expression)
    that only learning needs. `side`: (height, width) that the network takes.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, net: Any, say: Callable[[Any, Tensor], tuple[Tensor, ...]], head: nn.Module, side: tuple[int, int]) -> None:
        super().__init__()
        self.backbone, self.head, self.say, self.side = net, head, say, side
        self.targets, self.to_save, self.idle, self.kind = "", tuple[str, ...](), "", ""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self.look(self.backbone, (pixels - self.mean) / self.scale)

    def look(self, net: Any, x: Tensor) -> tuple[Tensor, ...]:
        """What the network says of prepared pixels, brought to its own size."""
        if tuple(x.shape[-2:]) != self.side:
            x = F.interpolate(x, size=self.side, mode="bilinear", align_corners=False)
        return self.say(net, x)

    def train(self, mode: bool = True) -> Whole:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self


@dataclass(frozen=True)
class Kind:
    """How a family is opened. `fresh`: beginnings of names that are learned anew; `anew`: names of the modules that PEFT saves whole."""

    name: str  # of the class in transformers
    task: str
    usual: tuple[tuple[float, ...], tuple[float, ...]]
    settings: dict[str, Any]  # of its config: what depends on chance, or is needed for nothing here
    fresh: tuple[str, ...]
    targets: str
    anew: Callable[[Any], Sequence[str]]
    idle: str  # names of weights that no answer depends on; LAST: the number of its last layer
    step: Callable[[Any], int]  # its sides are multiples of that many pixels
    tidy: Callable[[Any, tuple[int, int]], Any]
    say: Callable[[Any, Tensor], tuple[Tensor, ...]]


# ---- RF-DETR ---------------------------------------------------------------------------------------------------------------


def _say_rf_detr(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Scores and boxes of the last layer, then of every layer, then of the proposals: of all groups while it learns, else of one."""
    out = net.model(x)
    classes, boxes = net.predict_class_and_boxes(out.intermediate_hidden_states, out.intermediate_reference_points)
    proposed = net.predict_encoder_class_logits(out.enc_outputs_class)
    return classes[-1], boxes[-1], classes, boxes, proposed, out.enc_outputs_coord_logits


def _anew_rf_detr(net: Any) -> list[str]:
    groups = [f"model.{name}.{i}" for name in ("enc_out_class_embed", "enc_out_bbox_embed") for i in range(len(net.model.enc_output))]
    return ["backbone.class_embed", "backbone.bbox_embed", *(f"backbone.{name}" for name in groups)]


# ---- D-FINE ----------------------------------------------------------------------------------------------------------------


def _say_dfine(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    out = net.model(x)
    classes, boxes = out.intermediate_logits, out.intermediate_reference_points
    more = out.enc_topk_logits, out.enc_topk_bboxes, out.intermediate_predicted_corners, out.initial_reference_points
    return classes[:, -1], boxes[:, -1], classes, boxes, *more


def _tidy_dfine(net: Any, side: tuple[int, int]) -> Any:
    """The network's heads lie in its decoder; their twins outside share its weights and answer nothing."""
    del net.class_embed, net.bbox_embed, side
    return net


def _anew_dfine(net: Any) -> list[str]:
    layers = [f"model.decoder.{name}.{i}" for name in ("class_embed", "bbox_embed") for i in range(len(net.model.decoder.class_embed))]
    return [f"backbone.{name}" for name in (*layers, "model.enc_score_head", "model.enc_bbox_head")]


# ---- EoMT ------------------------------------------------------------------------------------------------------------------


def _say_eomt(net: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Classes [n, queries, classes + 1] and masks [n, queries, h, w] of the last layer; while it learns also of the layers before it.

    Without masks on its attention, as the network is used after it was trained (Kerssies et al. 2025, arXiv 2503.19108, section 3.4).
    """
    tokens, found = net.embeddings(x), list[Tensor]()
    begin = len(net.layers) - net.config.num_blocks
    for i, layer in enumerate(net.layers):
        if i == begin:
            tokens = torch.cat((net.query.weight[None].expand(x.shape[0], -1, -1), tokens), 1)
        if i >= begin and net.training:
            found += reversed(net.predict(net.layernorm(tokens)))
        tokens = layer(tokens, None)
    masks, classes = net.predict(net.layernorm(tokens))
    return classes, masks, *found


def _tidy_eomt(net: Any, side: tuple[int, int]) -> Any:
    """Its positions, fitted to another size than it was trained with."""
    patch, e = net.config.patch_size, net.embeddings
    rows, columns = side[0] // patch, side[1] // patch
    if (rows, columns) != tuple(net.grid_size):
        old = e.position_embeddings.weight.reshape(1, *net.grid_size, -1).permute(0, 3, 1, 2)
        new = F.interpolate(old, size=(rows, columns), mode="bicubic", align_corners=False, antialias=True)
        e.position_embeddings = nn.Embedding.from_pretrained(new.flatten(2)[0].T.contiguous())
        e.position_ids = torch.arange(rows * columns)[None]
        e.patch_embeddings.image_size = side
        net.grid_size = (rows, columns)
    return net


KINDS = {
    "rf_detr": Kind(
        name="RfDetrForObjectDetection",
        task="detect",
        usual=IMAGENET,
        settings={"dropout": 0.0},
        fresh=("class_embed.", "model.enc_out_class_embed."),
        targets=r".*backbone\..*(q_proj|k_proj|v_proj|o_proj|value_proj|output_proj|fc1|fc2)",
        anew=_anew_rf_detr,
        idle=r"mask_token|enc_out\w*\.[1-9]\d*\.",
        step=lambda config: config.backbone_config.patch_size * config.backbone_config.num_windows,
        tidy=lambda net, side: net,
        say=_say_rf_detr,
    ),
    "d_fine": Kind(
        name="DFineForObjectDetection",
        task="detect",
        usual=PLAIN,
        settings={"num_denoising": 0, "anchor_image_size": None, "eval_size": None},
        fresh=("class_embed.", "model.decoder.class_embed.", "model.enc_score_head."),
        targets=r".*backbone\.model\.(encoder|decoder)\..*(q_proj|k_proj|v_proj|o_proj|value_proj|output_proj|mlp\.layers\.\d+)",
        anew=_anew_dfine,
        idle=r"decoder\.(up|reg_scale)$|num_batches_tracked|decoder\.(class_embed|lqe_layers)\.(?!LAST\.)",
        step=lambda config: max(config.feat_strides),
        tidy=_tidy_dfine,
        say=_say_dfine,
    ),
    "eomt": Kind(
        name="EomtForUniversalSegmentation",
        task="segment",
        usual=IMAGENET,
        settings={"hidden_dropout_prob": 0.0, "attention_dropout": 0.0, "drop_path_rate": 0.0},
        fresh=("class_predictor.", "criterion."),
        targets=r".*backbone\.layers\.\d+\..*(q_proj|k_proj|v_proj|fc1|fc2)",
        anew=lambda net: [f"backbone.{name}" for name in ("class_predictor", "mask_head", "query", "upscale_block")],
        idle=r"attn_mask_probs|criterion\.",
        step=lambda config: config.patch_size,
        tidy=_tidy_eomt,
        say=_say_eomt,
    ),
}


def load_whole(folder: Path, classes: int, size: tuple[int, int], seed: int = 0, *, weights: bool = True) -> Whole:
    """The network in a folder for `classes` kinds of things and inputs of `size` (width, height), its answers learned anew: their first
    weights follow from the seed; without its `weights` all are as chance has them. Raises UserError where it is damaged.
    """
    kind = KINDS[str(config_of(folder).get("model_type"))]
    known = classes if kind.task == "detect" else 1 + classes  # of every pixel it is said what it is, background first
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        family, settings = getattr(transformers, kind.name), {**kind.settings, "num_labels": known}
        net = loaded(family, folder, kind.fresh, **settings, ignore_mismatched_sizes=True) if weights else bare(family, folder, **settings)
    step = kind.step(net.config)
    side = (max(1, round(size[1] / step)) * step, max(1, round(size[0] / step)) * step)
    net = kind.tidy(net, side)
    head = QueryHead(net, size, classes) if kind.task == "detect" else QueryMaskHead(net, size, classes)
    found = Whole(net, kind.say, head, side)
    for name, value in zip(("mean", "scale"), preparation(folder, kind.usual), strict=True):
        found.register_buffer(name, value[:, None, None], persistent=False)
    found.kind = str(config_of(folder)["model_type"])
    found.targets, found.to_save = kind.targets, tuple(kind.anew(net))
    found.idle = kind.idle.replace("LAST", str(getattr(net.config, "decoder_layers", 0) - 1))
    return found.requires_grad_(False).eval()
