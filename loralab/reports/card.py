"""Owns the model card: what an adapter is, what it was made from, what was measured, how to load it and what not to expect. No torch.

Invariants: every number on the card was measured in the run it describes; what was not measured is not claimed; text of people, files and
models is shielded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loralab.core.events import Evaluated, RunView, fold, read
from loralab.core.paths import write_atomic
from loralab.core.records import Plan, Record, Sample
from loralab.core.verdict import Verdict
from loralab.core.version import __version__
from loralab.core.words import can_you_use_it, count, did_it_learn
from loralab.models.catalog import hub_entry
from loralab.models.model_check import squeezed_bits
from loralab.reports import licences
from loralab.reports.markdown import quoted, shielded, word
from loralab.reports.score_words import between, value
from loralab.runs.run_folder import RunFolder
from loralab.tasks import setting_label

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
MOST = 600  # characters of a sample shown
SETTINGS = (
    "rank",
    "alpha",
    "dropout",
    "targets",
    "use_rslora",
    "adapter",
    "rank_schedule",
    "lora_plus",
    "optimizer",
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
    bits: int = 0  # of a number in the squeezed file the base was made of here; 0: it is the original

    @property
    def reference(self) -> str:
        """What stands in adapter_config.json: the Hub id, or a plain name."""
        return self.hub_id or self.name


def origin_of(base_model: str, folder: Path) -> Origin:
    """What is known of the base a plan names: from the catalogue, the Hub id itself, or the folder's name."""
    entry, bits = hub_entry(base_model), squeezed_bits(folder)
    if entry:
        return Origin(name=entry.name, hub_id=entry.hub_id, licence=entry.licence, bits=bits)
    if _HUB_ID.fullmatch(base_model) and not Path(base_model).is_dir():
        return Origin(name=base_model.partition("/")[2], hub_id=base_model, licence=licences.in_folder(folder))
    return Origin(name=folder.name, licence=licences.in_folder(folder), bits=bits)


def shared_plan(plan: dict[str, Any], base: Origin) -> dict[str, Any]:
    """The plan as it may leave this computer: file names instead of paths."""
    names = {"dataset": Path(str(plan.get("dataset", ""))).name, "base_model": base.hub_id or base.name}
    return plan | {key: value for key, value in names.items() if key in plan}


def model_card(
    run: str,
    plan: dict[str, Any],
    base: Origin,
    view: RunView,
    *,
    merged: bool = False,
    loading: tuple[str, ...] = (),
    examples: bool = True,
) -> str:
    """README.md of an exported adapter (or, `merged`, of base and adapter in one), in Markdown with the Hub's front matter.

    `loading` replaces the lines about Python, for files of other programs. `examples`: with the answers to a person's own examples, as
    only they are to see it.
    """
    title = plan.get("title") or run
    what = "A language model with a LoRA adapter merged into it" if merged else "A LoRA adapter"
    lines = [*_front(base, merged=merged), f"# {shielded(str(title))}", ""]
    maker = _foreign(view)
    made = f"with {shielded(maker)} and brought into LoRALab {__version__}" if maker else f"on one computer with LoRALab {__version__}"
    lines += [f"{what}, made from **{shielded(base.reference)}** {made}.", ""]
    lines += [
        *answers(view.conclusion),
        *_data(plan, view),
        *numbers(view),
        *(before_and_after(view.samples) if examples else ()),
        *settings(plan, whole=not maker),
        *(("## How to load it", "", *loading, "") if loading else _loading(base, plan, merged=merged)),
        *_limits(base, plan),
    ]
    return "\n".join(lines) + "\n"


def answers(found: Verdict | None) -> Iterator[str]:
    """Both answers of the verdict."""
    if found is not None:
        yield from (f"**Did it learn? {did_it_learn(found)}.** {shielded(found.learned_words)}", "")
        yield from (f"**Can it be used? {can_you_use_it(found)}.** {shielded(found.usable_words)}", "")
        yield from ((shielded(found.but), "") if found.but else ())


def _front(base: Origin, *, merged: bool) -> Iterator[str]:
    yield "---"
    if base.hub_id:
        yield f"base_model: {base.hub_id}"
    yield f"library_name: {'transformers' if merged else 'peft'}"
    yield from ("pipeline_tag: text-generation", "tags:", "- lora", "- loralab", "---", "")


def _data(plan: dict[str, Any], view: RunView) -> Iterator[str]:
    counts = view.measured
    yield from ("## Data", "")
    yield f"- File: {shielded(Path(str(plan.get('dataset', ''))).name) or 'unknown'}"
    if counts:
        yield f"- {count(counts.n_train, 'example')} learned from, {counts.n_heldout} kept aside and never trained on"
    if view.steps:
        yield f"- {count(view.steps[-1].step, 'update')}, {count(round(view.steps[-1].epoch, 1), 'round')} over the examples"
    yield ""


