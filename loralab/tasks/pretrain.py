"""Pretraining: make a small language model from plain text, all weights trainable. This is how the bundled starter is made."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import Plan, Precision, Schedule, setting
from loralab.tasks import Task


class PretrainPlan(Plan):
    """Settings of a pretraining run: the common ones plus the shape of the new model."""

    task: Literal["pretrain"] = "pretrain"  # pyright: ignore[reportIncompatibleVariableOverride]
    base_model: str = setting("", "Go on from this model; empty starts from nothing.", group="basics", label="Base model")
    tokenizer: str = setting("", "Folder of an existing tokenizer; empty trains a new one on the corpus.", group="model", label="Tokenizer")
    vocabulary: int = setting(8192, "Pieces of words the model knows.", group="model", label="Vocabulary", ge=512, le=65536)
    hidden: int = setting(
        256,
        "Width of the model; a multiple of 256, so that every export format applies.",
        group="model",
        label="Width",
        ge=64,
        le=4096,
        multiple_of=64,
    )
    feed_forward: int = setting(
        768, "Width of the middle of each layer.", group="model", label="Inner width", ge=64, le=16384, multiple_of=64
    )
    layers: int = setting(8, "Depth of the model.", group="model", label="Layers", ge=1, le=64)
    heads: int = setting(4, "Attention heads.", group="model", label="Heads", ge=1, le=64)
    kv_heads: int = setting(2, "Heads that keep keys and values.", group="model", label="Key/value heads", ge=1, le=64)
    context: int = setting(1024, "Longest text the model can look back on.", group="model", label="Context", unit="tokens", ge=64, le=32768)
    max_length: int = setting(
        512, "Length of a training row; documents are packed into rows.", group="memory", label="Row length", unit="tokens", ge=16
    )
    optimizer: Literal["adamw", "muon"] = setting(
        "muon", "Muon learns more per token on matrices; AdamW is the classic.", group="learning", label="Optimiser"
    )
    compile: bool = setting(
        False, "Fuse the small operations; needs a C++ compiler and a minute at the start.", group="memory", label="Compile"
    )
    learning_rate: float = setting(6e-3, "How big each correction is.", group="learning", label="Learning rate", gt=0, lt=1)
    schedule: Schedule = setting("wsd", "Constant, then falling over the last quarter.", group="learning", label="Schedule")
    warmup: float = setting(
        0.01, "Share of the run in which the learning rate rises.", group="learning", label="Warm-up", unit="of the run", ge=0, le=1
    )
    micro_batch: int = setting(8, "Rows computed at once.", group="memory", label="Rows at once", ge=1)
    effective_batch: int = setting(32, "Rows behind one update.", group="learning", label="Rows per update", ge=1)
    weight_decay: float = setting(0.01, "Pulls the weights gently towards zero.", group="learning", label="Weight decay", ge=0, le=1)
    precision: Precision = setting("bf16", "bf16 computes in half precision with exact master weights.", group="memory", label="Precision")
    epochs: float = setting(1.0, "How many times the corpus is read.", group="basics", label="Rounds", unit="epochs", gt=0)
    patience: int = setting(0, "0 never stops early.", group="saving", label="Patience", ge=0)
    heldout_share: float = setting(0.01, "Share of the documents kept aside.", group="saving", label="Held-out share", gt=0, le=0.5)


TASK = Task(kind="pretrain", plan=PretrainPlan, session="loralab.sessions.pretrain:PretrainSession")
