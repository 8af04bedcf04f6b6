"""What a pipeline does again and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import RunFailed
from loralab.pipeline.engine import Done, Pipeline


class Made:
    """A step that writes a file from what it is made from."""

    def __init__(self, folder: Path, name: str, source: dict[str, str], after: str = "") -> None:
        self.file, self.name, self.source, self.after, self.times, self.breaks = folder / name, name, source, after, 0, False
        self.begun: dict[str, Any] = {}

    def inputs(self, done: Done) -> dict[str, str]:
        return {"the words": self.source["words"]} if not self.after else {f"what {self.after} made": json.dumps(done.made(self.after))}

    def there(self, made: dict[str, Any]) -> bool:
        return Path(made["file"]).is_file()

    def make(self, done: Done, begun: dict[str, Any], note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        self.times, self.begun = self.times + 1, begun
        note({"half": self.times})
        if self.breaks:
            raise RunFailed("It broke.", "Try again.", code="broke")
        self.file.write_text(self.source["words"])
        return {"file": str(self.file), "words": self.source["words"]}


@pytest.fixture
def way(tmp_path: Path) -> tuple[Callable[[], Pipeline], dict[str, Made], dict[str, str]]:
    source = {"words": "one"}
    steps = {"train": Made(tmp_path, "train", source), "export": Made(tmp_path, "export", source, after="train")}
    return lambda: Pipeline(Done(tmp_path, "recipe"), steps, lambda words: None), steps, source


def times(steps: dict[str, Made]) -> list[int]:
    return [step.times for step in steps.values()]


def test_nothing_is_done_twice_for_nothing(way) -> None:
    again, steps, _ = way
    again().run()
    again().run()
    assert times(steps) == [1, 1]
    assert [due.why for due in again().due()] == ["", ""]


def test_what_changed_and_what_follows_from_it_is_done_again(way) -> None:
    again, steps, source = way
    again().run()
    source["words"] = "two"
    assert [due.why for due in again().due()] == ["the words changed", "it comes after train, which is due"]
    again().run()
    assert times(steps) == [2, 2]


def test_what_is_gone_is_made_again_and_nothing_else(way) -> None:
    again, steps, _ = way
    again().run()
    steps["export"].file.unlink()
    assert [due.why for due in again().due()] == ["", "what it made is not there any more"]
    again().run()
    assert times(steps) == [1, 2]


def test_a_step_that_broke_is_not_taken_for_done_and_gets_what_it_noted(way) -> None:
    again, steps, source = way
    again().run()
    source["words"], steps["train"].breaks = "two", True
    with pytest.raises(RunFailed):
        again().run()
    steps["train"].breaks = False
    assert again().due()[0].why == "it was broken off"
    again().run()
    assert steps["train"].begun == {"half": 2}
    source["words"], steps["train"].breaks = "three", True
    with pytest.raises(RunFailed):
        again().run()
    source["words"], steps["train"].breaks = "four", False
    again().run()
    assert steps["train"].begun == {}, "what was begun from other words is not gone on with"


def test_no_further_than_was_asked(way) -> None:
    again, steps, _ = way
    again().run("train")
    assert times(steps) == [1, 0]


def test_a_spoiled_memory_makes_everything_due(way, tmp_path: Path) -> None:
    again, steps, _ = way
    again().run()
    Done(tmp_path, "recipe").file.write_text("{")
    again().run()
    assert times(steps) == [2, 2]
