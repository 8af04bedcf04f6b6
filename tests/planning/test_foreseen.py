"""What was said about a plan before it began is kept with the run, so that it can be held against what happened."""

from __future__ import annotations

from loralab import Lab
from loralab.runs import runs


def test_a_run_carries_what_was_predicted_of_it_whoever_began_it(home, monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "start", lambda home, job, launch="": asked.append(job) or "run")
    lab = Lab(home)
    data = lab.profile(lab.samples()[0].path)
    found = lab.propose(data)
    lab.start(found)
    lab.start(found.plan)
    said, bare = (job.predicted for job in asked)
    assert said.memory == {"closed form": found.footprint.memory_bytes}
    assert said == found.footprint.predicted
    assert said.disk == found.footprint.disk_bytes
    assert said.key == "cpu | LlamaForCausalLM | fp32 none"
    assert bare.model_copy(update={"seconds": said.seconds}) == said
    lab.start(found.plan | {"rank": 3})
    assert asked[-1].predicted.step["closed form"] < said.step["closed form"]


def test_what_cannot_be_predicted_starts_all_the_same(home, monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "start", lambda home, job, launch="": asked.append(job) or "run")
    lab = Lab(home)
    lab.start({"task": "text", "dataset": str(home / "gone.csv")})
    lab.start({"task": "pretrain", "dataset": str(home / "gone.jsonl")})
    assert [job.predicted for job in asked] == [None, None]
