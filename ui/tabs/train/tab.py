"""Owns the third tab: the live view of the current run. The run itself lives in its own process and does not need this page."""

from __future__ import annotations

from loralab.lab import Lab
from ui.page import Page
from ui.tabs.train.live import live_panel


def build(lab: Lab, page: Page) -> None:
    """Draw the tab."""
    live_panel(page)