def numbers(view: RunView) -> Iterator[str]:
    """What was measured, as a table and in words."""
    final = next((e for e in reversed(view.evaluations) if e.split == "final"), None)
    yield from ("## Measured", "")
    if final is None or not final.scores:
        yield from (_unjudged(view), "")
        return
    yield from ("| measure | base | with adapter | difference (95 % interval) | examples | verdict |", "|---|--:|--:|--:|--:|---|")
    for s in final.scores:
        change = f"{value(s, s.difference, '+')}{f' ({sure})' if (sure := between(s)) else ''}"
        yield f"| {shielded(s.label or s.name)} | {value(s, s.before)} | {value(s, s.after)} | {change} | {s.n} | {s.verdict} |"
    yield ""
    yield from (f"- {shielded(s.words)}" for s in final.scores if s.words)
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


def before_and_after(samples: tuple[Sample, ...]) -> Iterator[str]:
    """The answers to examples kept aside, as a section of a card."""
    if not samples:
        return
    yield from (
        "## Before and after",
        "",
        "Prompts from the examples kept aside (take them out before you share this, if they are private).",
        "",
    )
    for i, sample in enumerate(samples, 1):
        yield from (f"**{i}. Prompt**", "", quoted(sample.prompt, MOST), "", "Base:", "", quoted(sample.before, MOST), "")
        yield from (f"With adapter ({shielded(', '.join(sample.after_active)) or 'none was active'}):", "", quoted(sample.after, MOST), "")


def _foreign(view: RunView) -> str:
    """The program an adapter was made with that was brought in; empty for one of ours."""
    maker = view.imported.by if view.imported else ""
    return "" if maker == "LoRALab" else maker


def settings(plan: dict[str, Any], *, whole: bool) -> Iterator[str]:
    """`whole`: the plan is all there was to it."""
    yield from ("## Settings", "", "| setting | value |", "|---|---|")
    yield from (f"| {setting_label(name)} | {shielded(str(plan[name]))} |" for name in SETTINGS if name in plan)
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
        where = base.hub_id or f"folder-of-{word(base.name)}"
        yield from ("from peft import PeftModel", "", f'base = AutoModelForCausalLM.from_pretrained("{where}")')
        yield from ('model = PeftModel.from_pretrained(base, "this-folder")', 'tokenizer = AutoTokenizer.from_pretrained("this-folder")')
    yield from ("```", "")
    if not merged and not (plan.get("use_dora") or plan.get("adapter") == "dora"):
        name = word(str(plan.get("title") or "learned")).lower()
        words = f"{base.hub_id or f'folder-of-{word(base.name)}'} --enable-lora --lora-modules {name}=. --max-lora-rank {_rank(plan)}"
        yield from ("With vLLM (Linux and a graphics card), in this folder:", "", "```sh", f"vllm serve {words}", "```", "")
    if base.name == "starter" and not merged:
        yield from ("The base is the starter model that comes with LoRALab, in its folder `data/starter/text`.", "")


def _rank(plan: dict[str, Any]) -> int:
    """The smallest rank vLLM can be told that holds every part's: PiSSA writes twice the plan's, and ranks that move may double."""
    largest = int(plan.get("rank") or 8) * (2 if plan.get("adapter") == "pissa" or plan.get("rank_schedule") == "adaptive" else 1)
    return next((rank for rank in (8, 16, 32, 64, 128, 256, 320, 512) if rank >= largest), 512)


def _limits(base: Origin, plan: dict[str, Any]) -> Iterator[str]:
    yield from ("## Limits and licence", "", *(f"- {shielded(line)}" for line in limits(base, plan)))


def limits(base: Origin, plan: dict[str, Any]) -> Iterator[str]:
    """What not to expect and whose licences apply, a sentence or two each, as plain text."""
    data = licences.of_data(str(plan.get("dataset") or ""))
    yield f"The base model's licence: {base.licence or licences.UNKNOWN}. It applies to what is made from it."
    yield f"The licence of the examples: {data or licences.UNKNOWN}. It may apply to what learned from them, too."
    if base.bits:
        yield (
            f"It was trained on a copy of {base.reference} whose numbers somebody had squeezed to {base.bits} bits; beside the original "
            "its answers may differ a little."
        )
    yield "The numbers above are about examples like those it learned from. Elsewhere it may be no better, or worse, than its base."
    yield "It can be wrong and sound sure. Nobody has tested it for safety; do not use it for medical, legal or other serious advice."


def write(plan: Plan, folder: RunFolder, adapter: Path) -> None:
    """Into an adapter's folder: its card (PEFT leaves an empty form), and the plan that repeats the run."""
    view = fold(folder.job.run, read(folder.path / "events.jsonl")[0])
    base = origin_of(plan.base_model, Path(folder.job.model))
    write_atomic(adapter / "README.md", model_card(folder.job.run, plan.model_dump(), base, view))
    write_atomic(adapter / "plan.json", plan.model_dump_json(indent=2) + "\n")
