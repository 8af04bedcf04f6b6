"""Owns the settings of every kind of plan on one page: a form for texts and one for pictures, of which one is seen.

Invariant: which form counts is a value of its own among the inputs, so whoever reads them needs not know what the examples are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

import gradio as gr

from loralab.core.records import Plan
from ui import form as one_form
from ui.form import Form, make_form

BETWEEN = "--"  # a form's name and a setting's, where both stand in the page


@dataclass(frozen=True)
class Forms:
    """The forms by the kind of plan they are for; the first is seen where nothing is known yet."""

    kind: gr.State  # the task of the plan on the screen
    forms: tuple[Form, ...]
    plan_type: Callable[[str], type[Plan]]
    columns: list[gr.Column] = field(default_factory=list[gr.Column])  # where each form was drawn

    @property
    def names(self) -> tuple[str, ...]:
        """Every setting that has an input."""
        return tuple(dict.fromkeys(name for form in self.forms for name in form.names))

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the methods here take the values of: the kind first."""
        return (self.kind, *(component for form in self.forms for component in form.inputs))

    def of(self, task: str) -> Form:
        """The form for a kind of training."""
        return next((form for form in self.forms if issubclass(self.plan_type(task or "text"), form.plan)), self.forms[0])

    def read(self, raw: tuple[Any, ...]) -> dict[str, Any]:
        """The settings a person entered. Raises UserError with the first one that is out of bounds."""
        return one_form.read(*self._seen(raw))

    def wrong(self, raw: tuple[Any, ...]) -> dict[str, tuple[str, str]]:
        """Every setting that cannot be as it was entered -> what is wrong, and what would be right."""
        return one_form.wrong(*self._seen(raw))

    def fill(self, values: dict[str, Any], reasons: dict[str, str]) -> dict[Any, Any]:
        """The inputs and columns -> updates that show a plan, which says itself of which kind it is."""
        task = str(values.get("task") or "text")
        seen = {column: gr.Column(visible=form is self.of(task)) for column, form in zip(self.columns, self.forms, strict=True)}
        return {self.kind: task, **seen, **one_form.fill(self.of(task), values, reasons)}

    def updates(self, values: dict[str, Any]) -> dict[Any, Any]:
        """The inputs of those settings that have one -> their new values; without a task in every form where they are possible."""
        task = values.get("task")
        forms = (self.of(str(task)),) if task else self.forms
        found: dict[Any, Any] = {}
        for form in forms:
            possible = {name: value for name, value in values.items() if name in form.names and _possible(form, name, value)}
            found |= form.updates(possible)
        return found

    def marks(self, raw: tuple[Any, ...], proposed: dict[str, Any]) -> str:
        """For scripts/fields.js: which inputs are marked as wrong, and which get an arrow back to what was proposed."""
        form, values = self._seen(raw)
        found = json.loads(one_form.marks(form, values, proposed))
        wrong = {f"{form.own}{name}": words for name, words in found["wrong"].items()}
        return json.dumps({"wrong": wrong, "changed": [f"{form.own}{name}" for name in found["changed"]]})

    def changes(self) -> list[Any]:
        """Events that fire when a person is done with an input."""
        return [event for form in self.forms for event in one_form.changes(form)]

    def draw(self) -> None:
        """Place all of them on the page; the plan on the screen shows one."""
        for form in self.forms:
            with gr.Column(visible=form is self.forms[0]) as column:
                one_form.draw(form)
            self.columns.append(column)

    def _seen(self, raw: tuple[Any, ...]) -> tuple[Form, tuple[Any, ...]]:
        """The form that is seen, and the values of its inputs."""
        shown, at = self.of(str(raw[0])), 1
        for form in self.forms:
            if form is shown:
                break
            at += len(form.inputs)
        return shown, raw[at : at + len(shown.inputs)]


def make_forms(plans: tuple[type[Plan], ...], plan_type: Callable[[str], type[Plan]], skip: tuple[str, ...]) -> Forms:
    """A form for each of these plans and all that are made from them; `skip` names the settings that are asked elsewhere."""
    made = tuple(make_form(plan, skip, "" if at == 0 else f"{at}{BETWEEN}") for at, plan in enumerate(plans))
    return Forms(gr.State("text"), made, plan_type)


def setting_of(mark: str) -> str:
    """The setting that a mark on the page is about."""
    return mark.rpartition(BETWEEN)[2]


def _possible(form: Form, name: str, value: Any) -> bool:
    """Whether a choice of one form is one in this, too: a list that does not know its value refuses every later event."""
    kind = form.plan.model_fields[name].annotation
    return get_origin(kind) is not Literal or value in get_args(kind)
