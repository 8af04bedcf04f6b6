"""Owns the nouns of what came of a run: what it made, answers and measured. Everybody takes them from loralab.core.records."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, Field

from loralab.core.said import Record


def _once_named(name: str, old: str, default: Any = ...) -> Any:
    """A field that files of earlier versions have under another name."""
    return Field(default, validation_alias=AliasChoices(name, old))


class Artifact(Record):
    """A file or folder a worker made."""

    kind: str  # adapter | checkpoint | export | model | report
    path: str
    step: int = 0
    digest: str = ""  # sha256 of the weights
    bytes: int = 0


class Sample(Record):
    """One held-out prompt answered before and after; `active` names the adapters that were on for each answer (checked, not assumed)."""

    prompt: str
    reference: str = ""
    before: str = _once_named("before", "base")
    after: str = _once_named("after", "adapter")
    before_active: tuple[str, ...] = _once_named("before_active", "base_active", ())
    after_active: tuple[str, ...] = _once_named("after_active", "adapter_active", ())
    drawn: str = ""  # of a picture in which the answer marks something: the file that says where (loralab/datasets/images/kept_marks.py)


class Score(Record):
    """Before against after on held-out examples, paired per row. `low`..`high`: 95 % interval of the difference (after - before)."""

    name: str
    before: float = _once_named("before", "base")
    after: float = _once_named("after", "adapter")
    n: int
    difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    verdict: str = ""  # better | worse | no difference seen | cannot tell yet
    words: str = ""
    label: str = ""  # what it is called on the page
    help: str = ""  # what the number means, for the page that opens on it
    group: str = ""  # loss | accuracy | fluency | alignment | grounding | forgetting
    lower_is_better: bool = False
    share: bool = False  # a share 0..1, shown as per cent
    main: bool = False  # the measure the verdict rests on, chosen by the data before anything was measured
    p: float = 1.0  # chance of such a difference if nothing had changed, corrected for the number of measures
    smallest: float = 0.0  # smallest difference that n examples would probably have shown
    more_rows: int = 0  # about so many more examples would tell
    between: tuple[float, float] | None = None  # 95 % interval of `after` alone, where it was taken
