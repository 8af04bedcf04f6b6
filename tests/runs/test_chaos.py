"""Runs killed at random moments end with the same bits: a small version of benchmarks/chaos.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from benchmarks import chaos
from loralab.evaluations.shared import answers
from loralab.sessions import text

pytestmark = pytest.mark.nightly


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_killed_at_random_moments_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST", 2)
    monkeypatch.setattr(text, "MOST_ANSWERS", 1)
    torch.set_num_threads(1)
    tally = chaos.forked(tmp_path / "runs", chaos.prepare(tmp_path, steps=40), kills=6, seed=1)
    assert tally.tried == 6
    assert tally.survived == 6, tally
    assert tally.worst == 0.0


def test_a_run_that_ended_otherwise_is_told_from_one_that_ended_the_same() -> None:
    ours = {"w": torch.ones(3)}
    assert chaos.difference(ours, {"w": torch.ones(3)}) == 0.0
    assert chaos.difference(ours, {"w": torch.tensor([1.0, 1.0, 1.0 + 2**-23])}) > 0.0
    assert chaos.difference(ours, {"v": torch.ones(3)}) == float("inf")
