"""The draw task: learn from pictures with captions to draw new ones like them."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import setting
from loralab.tasks import Task
from loralab.tasks.pictured import PicturedPlan

BASE = "drawing-starter"  # the model that a plan names where nobody chose one


class DrawPlan(PicturedPlan):
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
    image_size: int = setting(
        32,
        "Side of what is drawn; the base knows which one. Larger takes longer, by the square.",
        group="basics",
        label="Picture size",
        unit="pixels",
        ge=32,
        le=2048,
        multiple_of=32,
    )


TASK = Task(
    kind="draw",
    plan=DrawPlan,
    session="loralab.sessions.drawing.session:DrawSession",
    card="loralab.reports.drawings:write",
    planner="loralab.planning.drawing:propose",
    base=BASE,
)
