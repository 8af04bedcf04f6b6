"""The draw task: learn from pictures with captions to draw new ones like them."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import Plan, setting
from loralab.tasks import Task

BASE = "drawing-starter"  # the model that a plan names where nobody chose one


class DrawPlan(Plan):
    """Settings of a run that learns to draw in a style: an adapter in a model that turns noise into pictures.

    The adapter's alpha is its rank, always: what others write and read of such adapters leaves alpha out.
    """

    task: Literal["draw"] = "draw"  # type: ignore[assignment]
    base_model: str = setting(BASE, "The model that learns to draw like your pictures.", group="basics", label="Base model")
    trigger: str = setting(
        "mystyle",
        "The word that stands for your style: with it in a sentence, it draws in your style.",
        group="basics",
        label="Trigger word",
        min_length=1,
        max_length=40,
        pattern=r"^[^\s\[\]]+$",
    )
    epochs: float = setting(
        30.0,
        "How many times the model sees every picture at most; it stops before where more does not help.",
        group="basics",
        label="Rounds over the pictures",
        unit="epochs",
        gt=0,
        le=1000,
    )
    learning_rate: float = setting(1e-3, "How big each correction of the adapter is.", group="learning", label="Learning rate", gt=0, lt=1)
    effective_batch: int = setting(8, "Pictures behind one correction.", group="learning", label="Pictures per update", ge=1, le=65536)
    micro_batch: int = setting(
        8,
        "Pictures computed at once. Only memory and speed depend on it, never the result.",
        group="memory",
        label="Pictures at once",
        ge=1,
        le=4096,
    )
    token_budget: int = setting(
        0,
        "Pixels computed at once; 0 means: as many as the pictures at once have. Only memory and speed depend on it.",
        group="memory",
        label="Pixels at once",
        unit="pixels",
        ge=0,
        le=1 << 30,
    )
    rank: int = setting(16, "Room in the adapter: how much it can learn. Its alpha is the same.", group="model", label="Rank", ge=1, le=256)
    blank_captions: float = setting(
        0.1,
        "Share of the pictures shown without their words, so that words can be made to count more.",
        group="learning",
        label="Shown without words",
        ge=0,
        le=0.9,
    )
    guidance: float = setting(
        3.0, "How strictly a drawing follows the words; too much makes colours harsh.", group="model", label="Obedience", ge=1, le=15
    )
    drawing_steps: int = setting(
        20,
        "Steps from noise to a picture; more is finer and slower.",
        group="model",
        label="Steps of a drawing",
        unit="steps",
        ge=2,
        le=200,
    )
    roles: dict[str, str] = setting({}, "What was said about the files.", group="basics", label="Files")
    guessed: bool = setting(False, "What the files are is a guess that nobody has confirmed.", group="basics", label="Files are a guess")

    @property
    def image_size(self) -> int:
        """Pixels of a side of what the starter draws."""
        return 32


TASK = Task(
    kind="draw",
    plan=DrawPlan,
    session="loralab.sessions.drawing.session:DrawSession",
    card="loralab.reports.drawings:write",
    planner="loralab.planning.drawing:propose",
    base=BASE,
)
