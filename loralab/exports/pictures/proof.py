"""Owns the parity gate for models of pictures: a finished folder, used by its own program in a fresh process, against what was trained.

Invariants: base plus adapter are loaded anew from the run's own files; what is compared is the finished folder; a program that breaks is a
finding about the folder and no accident of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.core.errors import LabError, Problem
from loralab.core.parity import Check, Parity
from loralab.exports import Note, Source
from loralab.exports.parity.checks import untried
from loralab.exports.parity.reasons import TODO, reason
from loralab.exports.pictures import checks
from loralab.exports.pictures.reference import Said, Wanted, wanted_of
from loralab.models.vision import WEIGHTS
from loralab.runtimes.vision.fresh import FreshProcess

BASE_TODO = "To have it proven, put the base model back and export once more."


@dataclass(frozen=True)
class Inside:
    """What is in a folder: checks of what it says, and its numbers by name (see checks.weights); None where those were compared already."""

    checks: tuple[Check, ...]
    stored: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


Look = Callable[[Source, Path, Wanted], Inside]  # raises LabError where a file cannot be read


def compare(
    source: Source, target: Path, note: Note, look: Look, kind: str, *, base: bool = False, missing: Problem | None = None
) -> Parity:
    """What the gate finds. `base`: the folder's program needs the base's. `missing`: what is not installed here to try it."""
    if not (source.model / WEIGHTS).is_file():
        return untried("The base model is not on this computer any more, so nothing could be compared.", BASE_TODO)
    if source.changed:
        return untried(source.changed.what, source.changed.todo)
    note("asking what was trained")
    wanted = wanted_of(source)
    found = [checks.works(wanted), *_pictures(wanted)]
    note("looking into the file")
    try:
        inside = look(source, target, wanted)
    except LabError as error:
        return _judged([*found, Check(name="loads", ok=False, words=error.problem.what)], "", kind)
    found += inside.checks
    own = wanted.said
    if inside.stored is not None:
        check, plain = checks.weights(wanted, inside.stored)
        found.append(check)
        own = wanted.own(plain)
    if missing:
        return untried(missing.what, missing.todo, missing.part).model_copy(update={"kind": kind, "checks": tuple(found)})
    note("trying it where it will be used")
    name = ""
    try:
        with closing(FreshProcess()) as process:
            name = process.open(target, source.model if base else None)
            found.append(Check(name="loads", ok=True, words=f"in {name}"))
            for check in _used(process, wanted, own):  # those made before it broke are kept
                found.append(check)
    except LabError as error:
        found.append(Check(name="program" if name else "loads", ok=False, words=error.problem.what))
    cost = checks.cost(wanted, own) if kind != "f32" else None
    return _judged([*found, *([cost] if cost else [])], name, kind)


def _pictures(wanted: Wanted) -> Iterator[Check]:
    """Where no held-out picture is to be had, that is told."""
    if not wanted.held.files:
        words = f"compared on pictures of chance, because those that were held out are not to be had ({wanted.held.why})"
        yield Check(name="pictures", ok=False, words=words, told_only=True)


def _used(process: FreshProcess, wanted: Wanted, own: Said) -> Iterator[Check]:
    yield checks.outputs(wanted, own, process.outputs(wanted.held.pixels))
    if wanted.held.files:
        yield checks.program(wanted, own, [process.answer(file) for file in wanted.held.files])


def _judged(found: list[Check], runtime: str, kind: str) -> Parity:
    red = [check for check in found if not check.ok and not check.told_only]
    if red:
        words = f"This file does not do what was trained: {'; '.join(check.words for check in red)}."
        return Parity(outcome="differs", words=words, why=_why(red), todo=TODO, runtime=runtime, kind=kind, checks=tuple(found))
    words = f"Used by its own program in {runtime} and compared with what was trained: {len(found)} checks, all within their bounds."
    return Parity(outcome="proven", words=words, runtime=runtime, kind=kind, checks=tuple(found))


def _why(red: list[Check]) -> str:
    known = reason({check.name: check.numbers for check in red})
    if known:
        return known
    if any(check.name == "outputs" for check in red):
        return "its program reads the file in another way than it was meant: the order of colours, or what is taken off each pixel."
    return "its program makes pictures ready in another way than the model learned them, or reads its answers wrongly."
