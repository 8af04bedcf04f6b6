"""What `benchmarks/train.py` says of raw turns: a ratio is of the same round, and who did not run is named with the reason."""

import pytest

from benchmarks.training.comparison import compared, table
from benchmarks.training.engine import kind


def turn(seconds, peak, losses=(2.0, 1.5)):
    return {"seconds": seconds, "sizes": [(100, 40)] * len(seconds), "losses": list(losses), "peak": peak}


def engine(rounds, loaded, losses=(2.0, 1.5)):
    about = {"loaded": loaded, "kernels": "AVX2", "threads": 2}
    return {"about": about, "rounds": rounds, "compared": turn([9.0, 9.0], 5_000, losses), "heldout": 1.5, "cosine": 1.0}


@pytest.fixture
def cell():
    ours = engine([turn([1.0, 1.0], 3_000), turn([2.0, 2.0], 7_000)], loaded=1_000)
    theirs = engine([turn([2.0, 2.0], 9_000), turn([6.0, 6.0], 8_000)], loaded=2_000, losses=(2.25, 1.5))
    found = {
        "base": "135m",
        "rows": "gsm8k",
        "precision": "fp32",
        "load": (0.1, 0.1, 0.1),
        "heldout_before": 2.5,
        "best_seconds": [0.9, 0.75],
    }
    failed = {"llamafactory": "no wheel | for this system"}
    return compared(found | {"engines": {"ours": ours, "trainer": theirs | {"heldout": 1.25, "cosine": None}}, "failed": failed})


def test_ratios_are_of_the_same_round_and_memory_is_over_what_was_loaded(cell):
    ours, theirs = cell["engines"]["ours"], cell["engines"]["trainer"]
    assert ours["tokens_per_second"] == (75.0, 50.0, 100.0)
    assert ours["learned_per_second"] == (30.0, 20.0, 40.0)
    assert theirs["ours_over"] == (2.5, 2.0, 3.0)  # the quick round against the quick one, the slow against the slow
    assert (ours["over_base"], theirs["over_base"]) == (6_000, 7_000)
    assert (theirs["loss_difference"], theirs["heldout_difference"]) == (0.25, -0.25)
    assert cell["efficiency"] == 0.5  # the best time of the machine over the mean time of an update


def test_a_peer_that_did_not_run_has_a_line_with_its_reason(cell):
    line = next(line for line in table(cell).splitlines() if line.startswith(f"| {kind('llamafactory').words}"))
    assert "no wheel / for this system" in line
    heads = next(line for line in table(cell).splitlines() if line.startswith("| engine"))
    assert line.count("|") == heads.count("|")


def test_a_changed_setting_is_named_in_the_engine():
    assert kind("ours+precision=nf4").words == "LoRALab, precision=nf4"
    assert kind("ours+precision=nf4").engine == "ours"
