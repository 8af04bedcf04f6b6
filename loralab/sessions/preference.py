"""The preference session: the text session with pairs of answers and the loss of direct preference optimisation (Rafailov et al. 2023).

Invariants: both answers of a pair are in the same micro-batch; what they are held against is the base, the adapter switched off, in the
same process; everything that is judged is judged on the chosen answers, as in a text run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted
from loralab.core.records import Example
from loralab.core.words import count
from loralab.datasets.dataset import stratified
from loralab.evaluations import switched
from loralab.models.tokenize import Encoded
from loralab.runs.run_folder import RunFolder
from loralab.sessions.recompute import keeping
from loralab.sessions.text import EVAL_ROWS, TextSession
from loralab.sessions.trace import Pack, trace
from loralab.tasks.preference import PreferencePlan
from loralab.train.session import Batch

IDS, LEARNED = "pair_ids", "pair_learned"  # [2 n, length]: the chosen answers of a micro-batch, then the others in the same order


@dataclass(frozen=True)
class Pair:
    """A question with its chosen and its other answer, as tokens. `ids` is as long as what it costs."""

    chosen: Encoded
    other: Encoded

    @property
    def ids(self) -> range:
        """Both rows are padded to the longer."""
        return range(2 * max(len(self.chosen.ids), len(self.other.ids)))


class PreferenceSession(TextSession):
    """See loralab.train.session.Session and loralab.sessions.text.TextSession; `train_rows` and `heldout_rows` are the chosen answers."""

    plan: PreferencePlan

    def __init__(self, plan: PreferencePlan, folder: RunFolder) -> None:
        self._pairs: dict[int, Pair] = {}  # by the identity of the chosen row
        super().__init__(plan, folder)

    def _encode(self, examples: Sequence[Example], purpose: str) -> tuple[list[Encoded], list[Example]]:
        """Pairs of which both answers have something to learn from and are not the same; what is left out is told."""
        paired = [example for example in examples if example.rejected and example.rejected != example.messages]
        if not paired:
            what = f"No example {purpose} has a chosen and a rejected answer."
            raise UserError(what, "Learn from the answers themselves, or choose a file with both.", code="no_pairs")
        rows, kept = super()._encode(paired, purpose)
        turned = [example.model_copy(update={"messages": example.rejected, "rejected": ()}) for example in kept]
        others = self.encoder.many(turned, self.plan.max_length, self.plan.learn_from)
        whole = [i for i, (row, other) in enumerate(zip(rows, others, strict=True)) if any(other.learned[1:]) and other.ids != row.ids]
        lost = len(examples) - len(whole)
        if lost:
            text = f"{count(lost, 'example')} {purpose} without two different answers, or whose answers are too long: left out."
            self.folder.emit(Noted(text=text))
        if not whole:
            raise UserError(f"No pair {purpose} is usable.", "Allow longer examples, or check the columns.", code="nothing_to_learn")
        self._pairs |= {id(rows[i]): Pair(rows[i], others[i]) for i in whole}
        return [rows[i] for i in whole], [kept[i] for i in whole]

    def _paired(self, rows: Sequence[Encoded]) -> list[Any]:
        return [self._pairs[id(row)] for row in rows]

    # ---- batches ---------------------------------------------------------------------------------------------------------
    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        pairs = self._paired(self.train_rows)
        for chosen in self.order(epoch)[start:]:
            yield [self.pair_batch(pairs, rows, self.train_examples) for rows in self.micro_batches(pairs, chosen)]

    def heldout(self) -> Iterator[Batch]:
        pairs = self._paired(self.heldout_rows)
        for rows in self.micro_batches(pairs, stratified(self.heldout_examples, EVAL_ROWS)):
            yield self.pair_batch(pairs, rows, self.heldout_examples)

    def pair_batch(self, pairs: Sequence[Pair], chosen: Collection[int], examples: Sequence[Example]) -> Batch:
        """The chosen pairs as one micro-batch; a target is a pair."""
        rows = [pairs[i].chosen for i in chosen] + [pairs[i].other for i in chosen]
        both = self.batch(rows, range(len(rows)), [examples[i] for i in chosen] * 2)
        tensors = {IDS: both.tensors["ids"], LEARNED: both.tensors["learned"]}
        named = tuple(examples[i].row for i in chosen)
        return Batch(tensors, both.n_units, len(named), named, tuple(len(pairs[i].ids) for i in chosen))

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        if IDS not in batch.tensors:
            return super().split(batch)
        n = len(batch.rows)
        return None if n < 2 else (_part(batch, slice(0, n // 2)), _part(batch, slice(n // 2, n)))

    def worst_batch(self, cost: int = 0) -> Batch | None:
        pairs = self._paired(self.train_rows)
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].ids), reverse=True)
        whole = self.micro_batches(pairs, order[: self.plan.effective_batch])[0]
        rows = whole[: max(1, cost // len(pairs[order[0]].ids))] if cost else whole
        batch = self.pair_batch(pairs, rows, self.train_examples)
        if not cost or batch.cost <= cost:
            return batch
        tensors = {name: tensor[:, : max(2, cost // 2)] for name, tensor in batch.tensors.items()}
        tensors[LEARNED][:, -1] = True  # whatever was cut off, there is something to learn
        return Batch(tensors, cost, 1, batch.rows, (cost,))

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        """By the books of the same model learning from twice as many rows: the second pass, without gradients, needs less."""
        pack = Pack(2 * len(batch.rows), batch.largest // 2, int(batch.tensors[LEARNED].sum()), again)
        try:
            parts = trace(self.plan, self.model_folder, pack, self.device.type)
        except Exception as error:  # any model's code may fail in any way on tensors without content
            what = f"its model cannot be counted without its weights ({type(error).__name__}: {error})"
            raise Unavailable(what, code="not_countable") from error
        return float(parts["activations"] + parts["head"] + parts["adapter"])

    # ---- learning --------------------------------------------------------------------------------------------------------
    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Of pairs: -log sigmoid(beta * (ours - the base's)), each the log-likelihood of the chosen answer less that of the other."""
        if IDS not in batch.tensors:
            return super().loss(batch)
        with torch.no_grad(), switched(self.model, adapter=False):
            base = self._leaning(batch)
        with keeping(self.plan.offload, self.device):
            ours = self._leaning(batch)
        return -F.logsigmoid(self.plan.beta * (ours - base)).sum(), batch.n_targets

    def _leaning(self, batch: Batch) -> Tensor:
        """How much likelier each chosen answer is than the other, in nats: [n]."""
        losses = self.head.row_losses(batch.tensors[IDS], batch.tensors[LEARNED])
        chosen, other = losses.chunk(2)
        return other - chosen


def _part(batch: Batch, which: slice) -> Batch:
    """Some pairs of a micro-batch, without the padding only the others needed."""
    costs = batch.costs[which]
    width, n = max(costs) // 2, len(batch.rows)
    tensors = {name: torch.cat([half[which] for half in tensor.split(n)])[:, :width] for name, tensor in batch.tensors.items()}
    return Batch(tensors, sum(costs), len(costs), batch.rows[which], costs)
