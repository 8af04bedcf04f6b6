"""A bundled sample, trained with one click's plan: it has learned, and is as usable as its card says.

The others, and more seeds, are in `benchmarks/samples_proof.py`: they take longer than a night has.
"""

from __future__ import annotations

import pytest

from benchmarks.samples_proof import prove
from loralab import Lab
from loralab.datasets.samples import samples

NIGHTLY = [entry for entry in samples() if entry.name == "customer_messages"]


@pytest.mark.nightly
@pytest.mark.parametrize("entry", NIGHTLY, ids=lambda entry: entry.name)
def test_a_sample_ends_as_its_card_promises(entry, lab: Lab) -> None:
    proof = prove(lab, entry, seed=0)
    assert proof.kept, proof.said
