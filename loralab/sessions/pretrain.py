"""Owns the pretraining session: a small Llama, all weights trainable, on rows cut from a token file.

Invariant: every row of the corpus is seen once per epoch in a seeded order; held-out documents are never among them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from loralab.core.digest import digest
from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted
from loralab.core.judgement import Judgement, Note
from loralab.core.paths import DATA, write_atomic
from loralab.core.records import Artifact, Plan, Sample, Score
from loralab.core.verdict import uncompared
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.base_model import device
from loralab.sessions import corpus
from loralab.tasks.pretrain import PretrainPlan
from loralab.train.finite import refuse_broken
from loralab.train.loop import artifact_of
from loralab.train.optim import Optimizers, adamw, muon
from loralab.train.session import Batch

OPENING, MARGIN = 32, 1000  # tokens of a held-out opening that is gone on from; left out at both ends of the corpus where it is long
HELDOUT_ROWS = 192  # rows looked at per evaluation: enough for a loss to +-0.02, a few seconds on two cores


class PretrainSession:
    """See loralab.train.session.Session."""

    unit = "tokens"
    safe_rate = math.inf

    def __init__(self, plan: PretrainPlan, folder: RunFolder) -> None:
        self.plan = plan
        self.folder = folder
        self.aside: frozenset[int] = frozenset()  # held-out rows that are not looked at
        self._take_tokenizer()
        self.corpus = corpus.build(Path(plan.dataset), folder.path / "corpus", plan.vocabulary, plan.heldout_share, self._note)
        torch.manual_seed(plan.seed)
        self.device = device()
        self.model: Any = LlamaForCausalLM(self.config()).to(self.device)  # pyright: ignore[reportArgumentType]
        if plan.base_model:
            self.model.load_state_dict(load_file(Path(plan.base_model) / "model.safetensors"), strict=False)
        self._loss = torch.compile(self._plain_loss) if plan.compile else self._plain_loss
        self.rows = len(self.corpus.train) // plan.max_length
        parameters = sum(p.numel() for p in self.model.parameters())
        tokens, aside = len(self.corpus.train), self.corpus.n_heldout_documents
        text = f"{parameters / 1e6:.1f} million weights, {tokens / 1e6:.1f} million tokens, {aside} documents held out."
        folder.emit(Noted(text=text))

    def _take_tokenizer(self) -> None:
        """Use the tokenizer the plan names, or the one of the model it goes on from; otherwise one is learned from the corpus."""
        plan, own = self.plan, self.folder.path / "corpus" / "tokenizer.json"
        given = Path(plan.tokenizer or plan.base_model) / "tokenizer.json"
        if own.exists() or not (plan.tokenizer or plan.base_model):
            return
        if not given.is_file():
            raise UserError(f"There is no tokenizer.json in {given.parent}.", "Name a folder that has one.", code="no_tokenizer")
        size = Tokenizer.from_file(str(given)).get_vocab_size()
        if size > plan.vocabulary:
            what = f"That tokenizer knows {size} pieces, more than the model's {plan.vocabulary}."
            raise UserError(what, f"Set vocabulary to {size}.", code="other_tokenizer")
        write_atomic(own, given.read_bytes())

    def config(self) -> LlamaConfig:
        plan = self.plan
        return LlamaConfig(
            vocab_size=plan.vocabulary,
            hidden_size=plan.hidden,
            intermediate_size=plan.feed_forward,
            num_hidden_layers=plan.layers,
            num_attention_heads=plan.heads,
            num_key_value_heads=plan.kv_heads,
            max_position_embeddings=plan.context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=3,
            pad_token_id=1,
            initializer_range=0.02,
        )

    def _note(self, phase: str, fraction: float | None) -> None:
        self.folder.emit(Noted(text="", phase=phase, fraction=fraction))

    def steps_per_epoch(self) -> int:
        return max(1, self.rows // self.plan.effective_batch)

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        order = np.random.default_rng([self.plan.seed, epoch]).permutation(self.rows)
        size = self.plan.effective_batch
        # another offset each epoch, so that the cuts between rows fall elsewhere
        offset = int(np.random.default_rng([self.plan.seed, epoch, 1]).integers(self.plan.max_length)) if epoch else 0
        for step in range(start, self.steps_per_epoch()):
            rows, micro = order[step * size : (step + 1) * size], self._at_once()
            yield [self._batch(self.corpus.train, rows[i : i + micro], offset) for i in range(0, size, micro)]

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        n = len(batch.rows)
        return None if n < 2 else (self._part(batch, slice(0, n // 2)), self._part(batch, slice(n // 2, n)))

    def _part(self, batch: Batch, which: slice) -> Batch:
        ids = batch.tensors["ids"][which]
        return Batch({"ids": ids}, ids[:, 1:].numel(), ids[:, 1:].numel(), batch.rows[which], batch.costs[which])

    def reconfigure(self, plan: Plan) -> None:
        self.plan = type(self.plan).model_validate(plan.model_dump())

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        self.aside = frozenset(heldout_rows)

    def starting_point(self) -> str:
        return ""

    def heldout(self) -> Iterator[Batch]:
        available = (len(self.corpus.heldout) - 1) // self.plan.max_length
        rows = np.unique(np.linspace(0, available - 1, min(HELDOUT_ROWS, available)).astype(int))
        rows, micro = rows[~np.isin(rows, list(self.aside))], self._at_once()
        for i in range(0, len(rows), micro):
            yield self._batch(self.corpus.heldout, rows[i : i + micro], 0)

    @property
    def cost_limit(self) -> int:
        return self.plan.token_budget

    def limit_cost(self, cost: int) -> dict[str, Any]:
        return {"token_budget": cost}

    def smaller_words(self, cost: int) -> str:
        return f"set “Row length” to {max(16, cost // 8 * 8):,} tokens"

    def worst_batch(self, cost: int = 0) -> None:
        """Every row is as long as the others: the first update shows what a step takes."""

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:  # noqa: ARG002  (whatever it is asked about)
        raise Unavailable("all of its weights learn, which the books do not cover", code="not_countable")

    def _at_once(self) -> int:
        """Rows of a micro-batch: the plan's, as far as its token budget allows."""
        allowed = self.plan.token_budget // self.plan.max_length or 1
        return min(self.plan.micro_batch, allowed) if self.plan.token_budget else self.plan.micro_batch

    def _batch(self, tokens: np.ndarray, rows: np.ndarray, offset: int) -> Batch:
        length = self.plan.max_length
        starts = np.minimum(rows * length + offset, len(tokens) - length - 1)
        ids = torch.from_numpy(np.stack([tokens[s : s + length + 1] for s in starts]).astype(np.int64)).to(self.device)
        count = ids[:, 1:].numel()
        return Batch({"ids": ids}, n_units=count, n_targets=count, rows=tuple(int(r) for r in rows), costs=(length,) * len(rows))

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        ids = batch.tensors["ids"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.precision == "bf16"):
            return self._loss(ids), batch.n_targets

    def _plain_loss(self, ids: Tensor) -> Tensor:
        hidden = self.model.model(ids[:, :-1]).last_hidden_state
        return F.cross_entropy(self.model.lm_head(hidden).flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum")

    def optimizer(self) -> Optimizers:
        return muon(self.model, self.plan) if self.plan.optimizer == "muon" else adamw(self.model.parameters(), self.plan)

    def state(self) -> dict[str, Tensor]:
        return dict(self.model.named_parameters())

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.model.load_state_dict(state, strict=False)

    @torch.no_grad()
    def _samples(self, count: int) -> tuple[Sample, ...]:
        """A few held-out openings continued; there is no “before” for a model that did not exist."""
        samples = []
        last = len(self.corpus.heldout) - OPENING  # the last place where a whole opening begins
        margin = min(MARGIN, max(0, last) // 4)
        for row in np.unique(np.linspace(margin, max(margin, last - margin), count).astype(int)):
            ids = torch.tensor(self.corpus.heldout[row : row + OPENING].astype(np.int64))[None].to(self.device)
            written = self.model.generate(ids, max_new_tokens=60, do_sample=False, pad_token_id=1)[0, ids.shape[1] :].tolist()
            decode = self.corpus.tokenizer.decode
            samples.append(Sample(prompt=decode(ids[0].tolist()), before="", after=decode(written)))
        return tuple(samples)

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:  # noqa: ARG002  (short, whatever the clock says)
        return self._samples(most)

    @torch.no_grad()
    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        """Bits per byte on held-out documents: loss in bits over the bytes those tokens stand for, so tokenizers compare."""
        nats = count = total_bytes = 0
        sizes = token_bytes(self.corpus.tokenizer)
        for batch in self.heldout():
            loss, n = self.loss(batch)
            nats, count = nats + loss.item(), count + n
            total_bytes += int(sizes[batch.tensors["ids"][:, 1:].cpu()].sum())
            if stop():
                break
        per_byte = nats / math.log(2) / max(total_bytes, 1)
        uniform = math.log2(self.plan.vocabulary) * count / max(total_bytes, 1)
        words = f"{per_byte:.3f} bits per byte on documents it never saw."
        score = Score(name="bits_per_byte", before=uniform, after=per_byte, n=count, difference=per_byte - uniform, words=words, main=True)
        note("going on from held-out openings", None)
        return Judgement("", words, (score,), samples=self._samples(3), conclusion=uncompared(words))

    def save(self, folder: Path) -> Artifact:
        """Hugging Face layout: weights in bf16, tokenizer, chat template."""
        refuse_broken(self.state(), "model")
        half: Any = LlamaForCausalLM(self.config())
        half.load_state_dict(self.model.state_dict())
        half.to(torch.bfloat16).save_pretrained(folder)
        write_tokenizer(folder, self.corpus.tokenizer, self.plan.context)
        return artifact_of(folder, "model", 0, digest(folder / "model.safetensors"))


def token_bytes(tokenizer: Any) -> Tensor:
    """Bytes each token id stands for [V]; special tokens stand for none."""
    sizes = [0] * tokenizer.get_vocab_size()
    for text, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if text in corpus.SPECIAL else len(text)  # byte-level BPE: one character per byte
    return torch.tensor(sizes)


def write_tokenizer(folder: Path, tokenizer: Any, context: int) -> None:
    """Tokenizer files as transformers reads them: end-of-turn, end-of-text and padding are three different tokens."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": corpus.END_OF_TURN,
        "pad_token": corpus.PAD,
        "unk_token": None,
        "additional_special_tokens": [corpus.END_OF_TEXT, corpus.START_OF_TURN],
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    (folder / "chat_template.jinja").write_text((DATA / "templates" / "chatml.jinja").read_text())
    generation = {"bos_token_id": 0, "eos_token_id": [3, 0], "pad_token_id": 1}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2))
