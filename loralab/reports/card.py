"""Owns the model card: what an adapter is, what it was made from, what was measured, how to load it and what not to expect. No torch.

Invariant: every number on the card was measured in the run it describes; what was not measured is not claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loralab.core.events import Evaluated, RunView, fold, read
from loralab.core.paths import write_atomic
from loralab.core.records import Plan, Record, Sample
from loralab.core.version import __version__
from loralab.models.catalog import hub_entry
from loralab.runs.run_folder import RunFolder

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MOST = 600  # characters of a sample shown
SETTINGS = (
    "rank",
    "alpha",
    "dropout",
    "targets",
    "use_rslora",
    "use_dora",
    "precision",
    "max_length",
    "learn_from",
    "epochs",
    "max_steps",
    "effective_batch",
    "learning_rate",
    "schedule",
    "warmup",
    "weight_decay",
    "seed",
    "engine",
)


class Origin(Record):
    """The base model as others know it: never a path of this computer."""

    name: str
    hub_id: str = ""  # owner/name on the Hugging Face Hub, where it is known
    licence: str = ""

    @property
    def reference(self) -> str:
        """What stands in adapter_config.json: the Hub id, or a plain name."""
        return self.hub_id or self.name


def origin_of(base_model: str, folder: Path) -> Origin:
    """What is known of the base a plan names: from the catalogue, the Hub id itself, or the folder's name."""
    entry = hub_entry(base_model)
    if entry:
        return Origin(name=entry.name, hub_id=entry.hub_id, licence=entry.licence)
    if _HUB_ID.fullmatch(base_model) and not Path(base_model).is_dir():
        return Origin(name=base_model.partition("/")[2], hub_id=base_model)
    return Origin(name=folder.name)


def shared_plan(plan: dict[str, Any], base: Origin) -> dict[str, Any]:
    """The plan as it may leave this computer: file names instead of paths."""
    names = {"dataset": Path(str(plan.get("dataset", ""))).name, "base_model": base.hub_id or base.name}
    return plan | {key: value for key, value in names.items() if key in plan}


def model_card(run: str, plan: dict[str, Any], base: Origin, view: RunView, *, merged: bool = False, loading: tuple[str, ...] = ()) -> str:
    """README.md of an exported adapter (or, `merged`, of base and adapter in one), in Markdown with the Hub's front matter.

    `loading` replaces the lines about Python, for files of other programs.
    """
    title = plan.get("title") or run
    what = "A language model with a LoRA adapter merged into it" if merged else "A LoRA adapter"
    lines = [*_front(base, merged=merged), f"# {_line(str(title))}", ""]
    maker = _foreign(view)
    made = f"with {maker} and brought into LoRALab {__version__}" if maker else f"on one computer with LoRALab {__version__}"
    lines += [f"{what}, made from **{base.reference}** {made}.", ""]
    lines += [
        *_data(plan, view),
        *_numbers(view),
        *_samples(view.samples),
        *_settings(plan, whole=not maker),
        *(("## How to load it", "", *loading, "") if loading else _loading(base, plan, merged=merged)),
        *_limits(base),
    ]
    return "\n".join(lines) + "\n"


def _front(base: Origin, *, merged: bool) -> Iterator[str]:
    yield "---"
    if base.hub_id:
        yield f"base_model: {base.hub_id}"
    yield f"library_name: {'transformers' if merged else 'peft'}"
    yield from ("pipeline_tag: text-generation", "tags:", "- lora", "- loralab", "---", "")


def _data(plan: dict[str, Any], view: RunView) -> Iterator[str]:
    counts = view.measured
    yield from ("## Data", "")
    yield f"- File: `{Path(str(plan.get('dataset', ''))).name or 'unknown'}`"
    if counts:
        yield f"- {counts.n_train} examples learned from, {counts.n_heldout} kept aside and never trained on"
    if view.steps:
        yield f"- {view.steps[-1].step} updates, {view.steps[-1].epoch:.1f} rounds over the examples"
    yield ""


def _numbers(view: RunView) -> Iterator[str]:
    final = next((e for e in reversed(view.evaluations) if e.split == "final"), None)
    yield from ("## Measured", "")
    if final is None or not final.scores:
        yield from (_unjudged(view), "")
        return
    yield from ("| measure | base | with adapter | difference (95 % interval) | examples | verdict |", "|---|--:|--:|--:|--:|---|")
    for s in final.scores:
        yield f"| {s.name} | {s.before:.4g} | {s.after:.4g} | {s.difference:+.4g} ({s.low:+.3g} … {s.high:+.3g}) | {s.n} | {s.verdict} |"
    yield ""
    yield from (f"- {s.words}" for s in final.scores if s.words)
    yield from (
        "",
        "Base and adapter were compared in one process on the same held-out examples, with the adapter switched off and on.",
        "",
    )


