"""Other trainers, each in its own environment and process: the very rows, adapter and batches that ours gets, the loop theirs.

    ENVIRONMENT/bin/python benchmarks/training/peers.py SETTINGS.json

Opened by path, so that nothing of ours is imported but `turns`. The rows lie in the order of the steps, which is ours: effective batches of
rows of like length, as `group_by_length` makes them. As shipped no trainer sorts by length: there the rows behind those that all engines
are compared on are shuffled. With `recipe` a trainer is given nothing but model and rows: everything else is what its own papers say.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from turns import Turns  # pyright: ignore[reportMissingImports]  (the file beside this one)

UNLEARNED = -100  # the label transformers leaves out of the loss
# the settings of LLaMA-Factory's own examples of LoRA (examples/train_lora, release 0.9.5); the other two have theirs as defaults in code
LLAMA_FACTORY_RECIPE = {
    "lora_rank": 8,
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "bf16": True,
}


def main() -> None:
    """Train as the settings say, in turns."""
    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    turns = Turns(settings["gradients"])
    torch.manual_seed(settings["seed"])
    _tell_losses(turns)
    engine = {"trainer": trainer, "trl": trl, "llamafactory": llamafactory}[settings["engine"]]
    data = rows(settings)
    each = [] if settings["recipe"] else sizes(data, settings["batch"])
    with contextlib.suppress(SystemExit):
        engine(settings, data, _InTurns(turns, each))


def rows(settings: dict[str, Any]) -> list[dict[str, list[int]]]:
    """Token ids and labels in the order of the steps."""
    found = json.loads(Path(settings["rows"]).read_text("utf-8"))
    made = [
        {
            "input_ids": row["ids"],
            "attention_mask": [1] * len(row["ids"]),
            "labels": [i if learned else UNLEARNED for i, learned in zip(row["ids"], row["learned"], strict=True)],
        }
        for row in found
    ]
    if settings["shipped"] and not settings["recipe"]:
        compared = settings["compared"] * settings["batch"]
        behind = made[compared:]
        random.Random(settings["seed"]).shuffle(behind)
        made[compared:] = behind
    return made


def sizes(data: list[dict[str, list[int]]], batch: int) -> list[tuple[int, int]]:
    """Tokens and learned tokens of every step."""
    each = [(len(row["input_ids"]), sum(label != UNLEARNED for label in row["labels"][1:])) for row in data]
    parts = [each[i : i + batch] for i in range(0, len(each), batch)]
    return [(sum(tokens for tokens, _ in part), sum(learned for _, learned in part)) for part in parts]


def trainer(settings: dict[str, Any], data: list[dict[str, list[int]]], told: Any) -> None:
    """Trainer of transformers over a PEFT model; rows of an update padded to the longest, nothing computed twice."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    collate = DataCollatorForSeq2Seq(_tokenizer(settings), label_pad_token_id=UNLEARNED)
    arguments = TrainingArguments(**_common(settings))
    _train(Trainer(_model(settings), arguments, data_collator=collate, train_dataset=_dataset(data), callbacks=[told.callback]))


def trl(settings: dict[str, Any], data: list[dict[str, list[int]]], told: Any) -> None:
    """SFTTrainer of TRL: its defaults, or nothing computed twice; with or without padding."""
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    best = {} if settings["shipped"] else {"gradient_checkpointing": False, "padding_free": settings["padding_free"]}
    arguments = SFTConfig(
        **_common(settings),
        **best,
        max_length=None,  # rows are cut already
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    tokenizer = _tokenizer(settings)
    _train(SFTTrainer(_model(settings), arguments, train_dataset=_dataset(data), processing_class=tokenizer, callbacks=[told.callback]))


def llamafactory(settings: dict[str, Any], data: list[dict[str, list[int]]], told: Any) -> None:
    """LLaMA-Factory's own run of its SFT stage, from rows that are tokens already; its defaults, or nothing computed twice."""
    from datasets import DatasetDict

    _without_sound()
    from llamafactory.train.tuner import run_exp  # pyright: ignore[reportMissingImports]  (of a peer's own environment)

    tokens = Path(settings["folder"]) / "tokens"
    DatasetDict({"train": _dataset(data)}).save_to_disk(str(tokens))
    chosen = _common(settings)
    if settings["recipe"]:
        chosen |= LLAMA_FACTORY_RECIPE
    else:
        chosen.pop("train_sampling_strategy")
        chosen |= {"adapter_name_or_path": settings["adapter"], "lora_rank": settings["rank"], "lora_alpha": settings["alpha"]}
        chosen |= {"disable_gradient_checkpointing": not settings["shipped"], "disable_shuffling": True}  # they are shuffled already
    chosen |= {"stage": "sft", "do_train": True, "finetuning_type": "lora", "lora_target": "all", "template": "default"}
    run_exp(chosen | {"model_name_or_path": settings["base"], "dataset": "rows", "tokenized_path": str(tokens)}, [told.callback])


def _without_sound() -> None:
    """LLaMA-Factory opens torchaudio whatever it trains. One built for cards cannot be opened beside a torch for processors: an empty
    one takes its place, which no text asks for anything.
    """
    try:
        import torchaudio  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
    except (ImportError, OSError):
        empty = ModuleType("torchaudio")
        empty.__spec__ = ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = empty


class _InTurns:
    """A trainer's callback that makes it wait for its turn."""

    def __init__(self, turns: Turns, sizes: list[tuple[int, int]]) -> None:
        from transformers import TrainerCallback

        class Told(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
                def save(asked: dict[str, Any]) -> dict[str, Any]:
                    model.save_pretrained(asked["path"])
                    return {}

                turns.answers["save"] = save
                turns.loaded(lambda: {name: p for name, p in model.named_parameters() if p.requires_grad}, updates=state.max_steps)
                turns.ready()

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
                turns.stepped(*(sizes[state.global_step - 1] if sizes else (0, 0)))

        self.callback = Told()


def _tell_losses(turns: Turns) -> None:
    """Each update's loss, which a trainer otherwise only keeps a mean of."""
    from transformers import Trainer

    step = Trainer.training_step

    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        loss = step(self, *args, **kwargs)
        turns.loss(float(loss))
        return loss

    Trainer.training_step = told


def _common(settings: dict[str, Any]) -> dict[str, Any]:
    """No writing of files beside the training, nothing sent; and, but for a recipe, what all engines are given alike."""
    quiet = {
        "output_dir": settings["folder"],
        "seed": settings["seed"],
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    if settings["recipe"]:
        return quiet
    return quiet | {
        "max_steps": settings["steps"],
        "per_device_train_batch_size": settings["batch"],
        "gradient_accumulation_steps": 1,
        "learning_rate": settings["learning_rate"],
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": settings["weight_decay"],
        "adam_beta1": settings["betas"][0],
        "adam_beta2": settings["betas"][1],
        "max_grad_norm": settings["max_grad_norm"],
        "bf16": settings["precision"] == "bf16",
        "fp16": False,
        "train_sampling_strategy": "sequential",  # the rows lie in order
    }


def _model(settings: dict[str, Any]) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(settings["base"], dtype="auto", local_files_only=True)
    if settings["recipe"]:
        return get_peft_model(base, LoraConfig(task_type="CAUSAL_LM"))
    return PeftModel.from_pretrained(base, settings["adapter"], is_trainable=True)


def _tokenizer(settings: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(settings["base"], local_files_only=True)


def _dataset(data: list[dict[str, list[int]]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(data)


def _train(made: Any) -> None:
    made._send_telemetry = lambda *_: None  # noqa: SLF001  nothing leaves the machine
    made.train()


if __name__ == "__main__":
    main()
