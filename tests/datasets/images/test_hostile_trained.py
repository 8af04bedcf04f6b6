"""Sets of pictures as people really have them, learned by a real worker; of a clinic's nothing that is written names anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.lab import NOT_MEDICAL, Lab
from tests.support import hostile_marks, hostile_pictures
from tests.support.hostile_pictures import packed
from tests.support.tiers import grid

pytestmark = pytest.mark.worker
SETS = hostile_pictures.SETS | hostile_marks.SETS
DAILY = ["clinic_in_a_zip", "yolo_outlines"]
NIGHTLY = [
    *DAILY,
    "modes",
    "turned",
    "zips_in_a_zip",
    "typos",
    "table_from_windows",
    "turned_boxes",
    "coco_same_names",
    "yolo_from_windows",
]
NIGHTLY += ["misspelt_masks", "masks_of_all_kinds", "masks_in_colours"]
SHORT: dict[str, Any] = {"max_steps": 4, "probe_rounds": 2, "image_size": 96, "patience": 0}
TRACES = (b"roebuck", b"janette", b"hx-4711", b"meredith", b"19560312", b"elsewhere")


@pytest.mark.parametrize("name", grid(NIGHTLY, DAILY, "long"))
def test_what_people_have_is_learned(tmp_path: Path, name: str) -> None:
    if "clinic" in name:
        pytest.importorskip("pydicom")
    hostile = SETS[name]()
    lab = Lab(tmp_path / "home")
    profile = lab.profile(packed(tmp_path / ("Janette Roebuckson.zip" if "clinic" in name else f"{name}.zip"), hostile.files))
    run = lab.start(lab.propose(profile, **SHORT))
    view = lab.wait(run)
    assert view.state == "finished", (view.ending, lab.log(run)[-2000:])
    assert lab.job(run).plan["task"] == hostile.task
    final = [look for look in view.evaluations if look.split == "final"]
    assert len(final) == 1
    assert all(score.low is None or score.high is None or score.low <= score.high for score in final[0].scores)
    assert view.facts is not None
    assert view.facts.n_train + view.facts.n_watched + view.facts.n_heldout + view.facts.apart == hostile.kept
    if "clinic" in name:
        _names_nobody(lab, run)


def _names_nobody(lab: Lab, run: str) -> None:
    """Nothing in the workspace, and on no page made of the run, names a person; each says what it is not."""
    pages = [lab.report_page(run, form) for form in ("html", "markdown")]
    assert all(NOT_MEDICAL in page for page in pages)
    assert NOT_MEDICAL in (lab.home / "runs" / run / "artifacts" / "adapter" / "README.md").read_text("utf-8")
    assert lab.job(run).plan["title"] == "Medical pictures"
    files = [path for path in lab.home.rglob("*") if path.is_file()]
    written = b"\n".join([*(path.read_bytes() for path in files), *(str(path.relative_to(lab.home)).encode() for path in files)])
    for trace in TRACES:
        assert trace not in written.lower(), trace
        assert all(trace.decode() not in page.lower() for page in pages), trace
