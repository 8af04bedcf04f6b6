"""docs/files.md says what becomes of each kind of file: it and the code name the same kinds, endings and ways out."""

from __future__ import annotations

import re

from loralab.core.paths import CHECKOUT
from loralab.datasets.formats import kinds
from loralab.datasets.readers import readers

READ, _, NOT_READ = (CHECKOUT / "docs" / "files.md").read_text("utf-8").partition("## What is not read")


def rows(text: str) -> list[list[str]]:
    """The cells of the tables of a page, without their heads."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines if line[0].strip() != "kind"]


def test_the_page_names_each_ending_that_is_read_and_no_other() -> None:
    told = [ending for _, endings, *_ in rows(READ) for ending in endings.split()]
    assert len(told) == len(set(told))
    assert set(told) == {suffix for reader in readers() for suffix in reader.suffixes if suffix}


def test_the_page_names_each_kind_that_is_not_read_with_its_way_out() -> None:
    known = {kind.many: kind.todo for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
    assert dict(rows(NOT_READ)) == known


def test_endings_that_refusals_offer_are_read() -> None:
    offered = {ending for kind in vars(kinds).values() if isinstance(kind, kinds.Kind) for ending in re.findall(r"\.\w+", kind.todo)}
    assert offered <= {suffix for reader in readers() for suffix in reader.suffixes}
