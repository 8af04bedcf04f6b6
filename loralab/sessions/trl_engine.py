"""`engine = "trl"`: the same plan trained by TRL's SFTTrainer, as the reference our own loop is held against.

Invariants: TRL gets the very token ids, batches, starting weights, optimiser and learning rates our loop would use, and the forward
pass, the loss, the accumulation, the clipping and the update are TRL's; the events, the evaluations, the checkpoints and the ending are
our loop's own functions. Nothing is templated twice, packed, logged elsewhere or sent anywhere.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import __version__ as trl_version
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from loralab.core.events import Noted
from loralab.runs.run_folder import RunFolder
from loralab.sessions.text import TextSession
from loralab.tasks.text import TextPlan
from loralab.train import guard, loop
from loralab.train.state import Run

UNLEARNED = -100  # the label transformers leaves out of the loss


def train(plan: TextPlan, folder: RunFolder) -> dict[str, Any]:
    """Train `plan` with TRL to the same end our loop would come to; returns the run's result for its Ended event.

    A stopped or broken run goes on exactly where it was: to TRL what is left of a run is one long list of micro-batches.
    """
    session = TextSession(plan, folder)
    run = loop.prepare(session, plan, folder)
    run.watch.external_engine = True
    folder.emit(Noted(step=run.progress.step, text=f"Trained by the SFTTrainer of TRL {trl_version}.", phase="training"))
    if run.progress.step < run.total_steps:
        weights = {name: parameter.data for name, parameter in session.state().items()}
        with torch.random.fork_rng():  # a trainer reseeds dropout when it is made; a resumed run must not notice
            trainer = _Trainer(run, session)
        for name, parameter in session.state().items():
            parameter.data = weights[name]  # TRL halves the precision of a 4-bit model's adapter; ours stays fp32
        run.started = run.clock.now() - run.progress.seconds  # making a trainer takes seconds that are no part of the training
        trainer.train()
    return loop.finish(run)


@dataclass
class _Update:
    """The update under way, as it is computed."""

    begun: float = field(default_factory=time.monotonic)
    loss: float = 0.0
    norm: float = math.nan
    rate: float = 0.0
    rows: list[int] = field(default_factory=list)  # examples in it, as a person counts them
    tokens: int = 0


class _Trainer(SFTTrainer):
    """SFTTrainer over our batches, telling what TRL itself keeps or hides: each update's raw loss and gradient norm."""

    def __init__(self, run: Run, session: TextSession) -> None:
        self.run, self.update = run, _Update()
        self.session, self.batches = session, _Batches(run, session)
        optimizer = run.optimizer.parts[0]
        run.optimizer.set_factor(1.0)  # LambdaLR multiplies what it finds
        done = run.progress.step
        super().__init__(
            model=session.model,
            args=_arguments(run, session, self.batches.most),
            data_collator=DataCollatorForLanguageModeling(pad_token_id=session.encoder.pad_id),
            train_dataset=_dataset(session),
            processing_class=_tokenizer(session),
            optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: run.rate_factor(done + step))),
            callbacks=[_Told(self)],
        )
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Our micro-batches; a generator of its own, so that opening it draws no number from dropout's."""
        rows: Any = self.train_dataset
        return DataLoader(rows, batch_sampler=self.batches, collate_fn=self.data_collator, generator=torch.Generator())

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """The micro-batches of the next update; what is in it is noted."""
        found = super().get_batch_samples(epoch_iterator, num_batches, device)
        progress, session, chosen = self.run.progress, self.session, self.batches.chosen
        if progress.step_in_epoch == session.steps_per_epoch():
            progress.epoch, progress.step_in_epoch = progress.epoch + 1, 0
        scheduler: Any = self.lr_scheduler
        self.update = _Update(
            rows=[session.train_examples[i].row for i in chosen],
            tokens=sum(len(session.train_rows[i].ids) for i in chosen),
            rate=scheduler.get_last_lr()[0] / self.run.plan.learning_rate,
        )
        return found

    def training_step(self, *args: Any) -> Tensor:
        """One micro-batch; its loss is already divided by the targets of the whole update."""
        loss = super().training_step(*args)
        self.update.loss += loss.item()
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        norm: Any = super()._clip_grad_norm(model)
        self.update.norm = float(norm)
        if not guard.is_finite(self.run, self.update.loss, self.update.norm, self.update.rows):
            model.zero_grad(set_to_none=True)  # an optimiser leaves alone what has no gradient
        return norm

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""


