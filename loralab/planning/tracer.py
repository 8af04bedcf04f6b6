"""Owns the app's end of the trace: a child process that counts what a plan will hold in memory, and the answers it gave. No torch here.

Invariants: the child is started on demand, ends with this process (its input closes) or after some minutes of quiet, and is killed when
it does not answer in time; the same question is counted once per torch version; what cannot be traced is an Unavailable with words.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import weakref
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loralab.core import paths
from loralab.core.child_process import Child
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.records import DatasetProfile, Footprint, Plan
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.models.model_folder import Shape, read_json
from loralab.planning import estimate
from loralab.planning.calibration import NOTHING, Experience
from loralab.planning.memory import load
from loralab.tasks.text import TextPlan

START_SECONDS = 90.0  # torch, transformers and peft from a slow disk
ANSWER_SECONDS = 20.0
IDLE_SECONDS = 300.0
KEPT = 500  # answers remembered
# What of a plan the count depends on; its length and batch sizes come in as the pack.
SETTINGS = ("rank", "targets", "dropout", "adapter", "rank_schedule", "precision", "recompute", "optimizer", "attention")
_KINDS = {
    "FalconForCausalLM": "falcon",
    "GPT2LMHeadModel": "gpt2",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3_text",
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Phi3ForCausalLM": "phi3",
    "PhiForCausalLM": "phi",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}


@dataclass(frozen=True)
class Pack:
    """The largest micro-batch of a run: rows, tokens of the longest, positions learned from in all, and whether a second one follows."""

    rows: int
    longest: int
    learned: int
    again: bool = False


def pack(plan: TextPlan, profile: DatasetProfile | None) -> Pack:
    """The largest micro-batch that a plan can have on these examples."""
    amount = load(plan, profile)
    rows = min(plan.micro_batch, plan.effective_batch)
    if plan.token_budget:
        rows = max(1, min(rows, plan.token_budget // amount.row))
    return Pack(rows, amount.row, max(1, round(rows * amount.row * amount.learned_share)), rows < plan.effective_batch)


def config_of(model: ModelCheck) -> dict[str, Any]:
    """The config.json of a model that is here, or one made from the catalogue's measures. Raises Unavailable when neither is known."""
    found = read_json(model.folder / "config.json")
    if found.get("model_type"):
        return found
    shape = model.shape
    if shape is None or shape.architecture not in _KINDS:
        raise Unavailable("What this model needs cannot be traced before it is here.", "Download it first.", code="not_traced")
    return _made(shape)


def _made(shape: Shape) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.context,
        "tie_word_embeddings": shape.tied,
    }
    match _KINDS[shape.architecture]:
        case "falcon":
            sizes |= {"ffn_hidden_size": shape.intermediate, "multi_query": shape.kv_heads == 1, "new_decoder_architecture": False}
        case "gpt2":
            sizes |= {"n_inner": shape.intermediate}
        case _:
            sizes |= {"intermediate_size": shape.intermediate, "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim}
    return {"model_type": _KINDS[shape.architecture], "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0, **sizes}


def traced(
    tracer: Tracer, plan: Plan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING
) -> Footprint:
    """A plan's footprint from a trace, or from the closed form where there can be none. Raises UserError for a plan that is not of text."""
    if not isinstance(plan, TextPlan):
        raise UserError("Only plans for texts can be looked at before they start.", code="bad_task")
    try:
        found = tracer.parts(plan, config_of(model), pack(plan, profile), machine.accelerator)
    except Unavailable:
        return estimate.footprint(plan, model, machine, profile, past=past)
    beside = found.pop("allocator", 0)
    found["reserve"] = beside + estimate.reserve(machine, 0)
    return estimate.footprint(plan, model, machine, profile, found, "trace", past)


class Tracer:
    """The child process and its answers. Making one costs nothing; one question is asked at a time."""

    def __init__(self, home: Path) -> None:
        self.file = home / "traces.json"
        self._lock = threading.Lock()
        self._child: Child | None = None

    def parts(self, plan: TextPlan, config: dict[str, Any], largest: Pack, where: str = "cpu") -> dict[str, int]:
        """Bytes at the worst moment of a step: weights, adapter, optimiser, activations, head, allocator. Raises Unavailable."""
        if type(plan) is not TextPlan or plan.engine != "loralab" or (plan.offload and where == "cuda"):
            raise Unavailable("This kind of plan cannot be traced; the closed form is used.", code="not_traced")
        settings = {name: getattr(plan, name) for name in SETTINGS}
        question = {"plan": settings, "config": config, "pack": asdict(largest), "where": where}
        key = hashlib.sha256(json.dumps([question, _versions()], sort_keys=True, default=str).encode()).hexdigest()[:24]
        with self._lock:
            known = self._answers()
            if key in known:
                return known[key]
            found = self._ask(question)
            with contextlib.suppress(OSError):  # a full disk or a folder that may only be read: it is counted again next time
                paths.write_atomic(self.file, json.dumps(dict([*known.items(), (key, found)][-KEPT:])))
            return found

    @property
    def alive(self) -> bool:
        """Whether the child runs now."""
        return self._child is not None and self._child.alive

    def close(self) -> None:
        """Let the child go; the next question starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _answers(self) -> dict[str, dict[str, int]]:
        try:
            found = json.loads(self.file.read_text("utf-8"))
        except (OSError, ValueError):  # not there yet, or damaged: everything in it can be counted again
            return {}
        return found if isinstance(found, dict) else {}

    def _ask(self, question: dict[str, Any]) -> dict[str, int]:
        child, seconds = self._child, ANSWER_SECONDS
        try:
            if child is None or not child.alive:
                self._end()
                self._child = child = _started()
                seconds = START_SECONDS
                weakref.finalize(self, child.close)
            child.seconds = seconds
            return child.ask("count", **question)[0]
        except LabError as error:
            if error.problem.code == "tracer_refused":
                what = f"This model cannot be traced. {error.problem.what.splitlines()[0][:240]}"
                raise Unavailable(what, "The closed form is used.", code="not_traced") from error
            self._end()
            raise Unavailable("Tracing took too long or broke off.", "The closed form is used.", code="not_traced") from error


def _started() -> Child:
    return Child(
        "loralab.sessions.trace_job",
        str(IDLE_SECONDS),
        name="The tracer",
        code="tracer",
        todo="The closed form is used.",
        environment={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


@lru_cache(maxsize=1)
def _versions() -> list[str]:
    found = []
    for package in ("torch", "transformers", "peft"):
        try:
            found.append(version(package))
        except PackageNotFoundError:
            found.append("absent")
    return found
