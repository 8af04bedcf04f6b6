"""Owns the card of a repository: a head that programs read, held against its type, and the words of the export's own card.

Invariants: the base stands there by its Hub id, or in words, never as a folder of this computer; every number was measured in the run, and
stands with how many examples it rests on and how sure it is; the licence allows no more than the base's does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loralab.core.errors import UserError
from loralab.core.parity import Parity
from loralab.core.records import Score
from loralab.exports import Source
from loralab.models.vision import vision_entry
from loralab.reports import licences
from loralab.reports.card import Origin, before_and_after
from loralab.reports.score_words import between, value

PIPELINES = {"classify": "image-classification", "segment": "image-segmentation", "detect": "object-detection"}
LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "gguf", "gguf_adapter": "gguf", "onnx": "onnx", "pt": "pytorch"}
RELATIONS = {"adapter": "adapter", "gguf_adapter": "adapter", "merged": "finetune", "gguf": "quantized", "onnx": "quantized"}
LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0"),
        *("cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gemma", "llama2", "llama3", "llama3.1", "llama3.2"),
        *("llama3.3", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "odc-by", "other"),
    }
)
BINDS = re.compile(r"\b(nc|sa|nd)\b|noncommercial|share ?alike|gpl", re.IGNORECASE)  # in a data set's licence: it may bind what learned
MOST_METRICS = 8
CHECK = "## How to check this yourself"
_SECTION = re.compile(r"^## Before and after$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_FRONT = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Metric(_Part):
    type: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str = Field(min_length=1)
    value: float = Field(allow_inf_nan=False)


class _Task(_Part):
    type: str = Field(pattern=r"^[a-z-]+$")


class _Data(_Part):
    type: str = Field(pattern=r"^[a-z-]+$")
    name: str = Field(min_length=1)


class _Result(_Part):
    task: _Task
    dataset: _Data
    metrics: list[_Metric] = Field(min_length=1)


class _Model(_Part):
    name: str = Field(min_length=1, max_length=120)
    results: list[_Result] = Field(min_length=1)


class Front(_Part):
    """The head of a card, as the Hub reads it. A wrong one is found here, without asking anybody."""

    base_model: str = Field("", pattern=r"^$|^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    base_model_relation: Literal["", "adapter", "finetune", "quantized", "merge"] = ""
    library_name: Literal["peft", "transformers", "gguf", "onnx", "pytorch"]
    pipeline_tag: Literal["text-generation", "image-classification", "image-segmentation", "object-detection"]
    license: str = ""
    license_name: str = Field("", pattern=r"^[a-z0-9.-]*$")
    language: list[str] = Field(default_factory=list)
    tags: list[str] = Field(min_length=1)
    model_index: list[_Model] = Field(default_factory=list, alias="model-index")

    @model_validator(mode="after")
    def _go_together(self) -> Front:
        if self.license and self.license not in LICENCES:
            raise ValueError(f"the Hub knows no licence {self.license}")
        if (self.license == "other") != bool(self.license_name):
            raise ValueError("a licence of one's own has a name, and no other has")
        if bool(self.base_model) != bool(self.base_model_relation):
            raise ValueError("a base and what it is to the model go together")
        if any(not re.fullmatch(r"[a-z]{2,3}", code) for code in self.language):
            raise ValueError("languages are codes of two or three letters")
        return self

    def text(self) -> str:
        """Between two lines of dashes."""
        values = self.model_dump(by_alias=True, exclude_defaults=True)
        return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n\n"


def licence_of(base: Origin, dataset: str) -> tuple[str, str]:
    """The Hub's word for the licence, and a name where that word is `other`; empty where no paper says anything.

    What is made of a base is under the base's terms; where those of the examples bind, too, both hold.
    """
    words = base.licence.strip().lower()
    found = re.fullmatch(r"llama ([\d.]+) community", words)
    known = f"llama{found[1]}" if found else words.replace(" ", "-")
    data = licences.of_data(dataset)
    if not base.licence or known not in LICENCES:
        return ("other", re.sub(r"[^a-z0-9.-]+", "-", words).strip("-") or "unknown") if base.licence else ("", "")
    return ("other", f"{known}-and-that-of-the-examples") if BINDS.search(data) else (known, "")


def front_of(source: Source, form: str, language: str) -> Front:
    """The head for what an export is made from. Raises UserError where it would be no valid one."""
    entry = vision_entry(str(source.plan.get("base_model", "")))
    base = Origin(name=entry.name, hub_id=entry.hub_id, licence=entry.licence) if entry else source.base
    licence, name = licence_of(base, str(source.plan.get("dataset") or ""))
    pipeline = PIPELINES.get(source.task, "text-generation")
    whole = {"ollama": "gguf", "lm_studio": "gguf"}.get(form, form)
    values: dict[str, Any] = {
        "base_model": base.hub_id,
        "base_model_relation": RELATIONS.get(whole, "finetune") if base.hub_id else "",
        "library_name": "pytorch" if entry and whole == "merged" else LIBRARIES.get(whole, "pytorch"),
        "pipeline_tag": pipeline,
        "license": licence,
        "license_name": name,
        "language": [language] if language else [],
        "tags": ["lora", "loralab", *(["base_model:adapter:" + base.hub_id] if base.hub_id and whole == "adapter" else [])],
        "model-index": list(_index(source, pipeline)),
    }
    try:
        return Front.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        what = f"The card would not be valid: {'.'.join(map(str, problem['loc'])) or 'its head'}: {problem['msg']}."
        raise UserError(what, "Rename the run, then try again.", code="bad_card") from error


def _index(source: Source, pipeline: str) -> Iterator[dict[str, Any]]:
    final = next((look for look in reversed(source.view.evaluations) if look.split == "final"), None)
    told = (score for score in (final.scores if final else ()) if score.main or between(score))
    metrics = [metric for score in told if (metric := _metric(score))][:MOST_METRICS]
    if metrics:
        name = str(source.plan.get("title") or source.run)[:120]
        data = {"type": "private-examples", "name": "examples kept aside from the same file"}
        yield {"name": name, "results": [{"task": {"type": pipeline}, "dataset": data, "metrics": metrics}]}


def _metric(score: Score) -> dict[str, Any] | None:
    """A measure after training, with how many examples it rests on and how sure the change is, in its name."""
    if not math.isfinite(score.after):
        return None
    sure = f"; change {value(score, score.difference, '+')}, 95 % interval {between(score)}" if between(score) else ""
    name = f"{score.label or score.name} after training (n = {score.n}; {value(score, score.before)} before{sure})"
    return {"type": re.sub(r"[^a-z0-9_]+", "_", score.name.lower()), "name": name, "value": float(score.after)}


def card_of(source: Source, form: str, readme: str, parity: Parity | None, *, samples: bool, language: str = "") -> str:
    """README.md of the repository: head, the words of the export's own card, and how to check them. `samples`: with answers to examples."""
    body = _FRONT.sub("", readme, count=1)
    body = _SECTION.sub("", body)
    if samples:
        at = body.find("\n## Settings") + 1 or len(body)
        body = body[:at] + "\n".join(before_and_after(source.view.samples)) + "\n" + body[at:]
    return front_of(source, form, language).text() + body.rstrip("\n") + "\n\n" + "\n".join(_how_to_check(parity)) + "\n"


def _how_to_check(parity: Parity | None) -> Iterator[str]:
    yield from (CHECK, "")
    yield "- `SHA256SUMS` holds the checksum of every file: `sha256sum -c SHA256SUMS` in this folder says whether all arrived whole."
    if parity and parity.proven:
        yield "- These files were opened in the program they are for and answer as what was trained; `parity.json` holds each comparison."
    elif parity:
        yield "- Nobody has opened these files in the program they are for yet; try them before you rely on them."
    yield "- Open the adapter with LoRALab (Share, “Adapters for your models”) and test it on examples of your own: it is judged against"
    yield "  its base, with an interval. A result on other examples than its maker's is worth more than any number above."
