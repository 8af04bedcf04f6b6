"""How our own markup is made and comes onto the page: Jinja macros in ui/templates, and a place that takes them.

Invariant: text from a file, a model or a person is escaped where it is written into a template; only what another macro made is `safe`.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loralab.core.words import count, duration, listed, plural, size
from ui.figures import figure

PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-pick]');
  if (button) trigger('click', {pick: button.dataset.pick, typed: button.parentElement.querySelector('.typed')?.value ?? ''});
});
"""


def markup(value: str | Callable[[], str] = "", elem_id: str | None = None) -> gr.HTML:
    """A place for markup made by `draw`. Elements with `data-pick` raise a click event that carries its value."""
    return gr.HTML(value, apply_default_css=False, js_on_load=PICK, elem_id=elem_id)


def esc(text: object) -> str:
    """Text made safe for the page, also inside Gradio's templates (which give braces and dollars a meaning)."""
    return html.escape(str(text)).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def draw(template: str, macro: str, *values: Any) -> str:
    """The markup of one macro of `ui/templates/<template>.jinja`."""
    return str(getattr(_environment().get_template(f"{template}.jinja").module, macro)(*values))


@cache
def _environment() -> Environment:
    places = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=places, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_written)
    spoken: dict[str, Any] = {"count": count, "plural": plural, "listed": listed, "duration": duration, "figure": figure, "size": size}
    made.globals.update(spoken)
    made.filters["number"] = lambda value: f"{value:,}"
    return made


def _written(value: object) -> object:
    """What stands in a template between double braces: nothing for None, markup as it is, all else escaped."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else Markup(esc(value))  # noqa: S704  (escaped in this very place)