class _Told(TrainerCallback):
    """After each update of TRL's: count it, tell it, evaluate, save and stop as our loop does."""

    def __init__(self, trainer: _Trainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:  # noqa: ARG002
        run, made = self.trainer.run, self.trainer.update
        seconds = time.monotonic() - made.begun
        loop.count_update(run, loss=made.loss, norm=made.norm, rate=made.rate, units=made.tokens, seconds=seconds)
        loop.evaluate_and_save(run)
        control.should_training_stop = bool(run.why) or run.progress.step >= run.total_steps


class _Batches:
    """Row numbers of every micro-batch from where the run is to its end, the same number of micro-batches in every update.

    TRL counts micro-batches to know where an update ends; one with fewer of them is filled up with a row that teaches nothing, which
    comes after the real ones. `chosen` are the rows of the update last begun.
    """

    def __init__(self, run: Run, session: TextSession) -> None:
        self.run, self.session, self.chosen = run, session, list[int]()
        self.most = max((len(self._parts(chosen)) for chosen in self._updates()), default=1)  # micro-batches of an update

    def __len__(self) -> int:
        return (self.run.total_steps - self.run.progress.step) * self.most

    def __iter__(self) -> Iterator[list[int]]:
        for chosen in self._updates():
            self.chosen = chosen
            parts = self._parts(chosen)
            yield from parts + [[len(self.session.train_rows)]] * (self.most - len(parts))

    def _updates(self) -> Iterator[list[int]]:
        """The rows of every update that is left."""
        epoch, start = self.run.progress.epoch, self.run.progress.step_in_epoch
        left = self.run.total_steps - self.run.progress.step
        while left > 0:
            for chosen in self.session.order(epoch)[start:][:left]:
                yield chosen
                left -= 1
            epoch, start = epoch + 1, 0

    def _parts(self, chosen: list[int]) -> list[list[int]]:
        """Rows computed at once: our loop's own micro-batches, so that the token budget holds here, too."""
        return self.session.micro_batches(self.session.train_rows, chosen)


def _dataset(session: TextSession) -> Dataset:
    """Rows as TRL wants them, and the filler as the last."""
    rows = [
        {"input_ids": row.ids, "labels": [i if learned else UNLEARNED for i, learned in zip(row.ids, row.learned, strict=True)]}
        for row in session.train_rows
    ]
    return Dataset.from_list([*rows, {"input_ids": rows[0]["input_ids"][:2], "labels": [UNLEARNED] * 2}])


def _tokenizer(session: TextSession) -> PreTrainedTokenizerFast:
    """TRL asks for a tokenizer though it has nothing to tokenise."""
    special = {name: session.encoder.special(name) or None for name in ("bos_token", "eos_token", "pad_token")}
    return PreTrainedTokenizerFast(tokenizer_object=session.encoder.tokenizer, **special)


def _arguments(run: Run, session: TextSession, micro_batches: int) -> SFTConfig:
    plan = run.plan
    return SFTConfig(
        output_dir=str(run.folder.checkpoints),
        max_steps=run.total_steps - run.progress.step,
        per_device_train_batch_size=plan.micro_batch,
        gradient_accumulation_steps=micro_batches,
        learning_rate=plan.learning_rate,
        max_grad_norm=plan.max_grad_norm or math.inf,  # a norm is always wanted
        seed=plan.seed,
        use_cpu=session.device.type == "cpu",
        bf16=False,  # precision is the model's own: TRL would otherwise compute in bf16 unasked
        fp16=False,
        gradient_checkpointing=False,
        max_length=None,  # examples are cut already
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
    )
