"""Owns the way between a Plan and the inputs on the screen. Invariant: what a setting is (type, bounds, words) is written in the Plan only.

form = make_form(TextPlan, skip=("task",))      inputs, not yet on the page
draw(form)                                      puts them on the page, folded by group
read(form, raw)                                 raw input values -> checked settings; a UserError names the field and its bounds
wrong(form, raw)                                every field that is out of bounds, with its bounds; `marks` says it to the page
fill(form, values, reasons)                     settings -> updates for the inputs, each with the reason for its value
changes(form)                                   the events of a person who is done with an input
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
import gradio as gr
from gradio.components import Component
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from loralab.core.errors import UserError
from loralab.core.records import Plan
from ui.markup import markup
from ui.words import paragraph

GROUPS = {
    "basics": "The basics",
    "adapter": "The adapter: how much can be learned",
    "model": "The adapter: how much can be learned",
    "learning": "Learning: how fast and how long",
    "memory": "Memory: what fits on this machine",
    "saving": "Safety: testing, stopping early, saving",
}


USUAL = "The usual choice."  # said once for the whole form, not under every input
UNEXPLAINED = "Where no reason is given under a value, it is the usual choice."


@dataclass(frozen=True)
class Form:
    """The inputs of one kind of plan, in the order they appear."""

    plan: type[Plan]
    names: tuple[str, ...]
    inputs: tuple[Component, ...]
    own: str = ""  # before the name of a setting, where several forms stand on one page

    def updates(self, values: dict[str, Any]) -> dict[Any, Any]:
        """The inputs of those settings that have one -> their new values."""
        return {component: values[name] for name, component in zip(self.names, self.inputs, strict=True) if name in values}


def make_form(plan: type[Plan], skip: tuple[str, ...] = (), own: str = "") -> Form:
    """Inputs for every setting of `plan` that a person can type; `skip` names those asked elsewhere, `own` is its mark."""
    fields = {name: field for name, field in plan.model_fields.items() if name not in skip and get_origin(field.annotation) is not dict}
    order = list(GROUPS)
    names = sorted(fields, key=lambda n: order.index(group_of(fields[n])) if group_of(fields[n]) in order else len(order))
    return Form(plan, tuple(names), tuple(_input(f"{own}{name}", fields[name]) for name in names), own)


def draw(form: Form) -> None:
    """Place the inputs on the page, each group folded under its own heading."""
    by_group: dict[str, list[Component]] = {}
    for name, component in zip(form.names, form.inputs, strict=True):
        by_group.setdefault(group_of(form.plan.model_fields[name]), []).append(component)
    markup(paragraph(UNEXPLAINED, "fine"))
    for group, components in by_group.items():
        with gr.Accordion(GROUPS.get(group, group.capitalize()), open=False, elem_classes="fold"), gr.Row(elem_classes="form-grid"):
            for component in components:
                component.render()


def read(form: Form, raw: tuple[Any, ...]) -> dict[str, Any]:
    """The settings a person entered. Raises UserError with the first one that is out of bounds."""
    for what, todo in wrong(form, raw).values():
        raise UserError(what, todo, code="bad_setting")
    return _values(form, raw)


def wrong(form: Form, raw: tuple[Any, ...]) -> dict[str, tuple[str, str]]:
    """Every setting that cannot be as it was entered -> what is wrong, and what would be right."""
    values, found = _values(form, raw), dict[str, tuple[str, str]]()
    fields = {name: form.plan.model_fields[name] for name in form.names}
    try:
        form.plan.model_validate(values)
    except ValidationError as error:
        for name in (str(one["loc"][0]) for one in error.errors()):
            found[name] = (f"“{label_of(fields[name])}” cannot be {values.get(name)}.", _allowed(fields[name]))
    found |= {name: (f"“{label_of(fields[name])}” is empty.", _allowed(fields[name])) for name, value in values.items() if value is None}
    return {name: found[name] for name in form.names if name in found}


def changed(form: Form, raw: tuple[Any, ...], proposed: dict[str, Any]) -> list[str]:
    """The settings that are not as they were proposed."""
    return [name for name, value in _values(form, raw).items() if name in proposed and value != proposed[name]]


def marks(form: Form, raw: tuple[Any, ...], proposed: dict[str, Any]) -> str:
    """For scripts/fields.js: which inputs are marked as wrong, and which get an arrow back to what was proposed."""
    said = {name: f"{what} {todo}" for name, (what, todo) in wrong(form, raw).items()}
    return json.dumps({"wrong": said, "changed": changed(form, raw, proposed)})


def marked() -> gr.HTML:
    """The place for `marks`. It raises a click with the name of a setting that is to be as it was proposed."""
    script = "fields.start(props, watch, trigger)"
    return gr.HTML("", visible="hidden", apply_default_css=False, js_on_load=script, elem_id="field-marks")


def _values(form: Form, raw: tuple[Any, ...]) -> dict[str, Any]:
    return {name: _typed(form.plan.model_fields[name], value) for name, value in zip(form.names, raw, strict=True)}


def fill(form: Form, values: dict[str, Any], reasons: dict[str, str]) -> dict[Any, Any]:
    """The inputs -> updates that show `values`; where the planner gave a reason it stands under the input."""
    updates: dict[Any, Any] = {}
    for name, component in zip(form.names, form.inputs, strict=True):
        field = form.plan.model_fields[name]
        why = reasons.get(name, "").replace(field.description or "", "").replace(USUAL, "").strip()
        info = f"{field.description} Why this value: {why}" if why else field.description
        updates[component] = gr.update(value=values.get(name, field.default), info=info)
    return updates


def changes(form: Form) -> list[Any]:
    """Events that fire when a person is done with an input: for what is typed also on leaving it, since few people press Enter."""
    found: list[Any] = []
    for component in form.inputs:
        if isinstance(component, gr.Number | gr.Textbox):
            found += [component.submit, component.blur]
        else:
            found.append(getattr(component, "input"))  # noqa: B009 - events are made at run time
    return found


def group_of(field: FieldInfo) -> str:
    """The heading a setting is folded under."""
    return str(_extra(field).get("group", "more"))


def label_of(field: FieldInfo) -> str:
    """The label a person reads, with the unit where there is one."""
    return str(_extra(field).get("label", ""))


def _extra(field: FieldInfo) -> dict[str, Any]:
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def _input(name: str, field: FieldInfo) -> Component:
    """The input that suits the setting's type."""
    unit = str(_extra(field).get("unit", ""))
    label = f"{label_of(field)} ({unit})" if unit else label_of(field)
    info, kind, own = field.description, field.annotation, f"set-{name}"
    if get_origin(kind) is Literal:
        choices = list(get_args(kind))
        return gr.Dropdown(choices, value=field.default, label=label, info=info, render=False, interactive=True, elem_id=own)
    if kind is bool:
        return gr.Checkbox(value=field.default, label=label, info=info, render=False, interactive=True, elem_id=own)
    if kind is int or kind is float:
        # Bounds stay with the plan: Gradio's own message about them names neither the setting nor what is allowed.
        exact = 0 if kind is int else None
        return gr.Number(field.default, label=label, info=info, precision=exact, render=False, interactive=True, elem_id=own)
    return gr.Textbox(field.default, label=label, info=info, render=False, interactive=True, elem_id=own)


def _typed(field: FieldInfo, value: Any) -> Any:
    if isinstance(value, NoneType) and field.annotation is str:
        return ""
    if field.annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _allowed(field: FieldInfo) -> str:
    """The bounds in words, read from the field itself."""
    low = high = ""
    for rule in field.metadata:
        match rule:
            case annotated_types.Ge(ge=bound):
                low = f"at least {bound}"
            case annotated_types.Gt(gt=bound):
                low = f"more than {bound}"
            case annotated_types.Le(le=bound):
                high = f"at most {bound}"
            case annotated_types.Lt(lt=bound):
                high = f"less than {bound}"
            case annotated_types.MaxLen(max_length=bound):
                high = f"at most {bound} characters long"
            case _:
                continue
    words = " and ".join(part for part in (low, high) if part)
    return f"It must be {words}." if words else "Write a value of the right kind."
