"""Owns the one way our own markup comes onto the page: without Gradio's text styles, and with clicks reported by name."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-pick]');
  if (button) trigger('click', {pick: button.dataset.pick});
});
"""


def markup(value: str | Callable[[], str] = "", elem_id: str | None = None) -> gr.HTML:
    """A place for markup made in ui.words and its neighbours. Elements with `data-pick` raise a click event that carries its value."""
    return gr.HTML(value, apply_default_css=False, js_on_load=PICK, elem_id=elem_id)
