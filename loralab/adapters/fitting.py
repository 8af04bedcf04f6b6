"""Owns holding an adapter against its base: a child asks PEFT where each tensor goes and whether the base answers otherwise with it.

Invariants: an adapter comes out of here in PEFT's own spelling with every tensor in its place, or not at all; a pattern that never comes
to an end ends the child, not the app; nothing is said to fit that changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loralab.adapters.compatibility import CONFIG, misfit
from loralab.adapters.names import PREFIX, WEIGHTS, Adapter, Expected, moved, read, spelled
from loralab.core.child_process import Child
from loralab.core.errors import LabError, UserError
from loralab.core.words import count
from loralab.models import adapter_file
from loralab.models.model_folder import header

CHILD = "loralab.runtimes.llama.child"
START, SECONDS = 600.0, 60.0  # for loading the libraries; for holding names against patterns
NOTHING = 1e-5  # of the largest logit: a smaller change is rounding
BY_NAME = ("rank_pattern", "alpha_pattern")  # settings for single parts, by their names
UNTRIED = "There was too little memory to try it over its base just now, so nobody knows yet whether it changes the answers."


def fit(folder: Path, settings: dict[str, Any], model: Path) -> tuple[Adapter, list[str]]:
    """Bring the adapter in `folder` into PEFT's spelling. Returns what it holds and what should be known though it fits.

    Raises UserError naming what does not match, or LabError where it cannot be found out.
    """
    child = Child(
        CHILD, "transformers", name="The trial of this adapter", code="adapter", todo="Close other programs, then import it again."
    )
    try:
        child.seconds = START
        child.ask("ready")
        child.seconds = SECONDS
        adapter, told = _placed(child, folder, settings, model)
        child.seconds = START
        return adapter, told + _tried(child, folder, model)
    finally:
        child.close()


def _placed(child: Child, folder: Path, settings: dict[str, Any], model: Path) -> tuple[Adapter, list[str]]:
    adapter, told = read(folder), []
    expected = _expected(child, folder, settings, model)
    place = _moves(adapter, expected, settings)
    if place:
        adapter = spelled({name: entry["shape"] for name, entry in header(folder / WEIGHTS).items()}, place)
        settings |= {"target_modules": sorted(adapter.pairs), "layers_to_transform": None, "layers_pattern": None, "exclude_modules": None}
        (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
        expected = _expected(child, folder, settings, model)
        was = next(name for name, now in place.items() if name != now)
        told.append(f"Its parts had the names of another wrapping of the same model ({was}); each was put in its place ({place[was]}).")
    problem = misfit(settings, adapter, expected, model.name)
    if problem:
        raise UserError(problem.what, problem.todo, code=problem.code)
    if expected.unknown:
        told.append(f"Its settings name something that LoRALab does not know and reads past ({', '.join(expected.unknown)[:80]}).")
    copies = _copies(child, folder, adapter, expected, model)
    names = {name: new for name, new in adapter.names.items() if name not in copies}
    if copies or any(name != new for name, new in names.items()):
        adapter_file.rename(folder / WEIGHTS, names)
    if copies:
        told.append(f"It carried {count(len(copies), 'copy', 'copies')} of what its base has itself; that was left out.")
    return read(folder), told


def _expected(child: Child, folder: Path, settings: Mapping[str, Any], model: Path) -> Expected:
    try:
        return Expected.model_validate(child.ask("expected", model=str(model), adapter=str(folder))[0])
    except LabError as error:
        if error.problem.code != "adapter_late":
            raise
        named = settings["target_modules"]
        pattern = f" (probably “{named[:80]}”)" if isinstance(named, str) else ""
        what = f"This adapter cannot be used: a pattern in its settings{pattern} never comes to an end."
        raise UserError(what, "Choose another adapter, or have its maker name the parts one by one.", code="endless_pattern") from error


def _moves(adapter: Adapter, expected: Expected, settings: Mapping[str, Any]) -> dict[str, str]:
    """Module -> its name in the base, where the file has the names of a wrapper and there is one way only to read them."""
    known = {name.removesuffix(".weight") for name in expected.weights}
    if adapter.pairs.keys() <= known or any(settings.get(name) for name in BY_NAME):
        return {}
    whole = {name.rpartition(".")[0] for name in (*adapter.whole, *(origin for origin, _ in adapter.copies.values()))}
    return moved([*adapter.pairs, *sorted(whole - adapter.pairs.keys())], known)


def _copies(child: Child, folder: Path, adapter: Adapter, expected: Expected, model: Path) -> dict[str, str]:
    """Tensors that say what the base has anyway: name in the file -> in the base. Raises UserError where one says something else."""
    copies = {name: origin for name, (origin, _) in adapter.copies.items()}
    copies |= {
        name: spelling.removeprefix(PREFIX)
        for name, spelling in adapter.names.items()
        if spelling.removeprefix(PREFIX) in adapter.whole and spelling not in expected.tensors
    }
    strange = child.ask("strangers", model=str(model), file=str(folder / WEIGHTS), copies=copies)[0] if copies else []
    if not strange:
        return copies
    own = f"it brings its own {copies[strange[0]]}, with other numbers than this base"
    what = f"This adapter does not fit the base model “{model.name}”: {own}."
    raise UserError(what, "Choose the base model it was trained on.", code="other_base")


def _tried(child: Child, folder: Path, model: Path) -> list[str]:
    """Ask the base with and without it. Raises UserError where that is the same, or no number."""
    found: dict[str, float] = child.ask("tried", model=str(model), adapter=str(folder))[0]
    if not found:
        return [UNTRIED]
    if found["change"] < 0:
        what = "With this adapter its base gives no answers any more: the numbers it computes are not finite."
        raise UserError(what, "Choose another adapter.", code="non_finite")
    if found["change"] <= NOTHING * found["largest"]:
        what = f"This adapter does nothing: with it, “{model.name}” answers exactly as without it."
        raise UserError(what, "It may be empty or not trained yet. Ask its maker for the trained one.", code="does_nothing")
    return []
