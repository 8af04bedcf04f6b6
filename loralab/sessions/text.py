"""The text session: examples -> token batches -> next-token loss of a causal language model with a LoRA adapter.

Invariants: every example is seen once per epoch, in an order that depends on seed and epoch alone; held-out examples are never among
them; only the positions the plan learns from go through the output head.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Measured, Noted
from loralab.core.facts import Facts
from loralab.core.jobs import TrainJob
from loralab.core.judgement import Judgement, Note
from loralab.core.records import Artifact, Example, Plan, Sample
from loralab.core.version import __version__
from loralab.core.words import count, plural
from loralab.datasets import run_facts
from loralab.datasets.dataset import split, stratified
from loralab.datasets.loading import hold, load_examples
from loralab.datasets.readable import NO_TOOLS, readable
from loralab.datasets.tables import origins
from loralab.evaluations import Judging
from loralab.evaluations.shared.answers import answer_tokens, asked, last_said, told_apart, write_now
from loralab.evaluations.shared.controls import shuffle_answers
from loralab.evaluations.shared.readings import micro_batches
from loralab.evaluations.shared.verdict import judge
from loralab.machine.hardware import fingerprint, measure_machine
from loralab.models import fingerprint as model_fingerprint
from loralab.models.model_folder import weight_files
from loralab.models.tokenize import Encoded, TextEncoder
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device, load_base
from loralab.runtimes.four_bits import numbers
from loralab.sessions import ranks
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter, brought_in, groups, save_adapter
from loralab.sessions.recompute import keeping, offload_words
from loralab.sessions.trace import Pack, trace
from loralab.tasks.text import TextPlan
from loralab.train import memory
from loralab.train.optim import Optimizers, named
from loralab.train.rollback import copied
from loralab.train.session import Batch

BUCKET = 32  # effective batches sorted by length together: little padding, and the order stays random
# written by base and adapter for the verdict after a run; counted in work and not in time, so that a busy computer judges by as many
MOST_ANSWERS, MOST_WRITTEN = 200, 5000  # answers, and tokens of them all
LOOK = 1  # version of what is seen before the first update: to be raised where a look or a first answer would come out otherwise
# settings that have no say before the first update; where the file lies has none either, its examples are looked at
_HOW = {"learning_rate", "schedule", "warmup", "weight_decay", "max_grad_norm", "optimizer", "eval_every", "patience", "checkpoint_minutes"}
LEARNING = {"title", "dataset", "base_model", "pause_below_battery", "pause_above_temperature"} | _HOW
OF_THE_BASE = ("precision", "attention", "compute", "double_quantisation")  # settings under which it is loaded
EVAL_ROWS = 128  # held-out examples of an evaluation during a run; the verdict uses all of them


class TextSession:
    """See loralab.train.session.Session."""

    unit = "tokens"
    safe_rate = 1e-3  # of an adapter: 72 of 80 wrecked runs of Tinker's LoRA sweep had 3e-3 or more

    def __init__(self, plan: TextPlan, folder: RunFolder) -> None:
        self.plan = plan
        self.folder = folder
        self.model_folder = Path(folder.job.model)
        self.brought = brought_in(folder)
        self.encoder = TextEncoder(self.brought or self.model_folder)
        if not plan.dataset:
            raise UserError("Nobody has said what to test it on.", "Import it again, with a file of examples.", code="no_dataset")
        folder.emit(Noted(text="", phase="reading the examples"))
        examples, loaded = load_examples(Path(plan.dataset), plan.roles or None, plan.parts)
        every = len(examples)
        examples, _ = readable(self.encoder, hold(examples), loaded)
        if unread := every - len(examples):
            folder.emit(Noted(text=f"Left out: {count(unread, 'example')}. {NO_TOOLS}"))
        train, heldout = split(examples, plan.heldout_share, plan.seed, plan.heldout_by)
        if folder.asked(TrainJob).control:
            train = shuffle_answers(train, plan.seed)
            folder.emit(Noted(text="A control: every answer it learns from belongs to another question. It must not get better."))
        self.unlearned: list[Example] = []  # left out: nothing to learn from
        self.train_rows, self.train_examples = self._encode(train, "to learn from")
        self.heldout_rows, self.heldout_examples = self._encode(heldout, "held out")
        if plan.guessed:
            columns = ", ".join(f"{role}: “{column}”" for role, column in plan.roles.items())
            folder.emit(Noted(text=f"Which column is which was a guess when it was started ({columns})."))
        folder.emit(Noted(text="", phase="loading the model"))
        torch.manual_seed(plan.seed)
        self.device = device()
        self.model: Any = self.open_model()  # a PeftModel here, a bare model in full tuning
        self.head: Any = TextHead(self.causal_model())
        if self.head.by_hand is None:  # whose memory stays
            memory.settle(sum(numbers(p) for p in self.model.parameters()))
        self.head.set_mode(self.plan.recompute, self.plan.widest_rank)
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
        whole = sum(numbers(p) for p in self.causal_model().parameters())
        parameters = whole - trained or whole  # in full tuning all of them learn
        machine = measure_machine(self.folder.path.parents[1])
        found |= {"parameters": parameters, "trainable": trained, "device": self.device.type, "place": fingerprint(machine)}
        found |= {"guessed": self.plan.guessed}
        found |= run_facts.of_model(self.model_folder) | {"room": machine.training_memory_free + memory.used()}
        text = f"Learning from {count(n_train, 'example')}, {n_heldout} held out; {trained / 1e6:.2f} million weights learn."
        text = f"{text} {origins.words(self.train_examples, self.heldout_examples)}".strip()
        self.folder.emit(Measured(text=text, trainable=trained, n_train=n_train, n_heldout=n_heldout, facts=Facts(**found)))

    def open_model(self) -> nn.Module:
        """The base model with a fresh adapter, ready to learn."""
        plan = self.plan
        how: dict[str, Any] = {"double": plan.double_quantisation, "compute": plan.compute}
        model = attach_adapter(load_base(self.model_folder, plan.precision, self.device, plan.attention, **how), plan, self.brought)
        if not self.brought:
            ranks.begin(model, plan)
        return model

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
            have, room = plural(len(dropped), "has", "have"), count(self.plan.max_length, "token")
            text = f"{count(len(dropped), 'example')} {purpose} {have} nothing to learn from within {room}; left out."
            self.folder.emit(Noted(text=text, rows=tuple(dropped)))
        if cut:
            of, room = count(len(kept), "example"), count(self.plan.max_length, "token")
            self.folder.emit(Noted(text=f"{cut} of {of} {purpose} {plural(cut, 'is', 'are')} cut at {room}."))
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
        if any(getattr(before, name) != getattr(self.plan, name) for name in OF_THE_BASE):
            self._reopen()
        self.head.set_mode(self.plan.recompute, self.plan.widest_rank)

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

    def starting_point(self) -> str:
        if self.brought:
            return ""
        folder, job = self.model_folder, self.folder.asked(TrainJob)
        files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in weight_files(folder)]
        settings, place = self.plan.model_dump(exclude=LEARNING), fingerprint(measure_machine(self.folder.path.parents[1]))
        versions = (LOOK, type(self).__name__, __version__, torch.__version__, transformers.__version__)
        parts = (versions, model_fingerprint.print_of(folder), files, settings, place, job.measures, job.control)
        found = sha256(repr(parts).encode())
        found.update(repr([(name, float(p.detach().sum()), float(p.detach().abs().max())) for name, p in self.state().items()]).encode())
        for example in self.heldout_examples:
            found.update(example.model_dump_json().encode())
        for batch in self.heldout():
            for name, tensor in batch.tensors.items():
                found.update(name.encode() + repr(tuple(tensor.shape)).encode() + tensor.cpu().numpy().tobytes())
        return found.hexdigest()

    def heldout(self) -> Iterator[Batch]:
        yield from self.heldout_batches(stratified(self.heldout_examples, EVAL_ROWS))

    def heldout_batches(self, chosen: Sequence[int] | None = None) -> Iterator[Batch]:
        """Held-out rows, all or those `chosen`, those that begin alike together; as many at once as learning has memory for."""
        order = sorted(range(len(self.heldout_rows)) if chosen is None else chosen, key=lambda i: self.heldout_rows[i].ids)
        for part in micro_batches(self, [self.heldout_rows[i] for i in order]):
            yield self.batch(self.heldout_rows, [order[i] for i in part], self.heldout_examples)

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
        return named(groups(self._trained(), self.plan), self.plan)

    def grow(self, step: int, fraction: float, total: int, optimizer: Any) -> None:
        """See loralab.train.session.Growing."""
        text = ""
        if self.plan.rank_schedule == "progressive":
            text = ranks.grow(self.model, self.plan, fraction, optimizer)
        elif self.plan.rank_schedule == "adaptive" and ranks.is_move(step, total):
            text = ranks.move(self.model, self.plan, optimizer)
        if text:
            self.folder.emit(Noted(step=step, text=text))

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def state(self) -> dict[str, Tensor]:
        return self._trained()

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        if self.plan.rank_schedule in ranks.CHANGING:
            ranks.take_shapes(self.model, state)
        for name, parameter in self._trained().items():
            parameter.copy_(state[name])

    # ---- judging and saving ----------------------------------------------------------------------------------------------
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        only = self.folder.asked(TrainJob).measures  # a pilot is judged by its loss alone
        return judge(Judging(self, self.plan, self._most_answers(), note=note, stop=stop, only=only))

    def _most_answers(self) -> int:
        """As many answers as keep to MOST_WRITTEN if every one is as long as it may be."""
        limits = [answer_tokens(self, example) for example in self.heldout_examples]
        return max(1, min(MOST_ANSWERS, MOST_WRITTEN * len(limits) // max(1, 2 * sum(limits))))

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        if self.folder.asked(TrainJob).measures or self.folder.asked(TrainJob).control:
            return ()  # nobody watches a pilot or a control
        rows = [example.row for example in self.heldout_examples]
        order = sorted(range(len(rows)), key=lambda i: crc32(b"%d" % rows[i]))  # at random, and the same whatever else is left out later
        chosen = [self.heldout_examples[i] for i in told_apart(self.heldout_examples, order)[:most]]
        said = write_now(self, chosen, stop)
        both = [(asked(example), text) for example, text in zip(chosen, said, strict=False)]
        return tuple(Sample(prompt=last_said(prompt), reference=reference, before="", after=text) for (prompt, reference), text in both)

    def save(self, folder: Path) -> Artifact:
        if self.plan.rank_schedule in ranks.CHANGING and not self.brought:
            ranks.note(self.model)
        return save_adapter(self.model, folder, self.model_folder, 0)


def _part(batch: Batch, which: slice) -> Batch:
    """Some rows of a micro-batch, without the padding only the others needed."""
    costs = batch.costs[which]
    tensors = {name: tensor[which, : max(costs)] for name, tensor in batch.tensors.items()}
    return Batch(tensors, sum(costs), int(tensors["learned"].sum()), batch.rows[which], costs)
