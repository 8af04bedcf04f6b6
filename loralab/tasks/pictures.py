"""What every kind of training on pictures can be set to: to tell them apart, to find things in them, to mark what is where."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import setting
from loralab.tasks.pictured import PicturedPlan

BASE = "vision-starter"  # the model that a plan names where nobody chose one
PLANNER = "loralab.planning.pictures:propose"
CARD = "loralab.reports.pictures:write"
Augmentation = Literal["none", "photo", "microscope", "xray"]


class PicturePlan(PicturedPlan):
    """Settings of a run on pictures: a head for what is asked, and an adapter in the layers of the model that sees."""

    base_model: str = setting(BASE, "The model that learns to see your things.", group="basics", label="Base model")
    head_rate: float = setting(
        1.0,
        "How many times faster the part that answers learns than the part that sees.",
        group="learning",
        label="Speed of the answering part",
        gt=0,
        le=100,
    )
    effective_batch: int = setting(32, "Pictures behind one correction.", group="learning", label="Pictures per update", ge=1, le=65536)
    micro_batch: int = setting(
        32,
        "Pictures computed at once. Only memory and speed depend on it, never the result.",
        group="memory",
        label="Pictures at once",
        ge=1,
        le=4096,
    )
    weight_decay: float = setting(0.01, "Pulls what is learned gently towards zero.", group="learning", label="Weight decay", ge=0, le=1)
    image_size: int = setting(
        128,
        "Longer side of what the model looks at. Larger shows smaller things and takes longer, by the square.",
        group="basics",
        label="Picture size",
        unit="pixels",
        ge=32,
        le=2048,
        multiple_of=32,
    )
    augmentation: Augmentation = setting(
        "photo",
        "How each picture is changed a little every time it is seen, so that it is not learned by heart: photo mirrors, microscope also "
        "turns, xray never mirrors, none changes nothing.",
        group="learning",
        label="Variations",
    )
    class_weights: Literal["balanced", "none"] = setting(
        "balanced", "Whether rare kinds count for as much as common ones.", group="learning", label="Rare kinds"
    )
    rank: int = setting(16, "Room in the adapter: how much it can learn.", group="model", label="Rank", ge=1, le=512)
    alpha: float = setting(
        16.0, "How loudly the adapter speaks; as large as the rank is usual.", group="model", label="Alpha", gt=0, le=4096
    )
    dropout: float = setting(
        0.0, "Share of what is seen that is hidden while learning, against learning by heart.", group="model", label="Dropout", ge=0, le=0.9
    )
    probe_rounds: int = setting(
        20,
        "Rounds in which only the part that answers learns, before the part that sees begins to; 0 leaves the quick look out.",
        group="learning",
        label="Rounds of the quick look",
        unit="epochs",
        ge=0,
        le=1000,
    )
    optimizer: Literal["adamw", "schedule_free_adamw", "schedule_free_radam"] = setting(
        "adamw",
        "The schedule_free ones keep an average of the weights instead of slowing down towards the end, so that a run may be stopped at "
        "any time; radam begins gently by itself.",
        group="memory",
        label="Optimiser",
    )

    @property
    def averages(self) -> bool:
        """Whether the optimiser keeps an average of the weights, which needs no falling learning rate."""
        return self.optimizer.startswith("schedule_free")

    @property
    def loudness(self) -> float:
        """By what a learning rate is to be multiplied to compare plans."""
        return self.alpha / self.rank
