"""What was said about a plan before it began is kept with the run, so that it can be held against what happened."""

from __future__ import annotations

from loralab import Lab
from loralab.runs import runs


def test_a_run_carries_what_was_foreseen_of_it_and_a_plan_nobody_weighed_carries_nothing(home, monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "start", lambda home, job: asked.append(job) or "run")
    lab = Lab(home)
    found = lab.propose(lab.profile(lab.samples()[0].path))
    lab.start(found.plan)
    lab.start(found.plan | {"rank": 3})
    said = asked[0].predicted
    assert said.memory == {"closed form": found.footprint.memory_bytes}
    assert said.seconds == found.footprint.seconds
    assert said.disk == found.footprint.disk_bytes
    assert said.key == "cpu | LlamaForCausalLM | fp32 none"
    assert asked[1].predicted is None
