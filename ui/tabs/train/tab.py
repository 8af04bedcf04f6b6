"""Owns the third tab: the live view of the current run. The run itself lives in its own process and does not need this page."""

from __future__ import annotations

from loralab.lab import Lab
from ui.markup import markup
from ui.page import Page
from ui.tabs.train.live import live_panel
from ui.words import heading


def build(lab: Lab, page: Page) -> None:
    """Draw the tab."""
    markup(heading("Learning", "You can close this page at any time: the run goes on, and the page finds it again."))
    live_panel(page)
