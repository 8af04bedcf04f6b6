"""The optional parts: one list says what needs what, and what is missing is told with the part that would mend it."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from loralab.core import parts
from loralab.core.errors import UserError
from loralab.setup.environment import CONSTRAINTS, Place, plain

LISTED = parts.parts()
TAGS = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "arm64", "AMD64": "AMD64", "ARM64": "ARM64"}


def computer(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, release: str = "") -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), machine))
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", release) if system == "Linux" and release else ("", release))


@pytest.mark.parametrize(
    ("system", "machine", "release", "refused"),
    [
        ("Linux", "x86_64", "2.39", {}),
        ("Linux", "x86_64", "2.17", {"onnx": "old", "bitsandbytes": "old", "scipy": "old"}),
        ("Linux", "x86_64", "", dict.fromkeys((part.name for part in LISTED), "unusual")),
        ("Linux", "armv7l", "2.39", dict.fromkeys((part.name for part in LISTED), "this kind")),
        ("Windows", "AMD64", "", {}),
        ("Windows", "ARM64", "", dict.fromkeys(("llama_cpp", "s3", "ray"), "this kind")),
        ("Darwin", "arm64", "15.1", {}),
        ("Darwin", "arm64", "13.6", {"onnx": "macOS 14", "bitsandbytes": "macOS 14"}),
    ],
)
def test_a_part_says_why_it_cannot_be_had_on_a_computer_without_a_build(monkeypatch, system, machine, release, refused):
    computer(monkeypatch, system, machine, release)
    found = {part.name: part.obstacle for part in parts.parts()}
    assert {name for name, words in found.items() if words} == refused.keys()
    assert all(said in found[name] for name, said in refused.items())


def test_an_older_python_is_told_which_one_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert "Python 3.11" in parts.part_of("onnx").obstacle
    assert not parts.part_of("bitsandbytes").obstacle


@pytest.mark.parametrize("part", LISTED, ids=lambda part: part.name)
def test_what_a_part_needs_is_pinned_and_nothing_it_needs_is_left_out(part):
    place = Place()
    pinned = {plain(Requirement(line).name): Requirement(line) for line in place.lines(part.packages, *place.files(["core"])).splitlines()}
    assert pinned.keys() == set(map(plain, part.packages))
    for machines in part.builds.values():  # the markers and the list name the same computers
        assert all(
            pin.marker is None or pin.marker.evaluate({"platform_machine": m, "python_version": "3.12"})
            for m in machines
            for pin in pinned.values()
        )
    brought = place.lines(part.brings, place.root / CONSTRAINTS).splitlines()
    assert {plain(Requirement(line).name) for line in brought} == set(map(plain, part.brings))
    lines = place.files(["core"])[0].read_text("utf-8").splitlines()
    ours = {plain(Requirement(line).name) for line in lines if line and line[0] not in "# "}
    for package in (*part.packages, *part.brings):
        try:
            wanted = [Requirement(line) for line in metadata.requires(package) or ()]
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed here")
        names = {plain(one.name) for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})}
        elsewhere = ours | {plain(name) for owner in ("torch", "pydantic", "transformers", "gguf") for name in _needs(owner)}
        assert names <= set(map(plain, (*part.packages, *part.brings))) | elsewhere


def _needs(package: str) -> set[str]:
    return {Requirement(line).name for line in metadata.requires(package) or ()}


def test_what_is_missing_names_the_part_that_mends_it(monkeypatch):
    monkeypatch.setattr(parts, "_is_here", lambda part: part.name != "onnx")
    monkeypatch.setattr(parts, "_obstacle", lambda part: "")
    problem = parts.missing("onnx")
    assert problem is not None
    assert (problem.code, problem.part) == ("no_onnx", "onnx")
    assert "35 MB" in problem.todo
    assert parts.missing("llama_cpp") is None
    monkeypatch.setattr(parts, "_obstacle", lambda part: "There is no build.")
    assert parts.unavailable("onnx", "No.").problem.todo == "There is no build.", "nobody is sent to a button that is not there"
    with pytest.raises(UserError, match="Choose one of"):
        parts.part_of("nothing")
