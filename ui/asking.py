"""A question that is asked before something is done: words, a button to go on and one to leave it. Invariant: it is hidden until asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from ui.markup import markup

Variant = Literal["primary", "secondary", "stop"]


@dataclass(frozen=True)
class Question:
    """Its parts. The button to leave it hides it."""

    column: gr.Column
    words: gr.HTML
    yes: gr.Button
    no: gr.Button

    def ask(self, words: str) -> dict[Any, Any]:
        """Updates that show it."""
        return {self.column: gr.Column(visible=True), self.words: words}

    def hide(self) -> Any:
        """The update of its column that hides it."""
        return gr.Column(visible=False)


def question(yes: str, no: str, variants: tuple[Variant, Variant] = ("primary", "secondary"), looks: str = "", name: str = "") -> Question:
    """Draw it, hidden. `looks`: classes beside its own; `name`: from which its button to go on has its id."""
    with gr.Column(visible=False, elem_classes=f"{looks} asking".strip()) as column:
        words = markup()
        with gr.Row(elem_classes="actions"):
            go_on = gr.Button(yes, variant=variants[0], scale=0, min_width=150, elem_id=f"{name}-yes" if name else None)
            leave = gr.Button(no, variant=variants[1], scale=0, min_width=110)
    asked = Question(column, words, go_on, leave)
    leave.click(asked.hide, None, column, show_progress="hidden")
    return asked