def _unjudged(view: RunView) -> str:
    looks: list[Evaluated] = [e for e in view.evaluations if e.split != "final"]
    if len(looks) < 2:
        return "This adapter was not judged on held-out examples: nothing is claimed about how good it is."
    best = min(looks[1:], key=lambda e: e.loss)
    return f"Held-out loss {looks[0].loss:.3f} before and {best.loss:.3f} at its best; there was no final comparison."


def _samples(samples: tuple[Sample, ...]) -> Iterator[str]:
    if not samples:
        return
    yield from (
        "## Before and after",
        "",
        "Prompts from the examples kept aside (take them out before you share this, if they are private).",
        "",
    )
    for i, sample in enumerate(samples, 1):
        yield from (f"**{i}. Prompt**", "", _quoted(sample.prompt), "", "Base:", "", _quoted(sample.before), "")
        yield from (f"With adapter ({', '.join(sample.after_active) or 'none was active'}):", "", _quoted(sample.after), "")


def _foreign(view: RunView) -> str:
    """The program an adapter was made with that was brought in; empty for one of ours."""
    maker = view.imported.by if view.imported else ""
    return "" if maker == "LoRALab" else maker


def _settings(plan: dict[str, Any], *, whole: bool) -> Iterator[str]:
    """`whole`: the plan is all there was to it."""
    yield from ("## Settings", "", "| setting | value |", "|---|---|")
    yield from (f"| {name} | {_line(str(plan[name]))} |" for name in SETTINGS if name in plan)
    if whole:
        yield from ("", "`plan.json` beside this file holds all of them; with the same examples and seed it repeats the run.")
    yield ""


def _loading(base: Origin, plan: dict[str, Any], *, merged: bool) -> Iterator[str]:
    yield from ("## How to load it", "", "```python", "from transformers import AutoModelForCausalLM, AutoTokenizer")
    if merged:
        yield from (
            'model = AutoModelForCausalLM.from_pretrained("this-folder")',
            'tokenizer = AutoTokenizer.from_pretrained("this-folder")',
        )
    else:
        where = base.hub_id or f"folder-of-{base.name}"
        yield from ("from peft import PeftModel", "", f'base = AutoModelForCausalLM.from_pretrained("{where}")')
        yield from ('model = PeftModel.from_pretrained(base, "this-folder")', 'tokenizer = AutoTokenizer.from_pretrained("this-folder")')
    yield from ("```", "")
    if not merged and not plan.get("use_dora"):
        name = re.sub(r"[^\w.-]+", "-", str(plan.get("title") or "learned")).strip("-.").lower() or "learned"
        words = f"{base.hub_id or f'folder-of-{base.name}'} --enable-lora --lora-modules {name}=. --max-lora-rank {_rank(plan)}"
        yield from ("With vLLM (Linux and a graphics card), in this folder:", "", "```sh", f"vllm serve {words}", "```", "")
    if base.name == "starter" and not merged:
        yield from ("The base is the starter model that comes with LoRALab, in its folder `data/starter/text`.", "")


def _rank(plan: dict[str, Any]) -> int:
    """The smallest rank vLLM can be told that holds the plan's."""
    return next((rank for rank in (8, 16, 32, 64, 128, 256, 320, 512) if rank >= int(plan.get("rank") or 8)), 512)


def _limits(base: Origin) -> Iterator[str]:
    licence = base.licence or "not known to LoRALab: see where the model came from"
    yield from ("## Limits and licence", "")
    yield f"- The base model's licence: {licence}. It applies to what is made from it; the licence of the examples may apply too."
    yield "- The numbers above are about examples like those it learned from. Elsewhere it may be no better, or worse, than its base."
    yield "- It can be wrong and sound sure. Nobody has tested it for safety; do not use it for medical, legal or other serious advice."


def _quoted(text: str) -> str:
    shown = text if len(text) <= MOST else text[:MOST] + " …"
    return "\n".join(f"> {line}" for line in (shown.strip() or "(nothing)").splitlines())


def _line(text: str) -> str:
    """One line that cannot break a table or a heading."""
    return " ".join(text.split()).replace("|", "\\|")


def write(plan: Plan, folder: RunFolder, adapter: Path) -> None:
    """Into an adapter's folder: its card (PEFT leaves an empty form), and the plan that repeats the run."""
    view = fold(folder.job.run, read(folder.path / "events.jsonl")[0])
    base = origin_of(plan.base_model, Path(folder.job.model))
    write_atomic(adapter / "README.md", model_card(folder.job.run, plan.model_dump(), base, view))
    write_atomic(adapter / "plan.json", plan.model_dump_json(indent=2) + "\n")
