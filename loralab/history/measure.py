"""What one run measured, beside what had been foretold of it: what later predictions are corrected by.

Invariants: only what was foretold before any correction is held against what was measured, so that corrections never feed on themselves;
a plan that changed on the way is another plan, and a file that somebody changed teaches nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loralab.core.events import RunView
from loralab.core.records import Record

MIN_UPDATES = 10  # a shorter run says little about its speed
_MOVES_MEMORY = {"token_budget", "recompute", "offload", "precision", "attention", "optimizer", "micro_batch"}


class RunMeasurement(Record):
    """One run: what was foretold of it, uncorrected, and what was measured. Bytes and seconds; null where one of the two is not known."""

    setting: str = ""  # device, architecture and way with memory: what its memory depends on
    device: str = ""
    pace: str = ""  # what its time was foretold from: measured | modelled
    mode: str = ""  # its way with memory
    foretold_memory: int | None = None  # the whole, by the closed form
    traced_memory: int | None = None  # by the trace
    probed_memory: int | None = None  # by the try before the first update
    peak_memory: int | None = None
    foretold_step: int | None = None  # what a step takes beside the program, the model and the adapter
    traced_step: int | None = None
    step_memory: int | None = None
    foretold_process: int | None = None  # the program without the model
    process_memory: int | None = None
    foretold_seconds: float | None = None
    measured_seconds: float | None = None
    beside_seconds: float | None = None  # loading before the first look, judging after the last
    foretold_disk: int | None = None
    measured_disk: int | None = None


def measure(predicted: Any, view: RunView, folder: Path) -> RunMeasurement:
    """What one run teaches. `predicted` is what its job says was foretold of it."""
    if not isinstance(predicted, dict):
        return RunMeasurement()
    try:
        return RunMeasurement.model_validate(_foretold(predicted) | _measured(predicted, view, folder))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # ValidationError is a ValueError
        return RunMeasurement()


def _foretold(said: dict[str, Any]) -> dict[str, Any]:
    memory, step = said["memory"], said["step"]
    return {
        "setting": said["key"],
        "mode": said["key"].rpartition(" | ")[2],
        "device": said["device"],
        "pace": said["pace"],
        "foretold_process": said["process"],
        "foretold_memory": memory.get("closed form"),
        "foretold_step": step.get("closed form"),
        "traced_memory": memory.get("trace"),
        "traced_step": step.get("trace"),
        "foretold_seconds": said["seconds"],
        "foretold_disk": said["disk"],
    }


def _measured(said: dict[str, Any], view: RunView, folder: Path) -> dict[str, Any]:
    result = view.ending.result if view.ending else {}
    found: dict[str, Any] = {"peak_memory": int(result.get("peak_memory_bytes") or 0) or None}
    probed = [note.data["bytes"] for note in view.notes if note.data.get("stage") == "probe" and "bytes" in note.data]
    found |= {"probed_memory": int(probed[0])} if probed else {}
    if view.state != "finished":
        return found
    found["measured_disk"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if any(change.setting in _MOVES_MEMORY for change in view.adjustments):
        return found
    loaded, weights = int(result.get("loaded_memory_bytes") or 0), int(said["weights"])
    if loaded and found["peak_memory"]:
        found["step_memory"] = max(1, found["peak_memory"] - loaded)
        if said["process"]:
            found["process_memory"] = max(1, loaded - weights)
    if view.step >= MIN_UPDATES and result.get("seconds"):
        found["measured_seconds"] = float(result["seconds"]) * max(1.0, view.total_steps / view.step)  # it may have ended early
    if result.get("seconds") and not any(note.text.startswith("Went on from update") for note in view.notes):
        found["beside_seconds"] = max(0.0, view.ended - view.started - float(result["seconds"]))
    return found
