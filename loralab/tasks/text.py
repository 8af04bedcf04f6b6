"""The text task: tune a language model on conversations, labelled texts or plain text with a LoRA adapter."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import Attention, Plan, Recompute, setting
from loralab.tasks import Task


class TextPlan(Plan):
    """Settings of a text run."""

    task: Literal["text"] = "text"  # pyright: ignore[reportIncompatibleVariableOverride]
    rank: int = setting(16, "How much the adapter can learn. More is not always better.", group="adapter", label="Rank", ge=1, le=256)
    alpha: float = setting(
        32, "How loudly the adapter speaks; its strength is alpha divided by rank.", group="adapter", label="Alpha", gt=0, le=1024
    )
    dropout: float = setting(
        0.0, "Share of the adapter switched off at random while learning, against memorising.", group="adapter", label="Dropout", ge=0, lt=1
    )
    targets: str = setting(
        "all-linear",
        "Which parts of the model get an adapter: all-linear, attention, mlp, or names separated by commas.",
        group="adapter",
        label="Parts that learn",
    )
    use_rslora: bool = setting(
        False, "Divide alpha by the square root of the rank instead of the rank.", group="adapter", label="Rank-stabilised LoRA"
    )
    use_dora: bool = setting(
        False, "Learn size and direction of the weights apart: slower, sometimes better at low rank.", group="adapter", label="DoRA"
    )
    max_length: int = setting(
        512,
        "Longest example the model reads; what is longer is cut at the end and counted.",
        group="memory",
        label="Longest example",
        unit="tokens",
        ge=16,
        le=131072,
    )
    recompute: Recompute = setting(
        "none",
        "Keep all results for the way back (none), the costly ones (selective), or one per layer (full): less memory, more time.",
        group="memory",
        label="Recompute",
    )
    offload: bool = setting(
        False, "Keep what the way back needs in main memory instead of on the graphics card: slower.", group="memory", label="Offload"
    )
    optimizer: Literal["adamw", "adamw_8bit"] = setting(
        "adamw", "adamw_8bit keeps its notes in a quarter of the memory; needs bitsandbytes.", group="memory", label="Optimiser"
    )
    attention: Attention = setting(
        "sdpa",
        "How attention is computed: sdpa is fast, eager is plain arithmetic for when a fast kernel fails.",
        group="memory",
        label="Attention",
    )
    learn_from: Literal["replies", "everything"] = setting(
        "replies", "Learn only to write the answers, or the questions too.", group="basics", label="Learn from"
    )
    engine: Literal["loralab", "trl"] = setting(
        "loralab", "Who runs the training loop: ours, or TRL's SFTTrainer.", group="saving", label="Engine"
    )
    roles: dict[str, str] = setting({}, "Which column of the file plays which role.", group="basics", label="Columns")


TASK = Task(
    kind="text",
    plan=TextPlan,
    session="loralab.sessions.text:TextSession",
    engines={"trl": "loralab.sessions.trl_engine:train"},
    card="loralab.reports.card:write",
)
