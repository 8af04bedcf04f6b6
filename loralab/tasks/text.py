"""The text task: tune a language model on conversations, labelled texts or plain text with a LoRA adapter."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from loralab.core.records import SQUEEZED, Attention, Plan, Recompute, setting
from loralab.tasks import Task

AdapterKind = Literal["lora", "dora", "pissa", "miss"]
RankSchedule = Literal["fixed", "progressive", "adaptive", "hardware"]
MOST_MOVED = 2  # times the plan's rank: most that one part may get of the others'


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
    adapter: AdapterKind = setting(
        "lora",
        "How the adapter is made. lora: two thin matrices beside each part. dora: size and direction of the weights learn apart; slower, "
        "sometimes better at low rank. pissa: it begins with what is strongest in the model's own weights instead of nothing, and is twice "
        "as large. miss: one thin matrix instead of two, about half as much that learns.",
        group="adapter",
        label="Kind of adapter",
    )
    rank_schedule: RankSchedule = setting(
        "fixed",
        "What becomes of the rank. fixed: it stays. progressive: it begins with a quarter and is whole by the middle of the run. "
        "adaptive: it moves to the parts that make use of it, and never grows in all. hardware: it is chosen before "
        "the start, as large as memory and time allow.",
        group="adapter",
        label="Rank over time",
    )
    lora_plus: float = setting(
        1.0,
        "How many times faster the second matrix of the adapter learns than the first (LoRA+); 1 treats both alike.",
        group="learning",
        label="Second matrix faster",
        unit="times",
        ge=1,
        le=64,
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
    compute: Literal["fp32", "bf16", "fp16"] = setting(
        "fp32",
        "What a model in 4 or 8 bits is computed in: fp32 is exact, bf16 and fp16 are faster where the chip has them.",
        group="memory",
        label="Computed in",
    )
    double_quantisation: bool = setting(
        True,
        "In 4 bits, squeeze the scales of the numbers, too: a tenth less memory, hardly less exact.",
        group="memory",
        label="Squeeze the scales",
    )
    optimizer: Literal["adamw", "paged_adamw_32bit", "adamw_8bit", "paged_adamw_8bit", "schedule_free_adamw", "schedule_free_radam"] = (
        setting(
            "adamw",
            "With 8 bits its notes need a quarter of the memory; paged ones can leave a full graphics card for main memory; both take the "
            "part “4-bit training”. The schedule_free ones keep an average of the weights instead of slowing down towards the end, so "
            "that a run may be stopped at any time; radam begins gently by itself.",
            group="memory",
            label="Optimiser",
        )
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
    heldout_by: Literal["likeness", "question"] = setting(
        "likeness",
        "What is kept aside: what the file marks to test with, or else at random with near copies on one side; or, as in runs begun before "
        "that was so, at random with equal questions on one side.",
        group="saving",
        label="Held out by",
    )
    engine: Literal["loralab", "trl"] = setting(
        "loralab", "Who runs the training loop: ours, or TRL's SFTTrainer.", group="saving", label="Engine"
    )
    roles: dict[str, str] = setting({}, "Which column of the file plays which role.", group="basics", label="Columns")
    guessed: bool = setting(
        False, "Which column plays which role is a guess that nobody has confirmed.", group="basics", label="Columns are a guess"
    )
    parts: tuple[str, ...] = setting((), "Which sheets of a workbook are read; none named: the largest.", group="basics", label="Sheets")

    @model_validator(mode="before")
    @classmethod
    def _as_once_written(cls, values: Any) -> Any:
        """Plans of versions that had a switch for DoRA."""
        if not isinstance(values, dict) or "use_dora" not in values:
            return values
        kept = {name: value for name, value in values.items() if name != "use_dora"}
        return kept | ({"adapter": "dora"} if str(values["use_dora"]).lower() in ("true", "1", "yes", "on") else {})

    @property
    def use_dora(self) -> bool:
        """Whether size and direction of the weights learn apart."""
        return self.adapter == "dora"

    @property
    def file_rank(self) -> int:
        """Rank of the matrices that are held and written: PiSSA keeps those it began with beside those that learn."""
        return self.rank * (2 if self.adapter == "pissa" else 1)

    @property
    def widest_rank(self) -> int:
        """Most rank that a part may have."""
        return MOST_MOVED * self.rank if self.rank_schedule == "adaptive" else self.file_rank

    @property
    def loudness(self) -> float:
        """By what a learning rate is to be multiplied to compare plans: alpha / rank (alpha / sqrt(rank) where it is rank-stabilised), and
        how much faster the second matrix learns.
        """
        return self.alpha / (self.rank**0.5 if self.use_rslora else self.rank) * self.lora_plus

    @property
    def averages(self) -> bool:
        """Whether the optimiser keeps an average of the weights, which needs no falling learning rate."""
        return self.optimizer.startswith("schedule_free")

    @property
    def computed_in(self) -> str:
        """The type of what goes through the layers: fp32, bf16 or fp16."""
        return self.compute if self.precision in SQUEEZED else self.precision

    @property
    def small_notes(self) -> bool:
        """Whether the optimiser keeps its notes in 8 bits."""
        return self.optimizer.endswith("8bit")


TASK = Task(
    kind="text",
    plan=TextPlan,
    session="loralab.sessions.text:TextSession",
    engines={"trl": "loralab.sessions.trl_engine:train"},
    card="loralab.reports.card:write",
)
