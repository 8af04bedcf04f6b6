"""The text session: examples -> token batches -> next-token loss of a causal language model with a LoRA adapter.

Invariants: every example is seen once per epoch, in an order that depends on seed and epoch alone; held-out examples are never among
them; only the positions the plan learns from go through the output head.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted
from loralab.core.judgement import Judgement, Note
from loralab.core.records import Artifact, Example, Plan
from loralab.datasets import run_facts
from loralab.datasets.dataset import load_examples, split, stratified
from loralab.evaluations import Judging
from loralab.evaluations.shared.controls import SHUFFLED, shuffle_answers
from loralab.evaluations.shared.verdict import judge
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.models.tokenize import Encoded, TextEncoder
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device, load_base
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter, brought_in, save_adapter
from loralab.sessions.recompute import keeping, offload_words, set_mode
from loralab.sessions.trace import Pack, trace
from loralab.tasks.text import TextPlan
from loralab.train import memory
from loralab.train.optim import Optimizers, adamw
from loralab.train.rollback import copied
from loralab.train.session import Batch

BUCKET = 32  # effective batches sorted by length together: little padding, and the order stays random
MOST_ANSWERS, AFTER_RUN_SECONDS = 200, 120.0  # written by base and adapter for the verdict after a run; judging again has no limit
EVAL_ROWS = 128  # held-out examples of an evaluation during a run; the verdict uses all of them


class TextSession:
    """See loralab.train.session.Session."""

    unit = "tokens"
    safe_rate = 1e-3  # of an adapter: 72 of 80 wrecked runs of Tinker's LoRA sweep had 3e-3 or more

    def __init__(self, plan: TextPlan, folder: RunFolder) -> None:
        self.plan = plan
        self.folder = folder
        self.model_folder = Path(folder.job.options["model"])
        self.brought = brought_in(folder)
        self.encoder = TextEncoder(self.brought or self.model_folder)
        if not plan.dataset:
            raise UserError("Nobody has said what to test it on.", "Bring it in again, with a file of examples.", code="no_dataset")
        folder.emit(Noted(text="", phase="reading the examples"))
        examples, _ = load_examples(Path(plan.dataset), plan.roles or None)
        train, heldout = split(examples, plan.heldout_share, plan.seed)
        if folder.job.options.get("control") == SHUFFLED:
            train = shuffle_answers(train, plan.seed)
            folder.emit(Noted(text="A control: every answer it learns from belongs to another question. It must not get better."))
        self.unlearned: list[Example] = []  # left out: nothing to learn from
        self.train_rows, self.train_examples = self._encode(train, "to learn from")
        self.heldout_rows, self.heldout_examples = self._encode(heldout, "held out")
        folder.emit(Noted(text="", phase="loading the model"))
        torch.manual_seed(plan.seed)
        self.device = device()
        self.model: Any = self.open_model()  # a PeftModel here, a bare model in full tuning
        memory.settle(sum(p.numel() for p in self.model.parameters()))
        self.head: Any = TextHead(self.causal_model())
        set_mode(self.causal_model(), plan.recompute, plan.rank)
        if words := offload_words(plan.offload, self.device):
            folder.emit(Noted(text=words))
        self._note_facts()

    def _note_facts(self) -> None:
        """What is learned from and with, for people in a sentence and for the advisor in numbers."""
        trained = sum(p.numel() for p in self._trained().values())
        n_train, n_heldout = len(self.train_rows), len(self.heldout_rows)
        found = run_facts.of_examples(
            self.encoder,
            list(zip(self.train_rows, self.train_examples, strict=True)),
            list(zip(self.heldout_rows, self.heldout_examples, strict=True)),
            self.unlearned,
        )
        whole = sum(p.numel() for p in self.causal_model().parameters())
        parameters = whole - trained or whole  # in full tuning all of them learn
        machine = measure_machine(self.folder.path.parents[1])
        found |= {"parameters": parameters, "trainable": trained, "device": self.device.type, "place": fingerprint(machine)}
        found |= run_facts.of_model(self.model_folder) | {"room": machine.training_memory_free + memory.used()}
        text = f"Learning from {n_train} examples, {n_heldout} held out; {trained / 1e6:.2f} million weights learn."
        self.folder.emit(Noted(text=text, data={"trainable": trained, "n_train": n_train, "n_heldout": n_heldout, "facts": found}))

    def open_model(self) -> nn.Module:
        """The base model with a fresh adapter, ready to learn."""
        return attach_adapter(load_base(self.model_folder, self.plan.precision, self.device, self.plan.attention), self.plan, self.brought)

    def causal_model(self) -> PreTrainedModel:
        """The transformers model inside, whose layers carry the adapter."""
        return self.model.get_base_model()

    def _encode(self, examples: Sequence[Example], purpose: str) -> tuple[list[Encoded], list[Example]]:
        """Encoded rows that have something to learn from; what is left out is told, never silent."""
        encoded = self.encoder.many(list(examples), self.plan.max_length, self.plan.learn_from)
        kept = [(row, example) for row, example in zip(encoded, examples, strict=True) if any(row.learned[1:])]
        unlearned = [example for row, example in zip(encoded, examples, strict=True) if not any(row.learned[1:])]
        self.unlearned += unlearned
        dropped = [example.row for example in unlearned]
        cut = sum(row.truncated for row, _ in kept)
        if dropped:
            text = f"{len(dropped)} examples {purpose} have nothing to learn from within {self.plan.max_length} tokens; left out."
            self.folder.emit(Noted(text=text, data={"rows": dropped}))
        if cut:
            self.folder.emit(Noted(text=f"{cut} of {len(kept)} examples {purpose} are cut at {self.plan.max_length} tokens."))
        if not kept:
            raise UserError(f"No example {purpose} is usable.", "Allow longer examples, or check the columns.", code="nothing_to_learn")
        return [row for row, _ in kept], [example for _, example in kept]

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.train_rows) / self.plan.effective_batch)

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        for chosen in self.order(epoch)[start:]:
            yield [self.batch(self.train_rows, rows, self.train_examples) for rows in self.micro_batches(self.train_rows, chosen)]

    def micro_batches(self, rows: Sequence[Encoded], chosen: Sequence[int]) -> list[list[int]]:
        """`chosen` in order, cut so that none has more rows or (padded) tokens than the plan allows at once."""
        budget = self.plan.token_budget or math.inf
        parts: list[list[int]] = []
        longest = 0
        for i in chosen:
            longest = max(longest, len(rows[i].ids))
            if not parts or len(parts[-1]) >= self.plan.micro_batch or longest * (len(parts[-1]) + 1) > budget:
                parts.append([])
                longest = len(rows[i].ids)
            parts[-1].append(i)
        return parts

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        n = len(batch.rows)
        return None if n < 2 else (_part(batch, slice(0, n // 2)), _part(batch, slice(n // 2, n)))

    def reconfigure(self, plan: Plan) -> None:
        before, self.plan = self.plan, type(self.plan).model_validate(plan.model_dump())
        if (before.precision, before.attention) != (self.plan.precision, self.plan.attention):
            self._reopen()
        set_mode(self.causal_model(), self.plan.recompute, self.plan.rank)

    def _reopen(self) -> None:
        """Load the base model again as the plan now is, and go on with what was learned. The old one is let go first: two need not fit."""
        learned, training = copied(self.state()), self.model.training
        self.model = self.head = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        with torch.random.fork_rng():  # a fresh adapter draws numbers, and dropout's must not notice
            self.model = self.open_model().train(training)
        self.head = TextHead(self.causal_model())
        self.load_state(learned)

    def order(self, epoch: int) -> list[list[int]]:
        """Effective batches of an epoch, as positions in `train_rows`: shuffled, rows of like length together, batches shuffled again."""
        random = np.random.default_rng([self.plan.seed, epoch])
        order = random.permutation(len(self.train_rows))
        size = self.plan.effective_batch
        batches: list[list[int]] = []
        for i in range(0, len(order), size * BUCKET):
            bucket = sorted(order[i : i + size * BUCKET].tolist(), key=lambda row: len(self.train_rows[row].ids))
            batches += [bucket[j : j + size] for j in range(0, len(bucket), size)]
        return [batches[i] for i in random.permutation(len(batches))]

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        kept = [i for i, example in enumerate(self.heldout_examples) if example.row not in heldout_rows]
        self.heldout_rows = [self.heldout_rows[i] for i in kept]
        self.heldout_examples = [self.heldout_examples[i] for i in kept]

    def heldout(self) -> Iterator[Batch]:
        yield from self.heldout_batches(stratified(self.heldout_examples, EVAL_ROWS))

    def heldout_batches(self, chosen: Sequence[int] | None = None) -> Iterator[Batch]:
        """Held-out rows in file order, all or those `chosen`, in micro-batches."""
        for rows in self.micro_batches(self.heldout_rows, range(len(self.heldout_rows)) if chosen is None else chosen):
            yield self.batch(self.heldout_rows, rows, self.heldout_examples)

    # ---- what a batch costs ----------------------------------------------------------------------------------------------
    @property
    def cost_limit(self) -> int:
        return self.plan.token_budget

    def limit_cost(self, cost: int) -> dict[str, Any]:
        return {"token_budget": cost}

    def smaller_words(self, cost: int) -> str:
        return f"set “Longest example” to {max(16, cost // 8 * 8):,} tokens, so that longer ones are cut"

    def worst_batch(self, cost: int = 0) -> Batch | None:
        """The costliest micro-batch an epoch can have, of at most `cost` padded tokens where given; a row too long for that is cut."""
        lengths = [len(row.ids) for row in self.train_rows]
        order = sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True)
        whole = self.micro_batches(self.train_rows, order[: self.plan.effective_batch])[0]
        rows = whole[: max(1, cost // lengths[order[0]])] if cost else whole
        batch = self.batch(self.train_rows, rows, self.train_examples)
        if not cost or batch.cost <= cost:
            return batch
        tensors = {name: tensor[:, :cost] for name, tensor in batch.tensors.items()}
        tensors["learned"][:, -1] = True  # whatever was cut off, there is something to learn
        return Batch(tensors, cost, int(tensors["learned"].sum()), batch.rows, (cost,))

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        """By the books of a model without weights. Any model's code may fail in any way on tensors without content."""
        pack = Pack(len(batch.rows), batch.largest, max(1, batch.n_targets), again)
        try:
            parts = trace(self.plan, self.model_folder, pack, self.device.type)
        except Exception as error:
            what = f"its model cannot be counted without its weights ({type(error).__name__}: {error})"
            raise Unavailable(what, code="not_countable") from error
        return float(parts["activations"] + parts["head"] + parts["adapter"])

    def batch(self, rows: Sequence[Encoded], chosen: Sequence[int], examples: Sequence[Example]) -> Batch:
        """Rows padded on the right to the longest. No attention mask is needed: causal attention never looks at what follows."""
        longest = max(len(rows[i].ids) for i in chosen)
        ids = torch.full((len(chosen), longest), self.encoder.pad_id)
        learned = torch.zeros((len(chosen), longest), dtype=torch.bool)
        for at, i in enumerate(chosen):
            ids[at, : len(rows[i].ids)] = torch.tensor(rows[i].ids)
            learned[at, : len(rows[i].ids)] = torch.tensor(rows[i].learned)
        learned[:, 0] = False  # nothing comes before the first token, so it cannot be predicted
        return Batch(
            {"ids": ids.to(self.device), "learned": learned.to(self.device)},
            n_units=sum(len(rows[i].ids) for i in chosen),
            n_targets=int(learned.sum()),
            rows=tuple(examples[i].row for i in chosen),
            costs=tuple(len(rows[i].ids) for i in chosen),
        )

    # ---- learning --------------------------------------------------------------------------------------------------------
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        with keeping(self.plan.offload, self.device):
            return self.head.loss(batch.tensors["ids"], batch.tensors["learned"]), batch.n_targets

    def optimizer(self) -> Optimizers:
        return adamw(self._trained().values(), self.plan)

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def state(self) -> dict[str, Tensor]:
        return self._trained()

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        for name, parameter in self._trained().items():
            parameter.copy_(state[name])

    # ---- judging and saving ----------------------------------------------------------------------------------------------
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        only = tuple(self.folder.job.options.get("measures", ()))  # a pilot is judged by its loss alone
        return judge(Judging(self, self.plan, MOST_ANSWERS, AFTER_RUN_SECONDS, note, stop, only=only))

    def save(self, folder: Path) -> Artifact:
        return save_adapter(self.model, folder, self.model_folder, 0)


def _part(batch: Batch, which: slice) -> Batch:
    """Some rows of a micro-batch, without the padding only the others needed."""
    costs = batch.costs[which]
    tensors = {name: tensor[which, : max(costs)] for name, tensor in batch.tensors.items()}
    return Batch(tensors, sum(costs), int(tensors["learned"].sum()), batch.rows[which], costs)
