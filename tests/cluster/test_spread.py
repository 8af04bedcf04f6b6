"""Runs on a cluster are the runs they would be here; where a computer is lost, its run goes on elsewhere and nothing is lost."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loralab.cluster import spread as cluster
from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted, Started, Stepped, read
from loralab.core.jobs import EvaluateJob, TrainJob
from loralab.core.records import Plan
from loralab.lab import Lab, Share, varied
from tests.conftest import until
from tests.support import models
from tests.support.learned import Learned

RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY, reason="ray is not installed here: spreading runs over computers is not tried")
LONG = 240.0  # seconds


def prepared(lab: Lab, base: Path, plans: list[dict[str, Any]]) -> list[str]:
    return [lab.prepare_job(TrainJob(plan=plan, model=str(base), measures=("loss",))) for plan in plans]


def events(lab: Lab, run: str) -> list[Any]:
    return list(read(lab.home / "runs" / run / "events.jsonl")[0])


def test_a_sweep_is_every_combination_each_named_after_its_own(data: Path) -> None:
    plans = varied(models.plan(data), {"rank": (2, 4, 8), "learning_rate": (1e-2, 1e-3, 1e-4)})
    assert len(plans) == 9
    assert {(plan["rank"], plan["learning_rate"]) for plan in plans} == {(r, rate) for r in (2, 4, 8) for rate in (1e-2, 1e-3, 1e-4)}
    assert plans[0]["title"] == "rank 2, learning_rate 0.01"
    assert all(isinstance(models.plan(data), Plan) and plan["dataset"] == str(data) for plan in plans)
    with pytest.raises(UserError, match="1,200 runs"):
        varied(models.plan(data), {"seed": range(1200)})
    with pytest.raises(UserError):
        varied(models.plan(data), {"seed": ()})


def test_a_prepared_run_waits_for_nobody_and_says_so(lab: Lab, llama: Path, data: Path) -> None:
    (name,) = prepared(lab, llama, varied(models.plan(data), {"rank": (2,)}))
    view = lab.view(name)
    assert (view.state, view.active) == ("stopped", False)
    assert view.ending is not None
    assert view.ending.code == "prepared"
    assert lab.queue() == ()


@pytest.mark.worker
def test_judging_again_is_prepared_for_trainings_only(learned: Learned, home: Path) -> None:
    run = learned.copy(home)
    lab = Lab(home)
    (work,) = lab.judged_again([run])
    job = lab.job(work)
    assert isinstance(job, EvaluateJob)
    assert job.of == run
    with pytest.raises(UserError, match="is no training"):
        lab.judged_again([work])


def test_without_its_part_it_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable) as caught:
        lab.spread([])
    assert caught.value.problem.part == "ray"


@pytest.fixture
def two_computers() -> Iterator[Any]:
    """A real cluster of two nodes with a processor each, on this computer."""
    cluster_utils = importlib.import_module("ray.cluster_utils")
    found = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.second = found.add_node(num_cpus=1)
    yield found
    found.shutdown()


@needs_ray
@pytest.mark.worker
@pytest.mark.long
def test_a_run_whose_computer_is_lost_goes_on_on_another(lab: Lab, llama: Path, data: Path, two_computers: Any) -> None:
    plan = models.plan(data, max_steps=200, eval_every=5, checkpoint_minutes=0.001)
    names = prepared(lab, llama, varied(plan, {"learning_rate": (1e-2, 1e-3)}))

    def lose_one() -> None:
        until(lambda: all(list((lab.home / "runs" / name).glob("checkpoints/step-*.pt")) for name in names), LONG)
        two_computers.remove_node(two_computers.second, allow_graceful=False)

    losing = threading.Thread(target=lose_one)
    losing.start()
    said: list[str] = []
    assert lab.spread(names, two_computers.address, Share(1), lambda at: said.append(at.words)) == ()
    losing.join()
    assert said[0] == "0 of 2 runs done on 2 computers."
    assert said[-1] == "2 of 2 runs done on 1 computer."
    for name in names:
        assert lab.view(name).state == "finished"
        assert len({event.step for event in events(lab, name) if isinstance(event, Stepped)}) == 200
    begun = [sum(isinstance(event, Started) for event in events(lab, name)) for name in names]
    assert sorted(begun) == [1, 2], "one of them was begun again"
    again = names[begun.index(2)]
    assert any(event.code == "resumed" for event in events(lab, again) if isinstance(event, Noted)), "and went on, not from the beginning"
    with pytest.raises(UserError, match="No computer of this cluster"):
        lab.spread(names, two_computers.address, Share(64))


@needs_ray
@pytest.mark.worker
@pytest.mark.long
def test_where_there_is_no_cluster_it_is_said(lab: Lab) -> None:
    with pytest.raises(UserError, match="no Ray cluster at"):
        lab.spread([], "127.0.0.1:9")
