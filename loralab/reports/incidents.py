"""Owns how trouble in a run is told: of which kind an incident is, what was done about it, and a changed setting in one sentence.

Invariant: words come from the events alone, so that the app, a report and a terminal say the same; a code or a setting that nobody
has thought of here is still told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from loralab.core.events import Adjusted, Incident, Noted, RunView
from loralab.core.incident_kinds import KINDS, Kind
from loralab.tasks import tasks

UNBOUNDED = ("token_budget", "held_out_tokens_at_once")  # settings of which 0 means: as much as there is

# setting -> what it means that its value became (smaller, larger)
NUMBERS = {
    "token_budget": ("Fewer tokens at once ({})", "More tokens at once ({})"),
    "held_out_tokens_at_once": ("Fewer held-out tokens at once ({})", "More held-out tokens at once ({})"),
    "micro_batch": ("Fewer examples at once ({})", "More examples at once ({})"),
    "learning_rate": ("Smaller corrections (learning rate {})", "Bigger corrections (learning rate {})"),
    "warmup": ("A shorter warm-up ({} of the run)", "A longer, gentler warm-up ({} of the run)"),
    "max_grad_norm": ("Stricter limit for a single correction ({})", "Looser limit for a single correction ({})"),
    "max_length": ("Long examples are cut sooner ({} tokens)", "Longer examples are kept whole ({} tokens)"),
}
WORDS = {
    "recompute": "Less is kept in memory and more computed twice ({})",
    "precision": "Numbers are kept more exactly ({})",
    "attention": "Attention is computed in the plain way ({})",
    "offload": "What is not needed at the moment waits in main memory ({})",
    "optimizer": "The optimiser uses less memory ({})",
}


class Told(NamedTuple):
    """An incident, its kind, and what was done about it, each a sentence."""

    incident: Incident
    kind: Kind
    done: tuple[str, ...]


def told(view: RunView) -> list[Told]:
    """The incidents of a run in order, each with what followed from it before the next."""
    return [_with_answer(one, next(iter(view.incidents[n:]), None), view) for n, one in enumerate(view.incidents, 1)]


def _with_answer(incident: Incident, after: Incident | None, view: RunView) -> Told:
    """What was adjusted and noted in the same update, from this incident on and before the next."""

    def follows(event: Adjusted | Noted) -> bool:
        in_time = incident.time <= event.time and (after is None or event.time <= after.time)
        return in_time and 0 <= incident.step - event.step <= 1

    back = [note.text for note in view.notes if note.code == "rolled_back" and follows(note)]
    done = [*back, *(adjustment(event) for event in view.adjustments if follows(event))]
    return Told(incident, "rolled back" if back else KINDS.get(incident.code, "other"), tuple(dict.fromkeys(done)))


def adjustment(event: Adjusted) -> str:
    """What was changed and why: “Fewer tokens at once (2,048 → 1,024), because memory ran out. The result stays the same.”"""
    reason = event.reason.strip()
    why = f", because {reason}" if reason[:1].islower() else f". {reason}" if reason else ""
    return f"{_head(event)}{why}".rstrip(".") + "."


def _head(event: Adjusted) -> str:
    setting, before, after = event.setting, event.before, event.after
    values = f"{_value(before, setting)} → {_value(after, setting)}"
    if setting in NUMBERS and _is_number(before) and _is_number(after):
        unbounded = setting in UNBOUNDED
        less = (after or float("inf")) < (before or float("inf")) if unbounded else after < before
        return NUMBERS[setting][0 if less else 1].format(values)
    if setting in WORDS:
        return WORDS[setting].format(values)
    return f"{_label(setting)} changed ({values})"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label(setting: str) -> str:
    """What the plan page calls a setting."""
    fields = (task.plan.model_fields.get(setting) for task in tasks().values())
    labels = (str((field.json_schema_extra or {}).get("label", "")) for field in fields if field and not callable(field.json_schema_extra))
    return next(filter(None, labels), setting.replace("_", " ").capitalize())


def _value(value: Any, setting: str) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case 0 if setting in UNBOUNDED:
            return "no limit"
        case float() if setting == "warmup":
            return f"{value:.0%}"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.3g}"
        case _:
            return str(value)
