"""Owns what is written for vLLM: adapters under their deployments' ids, its configuration, Docker and Kubernetes, prompts with answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from loralab.core.errors import UserError
from loralab.core.paths import write_atomic
from loralab.core.records import Record
from loralab.core.words import count
from loralab.models.model_folder import read_json
from loralab.reports.card import origin_of
from loralab.sharing.deployment import ALONG, SETTINGS, WEIGHTS, Deployment, adapter_of
from loralab.sharing.vllm import check

VERSION = "0.33.0"  # the release whose options these are; the container of the same number
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM makes room for
PORT = 8000
BASE = "/models/base"  # where a base of one's own lies in the container
NAME = "loralab-vllm"
PROMPTS = 5
NUMBERS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class Prompt(Record):
    """A question, and what the trained model answers to it here, without chance."""

    messages: tuple[dict[str, str], ...]
    answer: str
    max_tokens: int = Field(default=64, ge=1)


def write(home: Path, found: Sequence[Deployment], prompts: Mapping[str, Sequence[Prompt]], folder: Path) -> list[Path]:
    """Write the folder. Raises UserError where vLLM cannot serve one of them, or not all from one server; then nothing is written."""
    adapters = {one.id: adapter_of(home, one.id) for one in found}
    rank = max(_rank(one, adapters[one.id]) for one in found)
    template = _one(found, adapters)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"The folder {folder.name} is there already and has something in it.", "Name a new one.", code="exists")
    base = origin_of(found[0].base, Path(found[0].model)).reference
    for one in found:
        kept = folder / "adapters" / one.id
        kept.mkdir(parents=True)
        for name in ALONG:
            if (adapters[one.id] / name).is_file():
                shutil.copyfile(adapters[one.id] / name, kept / name)
    settings = _settings(home, found, base, rank, template is not None)
    written = {
        "vllm.yaml": yaml.safe_dump(settings, sort_keys=False),
        "serve.sh": _command(base),
        "compose.yaml": yaml.safe_dump(_compose(base), sort_keys=False),
        "kubernetes.yaml": yaml.safe_dump_all(_kubernetes(base), sort_keys=False),
        "prompts.json": json.dumps(
            {name: [one.model_dump(mode="json") for one in prompts.get(name, ())] for name in adapters}, indent=1, ensure_ascii=False
        ),
        "check.py": Path(check.__file__).read_text("utf-8"),
        "README.md": _guide(found, base, sum(map(len, prompts.values()))),
    } | ({"chat_template.jinja": template} if template else {})
    for name, text in written.items():
        write_atomic(folder / name, text)
    (folder / "serve.sh").chmod(0o755)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _rank(one: Deployment, adapter: Path) -> int:
    """The room an adapter needs. Raises UserError for one that vLLM cannot serve."""
    if one.answers != "chat" or not (adapter / WEIGHTS).is_file():
        raise UserError(f"{one.called} does not answer in text.", "vLLM serves language models only; leave it out.", code="wrong_kind")
    settings = read_json(adapter / SETTINGS)
    refused = {"use_dora": "weights split by direction (DoRA)", "modules_to_save": "layers trained whole", "use_bdlora": "blocks"}
    why = next((words for name, words in refused.items() if settings.get(name)), "")
    if settings.get("peft_type", "LORA") != "LORA":
        why = f"an adapter of another kind ({settings.get('peft_type')})"
    if why:
        todo = "Export it with format merged: vLLM serves that as a model of its own."
        raise UserError(f"{one.called} has {why}, which vLLM cannot put over a shared base.", todo, code="not_for_vllm")
    wanted = max([int(settings.get("r", 8)), *map(int, (settings.get("rank_pattern") or {}).values())])
    rank = next((known for known in RANKS if known >= wanted), 0)
    if not rank:
        raise UserError(
            f"{one.called} has a rank of {wanted}; vLLM takes {RANKS[-1]} at most.", "Export it as merged.", code="not_for_vllm"
        )
    return rank


def _one(found: Sequence[Deployment], adapters: Mapping[str, Path]) -> str | None:
    """The chat template all of them share. Raises UserError where base or template differ: one server has one of each."""
    bases = {one.versions.model: one.base for one in found}
    if len(bases) > 1:
        what = f"These were trained on different models ({', '.join(sorted(set(bases.values())))})."
        raise UserError(what, "Write a folder for each model.", code="several_bases")
    templates = {_template(adapters[one.id]) for one in found}
    if len(templates) > 1:
        what = "These are spoken to in different ways (their chat templates differ)."
        raise UserError(what, "Write a folder for each of them.", code="several_templates")
    return templates.pop()


def _template(adapter: Path) -> str | None:
    file = adapter / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8")
    settings = adapter / "tokenizer_config.json"
    found = read_json(settings).get("chat_template") if settings.is_file() else None
    return found if isinstance(found, str) else None


def _settings(home: Path, found: Sequence[Deployment], base: str, rank: int, template: bool) -> dict[str, Any]:
    """What `vllm serve --config` reads: its own options, by name."""
    plans = [read_json(adapter_of(home, one.id).parents[1] / "plan.json") for one in found]
    numbers = {NUMBERS.get(str(plan.get("precision")), "auto") for plan in plans}
    return {
        "model": base if "/" in base else BASE,
        "served-model-name": [base],
        "dtype": numbers.pop() if len(numbers) == 1 else "auto",
        "enable-lora": True,
        "max-lora-rank": rank,
        "max-loras": min(len(found), 8),  # in one batch; the others wait in memory
        "max-cpu-loras": max(len(found), 8),
        "lora-modules": [f"{one.id}=adapters/{one.id}" for one in found],
        **({"chat-template": "chat_template.jinja"} if template else {}),
        "generation-config": "vllm",  # answers as they were judged: nothing of the base's own settings
        "port": PORT,
    }


def _command(base: str) -> str:
    lines = [
        "#!/bin/sh",
        f"# Serve what was trained with vLLM {VERSION} (Linux, an NVIDIA card). A key for those who ask: VLLM_API_KEY.",
        "set -e",
        'cd "$(dirname "$0")"',
        f"# A base of your own: MODEL=/path/to/{base if '/' not in base else 'base'} ./serve.sh",
        'exec vllm serve --config vllm.yaml ${MODEL:+--model "$MODEL"} "$@"',
    ]
    return "\n".join(lines) + "\n"


def _compose(base: str) -> dict[str, Any]:
    own = [] if "/" in base else [f"${{MODEL:?the folder of {base}}}:{BASE}:ro"]
    card = {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    service = {
        "image": f"vllm/vllm-openai:v{VERSION}",
        "working_dir": "/serving",
        "command": ["--config", "vllm.yaml"],
        "environment": ["VLLM_API_KEY", "HF_TOKEN", "HF_HOME=/models/hub"],
        "volumes": [".:/serving:ro", "vllm-models:/models/hub", *own],
        "ports": [f"127.0.0.1:{PORT}:{PORT}"],
        "ipc": "host",
        "deploy": {"resources": {"reservations": {"devices": [card]}}},
        "healthcheck": {"test": ["CMD", "curl", "-f", f"http://127.0.0.1:{PORT}/health"], "interval": "30s", "start_period": "600s"},
    }
    return {"name": NAME, "services": {"vllm": service}, "volumes": {"vllm-models": {}}}


def _kubernetes(base: str) -> list[dict[str, Any]]:
    """A claim that this folder is copied to, the server, and its address in the cluster."""
    labels = {"app": NAME}
    own = [] if "/" in base else [{"name": "serving", "mountPath": BASE, "subPath": "base", "readOnly": True}]
    key = {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": NAME, "key": "api-key"}}}
    ready = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 10}
    container = {
        "name": "vllm",
        "image": f"vllm/vllm-openai:v{VERSION}",
        "workingDir": "/serving",
        "args": ["--config", "vllm.yaml"],
        "env": [key, {"name": "HF_HOME", "value": "/models/hub"}],
        "ports": [{"containerPort": PORT}],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "readinessProbe": ready,
        "startupProbe": ready | {"failureThreshold": 120},
        "volumeMounts": [
            {"name": "serving", "mountPath": "/serving", "readOnly": True},
            {"name": "models", "mountPath": "/models/hub"},
            {"name": "memory", "mountPath": "/dev/shm"},  # noqa: S108  (the container's own)
            *own,
        ],
    }
    volumes = [
        {"name": "serving", "persistentVolumeClaim": {"claimName": NAME}},
        {"name": "models", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": NAME}, "spec": claim},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": PORT, "targetPort": PORT}]},
        },
    ]


def _guide(found: Sequence[Deployment], base: str, known: int) -> str:
    rows = [f"| `{one.id}` | {one.title} | {one.usable.replace('_', ' ') or 'not judged'} |" for one in found]
    own = f"`{base}` comes from the Hugging Face Hub." if "/" in base else f"`{base}` is a folder of yours: name it in `MODEL`."
    asking = "The prompts in `prompts.json` were asked here; they may hold words of your examples." if known else "No prompt is known."
    lines = [
        "# Serving with vLLM",
        "",
        f"One server, one base model, {count(len(found), 'adapter')} for it. Each is asked under the id it has in LoRALab.",
        "",
        "| model | what it is | can it be used |",
        "|---|---|---|",
        *rows,
        "",
        f"{own} Written for vLLM {VERSION}; **no vLLM ran where this was made**, so check it first:",
        "",
        "```sh",
        "./serve.sh                                   # or: docker compose up, or: kubectl apply -f kubernetes.yaml",
        f"python3 check.py --url http://127.0.0.1:{PORT}   # {count(known, 'known answer')}; exit code 0 where all are the same",
        "```",
        "",
        f"{asking} Answers in bfloat16 may leave the expected words late in a long one; from the first word on means a fault.",
        "",
        "The known answers are the likeliest words. LoRALab itself asks small models to repeat themselves less, and may answer otherwise.",
        "",
        "Kubernetes: copy this folder into the claim `loralab-vllm`, and make the key:",
        "`kubectl create secret generic loralab-vllm --from-literal=api-key=...`.",
        "Another adapter at run time: set `VLLM_ALLOW_RUNTIME_LORA_UPDATING=1` and post its id and folder to `/v1/load_lora_adapter`,",
        "on a network that only you reach.",
    ]
    return "\n".join(lines) + "\n"
