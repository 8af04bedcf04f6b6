"""What travels with an adapter of what it went through: history.json, and the same in short for the head of its weights.

Invariants: every place of this computer is replaced by a file's name; none of a person's examples goes along, nor an answer to one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loralab.core.events import Ended, Evaluated, Event, Previewed, Queued, Saved, Wondered
from loralab.core.report import answers, judged, losses
from loralab.core.strict_json import plain
from loralab.core.version import __version__
from loralab.exports import Source
from loralab.models import fingerprint
from loralab.models.adapter_file import FORM, HISTORY
from loralab.reports.card import SETTINGS, shared_plan

LEFT = (Queued, Saved, Ended, Previewed, Wondered)  # of this computer only, or in a person's own words


def history(source: Source) -> dict[str, Any]:
    """Settings, base and what the run told: losses update by update, looks, verdict, trouble, versions."""
    folder = source.adapter.parent.parent
    told = [_plain(event).model_dump(mode="json") for event in source.events if not isinstance(event, LEFT)]
    result = next((event.result for event in reversed(source.events) if isinstance(event, Ended)), {})
    found = {
        "form": FORM,
        "made_by": f"LoRALab {__version__}",
        "run": source.run,
        "outcome": source.view.state,
        "base": source.base.model_dump() | {"print": fingerprint.known(folder)},
        "plan": shared_plan(source.plan, source.base),
        "result": {name: value for name, value in result.items() if isinstance(value, int | float)},
        "events": told,
    }
    return _without_places(plain(found), _places(source))


def _plain(event: Event) -> Event:
    """An event without the answer its verdict shows as an example."""
    if not isinstance(event, Evaluated) or event.conclusion is None:
        return event
    return event.model_copy(update={"conclusion": event.conclusion.model_copy(update={"worst": None})})


def summary(source: Source) -> str:
    """The same in one line of JSON, for the head of the weights: settings, losses, verdict, base."""
    before, after, rows = losses(source.view)
    final = next((look for look in reversed(source.view.evaluations) if look.split == "final"), None)
    found = {
        "made_by": f"LoRALab {__version__}",
        "run": source.run,
        "title": source.plan.get("title") or "",
        "base": source.base.reference,
        "base_print": fingerprint.known(source.adapter.parent.parent),
        "settings": {name: source.plan[name] for name in SETTINGS if name in source.plan},
        "updates": source.view.step,
        "heldout": {"loss_before": before, "loss_after": after, "examples": rows},
        "verdict": judged(final),
        **answers(source.view.conclusion),
    }
    return json.dumps(_without_places(plain(found), _places(source)), ensure_ascii=False)


def _places(source: Source) -> list[str]:
    """Folders of this computer that may stand in a run's words, the longest first."""
    workspace = source.adapter.parents[3] if len(source.adapter.parents) > 3 else source.adapter.parent
    dataset = Path(str(source.plan.get("dataset") or ""))
    found = {
        source.model,
        source.model.parent,
        workspace,
        workspace.parent,
        Path.home(),
        *([dataset.parent] if dataset.is_absolute() else []),
    }
    return sorted((str(place) for place in found if len(place.parts) > 1), key=len, reverse=True)


def _without_places(value: Any, places: list[str]) -> Any:
    match value:
        case dict():
            return {_without_places(name, places): _without_places(inner, places) for name, inner in value.items()}
        case list():
            return [_without_places(inner, places) for inner in value]
        case str():
            for place in places:
                value = value.replace(place, Path(place).name)
            return value
        case _:
            return value


def write(source: Source, target: Path) -> None:
    """history.json into `target`."""
    (target / HISTORY).write_text(json.dumps(history(source), ensure_ascii=False, indent=1) + "\n", "utf-8")
