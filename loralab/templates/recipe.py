"""Owns the file that says a whole way: its examples, its plan, what is done with the result, and what to expect of it.

Invariant: a mistake in it is told with its line and with what may stand there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from loralab.core.errors import UserError

Usable = Literal["yes", "partly", "no", "you_decide"]
TODO = "Mend that line and try again."


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Form(_Part):
    """A form to take the result away in."""

    format: str = "adapter"
    variant: str = ""


class Benchmark(_Part):
    """How the ONNX exports are timed: so many held-out questions, so many tokens of answer each."""

    questions: int = Field(default=8, ge=1, le=200)
    tokens: int = Field(default=48, ge=1, le=1000)


class Publish(_Part):
    """Where on the Hub it goes. It stays private until a person makes it public."""

    repo: str = ""
    format: Literal["adapter", "merged", "gguf", "onnx"] = "adapter"


class Serve(_Part):
    """How it answers on this computer afterwards: under which name, from PyTorch or from an export, at which port (0: a free one)."""

    name: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{0,62})?$")
    format: Literal["safetensors", "gguf", "onnx"] = "safetensors"
    port: int = Field(default=0, ge=0, lt=1 << 16)


class Recipe(_Part):
    """A whole way: its examples, its model, settings that are not the planner's, what is done with the result, and what to expect."""

    name: str = Field(pattern=r"^[\w][\w .,-]{0,60}$")
    about: str = Field(default="", max_length=400)
    needs: str = Field(default="", max_length=600)  # what a person's own examples should look like
    data: str = ""  # a file beside this one, or a bundled data set; empty: the person's own
    stand_in: str = Field(default="", max_length=300)  # what the data is a stand-in for, where it is one
    credit: str = Field(default="", max_length=300)
    rows: tuple[dict[str, str], ...] = Field(default=(), max_length=10)  # a few examples, to be shown
    words: str = Field(default="", max_length=600)  # it is found by, beside those for people; in other languages, too
    roles: dict[str, str] = Field(default_factory=dict)
    model: str = "starter"
    plan: dict[str, Any] = Field(default_factory=dict)
    expect: str = Field(default="", max_length=400)  # what it then does, for people
    usable: Usable | None = None  # what was promised of its verdict, beside that it learned
    minutes: float | None = Field(default=None, gt=0)  # from start to verdict on two quiet cores
    export: tuple[Form, ...] = (Form(),)
    benchmark: Benchmark = Benchmark()
    serve: Serve | None = None
    publish: Publish | None = None

    @field_validator("usable", mode="before")
    @classmethod
    def _said(cls, value: object) -> object:
        """YAML reads yes and no as truth values."""
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


class Written:
    """A recipe file with where in it each value stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path.name} cannot be read.", "Give a plan, a .yaml file.", code="no_file") from error
        try:
            self._node, values = yaml.compose(text), yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise UserError(f"{path.name}, line {mark.line + 1 if mark else 1}: {_problem(error)}.", TODO, code="bad_recipe") from error
        if not isinstance(values, dict):
            raise UserError(f"{path.name} holds no settings.", "It begins with a line like “name: my pipeline”.", code="bad_recipe")
        try:
            self.recipe = Recipe.model_validate(values)
        except ValidationError as error:
            place, words = _first(error)
            raise self.wrong(place, words) from error

    def wrong(self, place: Iterable[str | int], words: str) -> UserError:
        """A mistake at that place (keys and numbers from the outside in), with its line."""
        keys = list(place)
        name = ".".join(str(key) for key in keys)
        return UserError(f"{self.path.name}, line {self._line(keys)}: {name}: {words}.", TODO, code="bad_recipe")

    def data_path(self) -> str:
        """Its examples: a file beside it, or the name of a bundled data set; empty where it names none."""
        if not self.recipe.data:
            return ""
        beside = (self.path.parent / self.recipe.data).expanduser()
        return str(beside.resolve()) if beside.exists() else self.recipe.data

    def _line(self, keys: list[str | int]) -> int:
        """Where a value stands, counted from 1; of one that is missing, where the part begins that should hold it."""
        node: Any = self._node
        line = 0
        for key in keys:
            inner = None
            if isinstance(node, yaml.MappingNode):
                inner = next(((name, value) for name, value in node.value if name.value == str(key)), None)
                line, node = (inner[0].start_mark.line, inner[1]) if inner else (line, None)
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line
            if node is None:
                break
        return line + 1


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", "") or "this is no YAML").rstrip(".")


def _first(error: ValidationError) -> tuple[tuple[str | int, ...], str]:
    found = error.errors()[0]
    kind, place = found["type"], found["loc"]
    if kind == "extra_forbidden":
        holder = (
            {"export": Form, "benchmark": Benchmark, "serve": Serve, "publish": Publish}.get(str(place[0]), Recipe)
            if len(place) > 1
            else Recipe
        )
        near = difflib.get_close_matches([str(key) for key in place][-1], holder.model_fields, 1)
        return place, f"there is no such setting{f'; did you mean “{near[0]}”?' if near else ''}"
    return place, {"missing": "this is missing"}.get(kind, found["msg"].rstrip("."))
