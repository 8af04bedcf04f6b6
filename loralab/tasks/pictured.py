"""What every kind of training on pictures can be set to, whether it learns to see or to draw."""

from __future__ import annotations

from loralab.core.records import Plan, setting


class PicturedPlan(Plan):
    """Settings of a run on pictures."""

    epochs: float = setting(
        50.0,
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
    roles: dict[str, str] = setting({}, "What was said about the files.", group="basics", label="Files")
    guessed: bool = setting(False, "What the files are is a guess that nobody has confirmed.", group="basics", label="Files are a guess")
