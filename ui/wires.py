"""Owns what the page's own script and the app tell each other: values that are on the page and never seen.

Either side writes a wire and the other hears of it; an event that takes one as its input knows what the page is about without being told.
Invariant: a wire holds an id, a word or nothing, and what comes in on it is as little trusted as what a person types.
"""

from __future__ import annotations

import time
from typing import Any

import gradio as gr


def wire(name: str, value: str = "") -> gr.HTML:
    """A value that `lab.wire` in scripts/frame.js takes up under this name."""
    return gr.HTML(value, visible="hidden", apply_default_css=False, js_on_load=wire_js(name), elem_id=f"wire-{name}")


def wire_js(name: str) -> str:
    """Browser code that makes a component's value one that the page's script knows by this name."""
    return f"lab.wire('{name}', props, watch);"


def bell(tab: str) -> gr.HTML:
    """Raises a `tick` each time this tab is turned to."""
    return gr.HTML(visible="hidden", apply_default_css=False, js_on_load=f"lab.onShown('{tab}', () => trigger('tick'))")


def go_to(tab: str) -> Any:
    """An update of the wire `turn` that turns to a tab; each is another value, so that it is heard also the second time."""
    return f"{tab} {time.monotonic_ns()}"


def go_to_js(tab: str) -> str:
    """Browser code that turns to a tab, for a button that does nothing else: it costs no event."""
    return f"() => lab.go('{tab}')"
