"""Owns what a section of the Evaluate tab is: its components and how they fill. Invariant: it reads the lab, never another section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loralab.core.events import RunView
from ui.page import Updates
from ui.tabs.evaluate.judged import Found

Fill = Callable[[str, RunView | None, Found | None], Updates]  # run, its view, what was found of it -> its outputs as they are now


@dataclass(frozen=True)
class Section:
    """Components already drawn and wired, and the updates they get whenever another run is shown or something was measured."""

    outputs: list[Any]
    fill: Fill
