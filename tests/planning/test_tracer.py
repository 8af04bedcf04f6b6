"""The tracing child seen from the app: it starts on demand, remembers, is let go, and no failure of it reaches a person as a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from loralab import Lab
from loralab.core.errors import Unavailable
from loralab.core.paths import CHECKOUT, STARTER
from loralab.planning import tracer as tracing
from loralab.planning.tracer import Pack, Tracer, config_of, pack
from loralab.tasks.text import TextPlan
from tests.conftest import until

pytestmark = pytest.mark.worker

PACK = Pack(2, 64, 60)
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module")
def tracer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracer]:
    """One child for all tests here: its start takes seconds."""
    made = Tracer(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


def test_a_question_is_answered_and_the_same_one_is_not_asked_twice(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tracer.parts(TextPlan(), CONFIG, PACK)
    assert tracer.alive
    assert set(first) == {"weights", "adapter", "optimiser", "activations", "head", "allocator"}
    assert min(first.values()) > 0
    monkeypatch.setattr(Tracer, "_ask", None)  # would fail if it were asked
    assert Tracer(tracer.file.parent).parts(TextPlan(title="another name", seed=5), CONFIG, PACK) == first
    with pytest.raises(TypeError):
        tracer.parts(TextPlan(rank=3), CONFIG, PACK)


def test_more_rank_and_more_rows_need_more(tracer: Tracer) -> None:
    few, many = tracer.parts(TextPlan(rank=4), CONFIG, PACK), tracer.parts(TextPlan(rank=64), CONFIG, PACK)
    assert many["adapter"] > 10 * few["adapter"]
    assert tracer.parts(TextPlan(rank=4), CONFIG, Pack(32, 64, 960))["activations"] > 3 * few["activations"]


def test_a_damaged_memory_is_counted_again(tracer: Tracer) -> None:
    known = tracer.parts(TextPlan(), CONFIG, PACK)
    tracer.file.write_text("{half")
    assert tracer.parts(TextPlan(), CONFIG, PACK) == known
    assert json.loads(tracer.file.read_text())


@pytest.mark.parametrize(
    ("config", "said"), [({"model_type": "no_such_model", "num_hidden_layers": 2}, "cannot be traced"), ({}, "cannot be traced")]
)
def test_a_model_that_cannot_be_traced_is_told_in_words_and_the_child_lives_on(tracer: Tracer, config: dict[str, Any], said: str) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        tracer.parts(TextPlan(), config, PACK)
    assert "Traceback" not in str(caught.value)
    assert tracer.alive


def test_other_plans_are_not_traced(tracer: Tracer) -> None:
    for plan in (TextPlan(engine="trl"), TextPlan(offload=True)):
        with pytest.raises(Unavailable):
            tracer.parts(plan, CONFIG, PACK, "cuda")


# ---- the child -------------------------------------------------------------------------------------------------------------


def test_a_child_that_does_not_answer_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "START_SECONDS", 0.01)
    tracer = Tracer(tmp_path)
    children = set(psutil.Process().children())
    with pytest.raises(Unavailable, match="too long"):
        tracer.parts(TextPlan(), CONFIG, PACK)
    assert not tracer.alive
    until(lambda: not set(psutil.Process().children()) - children)  # those of other tests may end meanwhile


def test_a_child_killed_from_outside_is_replaced_by_the_next_question(tmp_path: Path) -> None:
    tracer = Tracer(tmp_path)
    tracer.parts(TextPlan(rank=5), CONFIG, PACK)
    assert tracer._child is not None
    tracer._child.kill()
    until(lambda: not tracer.alive)
    assert tracer.parts(TextPlan(rank=6), CONFIG, PACK)["adapter"] > 0
    tracer.close()
    assert not tracer.alive
    tracer.close()  # twice is fine


def test_it_ends_when_its_input_closes_and_when_nobody_asks() -> None:
    def child(seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "loralab.sessions.trace_job", str(seconds)]
        return subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    closed = child(60)
    closed.communicate(timeout=60)
    assert closed.returncode == 0
    with child(0.3) as idle:
        assert idle.wait(timeout=60) == 0  # its input is still open


# ---- the facade ------------------------------------------------------------------------------------------------------------


def test_lab_traces_what_is_here_and_what_the_catalogue_knows(lab: Lab, monkeypatch: pytest.MonkeyPatch, tracer: Tracer) -> None:
    monkeypatch.setattr(lab, "tracer", tracer)
    here = lab.trace({"task": "text", "base_model": "starter"})
    assert here.stage == "trace"
    assert set(here.parts) == {"weights", "adapter", "optimiser", "activations", "head", "reserve"}
    assert here.memory_bytes == sum(here.parts.values())
    away = lab.trace({"task": "text", "base_model": "smollm2-135m"})
    assert away.stage == "trace"
    assert away.parts["weights"] == pytest.approx(4 * 134.5e6, rel=0.03)


def test_lab_falls_back_to_the_closed_form(lab: Lab) -> None:
    assert lab.trace({"task": "text", "base_model": "starter", "engine": "trl"}).stage == "closed form"
    assert lab.trace({"task": "text", "base_model": "somebody/something"}).stage == "unknown"
    assert not lab.tracer.alive


def test_a_config_made_from_measures_is_the_models_own(lab: Lab) -> None:
    """For the one model that is here: its own config and the catalogue's measures count the same weights."""
    check = lab.catalog.check("starter")
    assert check.shape is not None
    own, made = config_of(check), tracing._made(check.shape)
    assert own == json.loads((STARTER / "config.json").read_text())
    for name in set(made) - {"bos_token_id", "eos_token_id", "pad_token_id"}:
        assert own.get(name, made[name]) == made[name], name


def test_the_pack_follows_the_token_budget() -> None:
    assert pack(TextPlan(micro_batch=8, effective_batch=8, max_length=512), None) == Pack(8, 512, 4096, again=False)
    assert pack(TextPlan(micro_batch=8, effective_batch=8, max_length=512, token_budget=1100), None) == Pack(2, 512, 1024, again=True)
    assert pack(TextPlan(max_length=512, token_budget=100), None).rows == 1
