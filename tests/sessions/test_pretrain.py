"""How the starter is made, small: a corpus becomes a tokenizer and a model in the real worker, and that model learns to chat."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from loralab.core.errors import UserError
from loralab.core.paths import STARTER
from loralab.lab import Lab
from loralab.runs import runs
from loralab.sessions import corpus
from loralab.sessions.pretrain import PretrainSession
from loralab.tasks.pretrain import PretrainPlan
from loralab.train.optim import factor
from tests.support import models

pytestmark = pytest.mark.worker

SHAPE: dict[str, Any] = {
    "vocabulary": 600,
    "hidden": 64,
    "feed_forward": 128,
    "layers": 1,
    "heads": 2,
    "kv_heads": 1,
    "context": 64,
    "max_length": 64,
}
WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "saw", "12", "dogs", "run", "to", "old", "red", "house", "by", "sea", "we", "all")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    chance = random.Random(3)
    documents = [{"text": f"Tale {i}.\n\n" + " ".join(chance.choice(WORDS) for _ in range(120)) + "."} for i in range(120)]
    path.write_text("".join(json.dumps(d) + "\n" for d in documents), "utf-8")
    return path


def pretrain(lab: Lab, text: Path, **settings):
    plan = {
        "task": "pretrain",
        "dataset": str(text),
        "heldout_share": 0.2,
        "max_steps": 30,
        "micro_batch": 8,
        "effective_batch": 8,
        **SHAPE,
    }
    run = lab.start({**plan, **settings})
    view = lab.wait(run)
    assert view.state == "finished", (runs.folder(lab.home, run) / "worker.log").read_text("utf-8")[-2000:]
    return view


def model_of(view) -> Path:
    return Path(next(a.path for a in reversed(view.artifacts) if a.kind == "model"))


def test_a_corpus_becomes_a_model_that_everyone_can_load_and_then_learns_to_chat(lab, text, tmp_path):
    made = pretrain(lab, text)
    assert made.evaluations[-1].loss < made.evaluations[0].loss - 0.5
    folder = model_of(made)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(corpus.END_OF_TEXT)}
    assert ends == {1, 3, 0}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([tokenizer("the cat sat on the mat")["input_ids"]])
    assert model(ids, labels=ids).loss < 6

    chats = tmp_path / "chats.jsonl"
    rows = [{"messages": [{"role": "user", "content": f"Tale {i}?"}, {"role": "assistant", "content": "the cat sat"}]} for i in range(60)]
    chats.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    plan = {"task": "full", "dataset": str(chats), "base_model": str(folder), "max_length": 64, "epochs": 5, "learning_rate": 3e-3}
    run = lab.start(plan)
    tuned = lab.wait(run)
    assert tuned.state == "finished", (runs.folder(lab.home, run) / "worker.log").read_text("utf-8")[-2000:]
    assert tuned.evaluations[-1].loss < 0.5 * tuned.evaluations[0].loss
    before, after = (load_file(model_of(view) / "model.safetensors") for view in (made, tuned))
    assert all(not torch.equal(before[name], after[name]) for name in before if before[name].ndim == 2)
    assert "cat sat" in tuned.samples[0].after


def test_a_model_is_gone_on_from_where_it_was(lab, text):
    first = pretrain(lab, text, max_steps=40)
    again = pretrain(lab, text, max_steps=1, base_model=str(model_of(first)))
    assert again.evaluations[0].split == "base"
    assert abs(again.evaluations[0].loss - first.evaluations[-2].loss) < 0.1  # kept in bf16, and trained by the same tokenizer


def test_a_model_is_gone_on_from_with_its_own_tokenizer_on_another_corpus(lab, text, tmp_path):
    first = model_of(pretrain(lab, text, max_steps=2))
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({"text": f"{i} zebras quietly examine quartz. " * 30}) + "\n" for i in range(40)), "utf-8")
    again = model_of(pretrain(lab, other, max_steps=2, base_model=str(first)))
    assert (again / "tokenizer.json").read_text("utf-8") == (first / "tokenizer.json").read_text("utf-8")
    run = lab.start({"task": "pretrain", "dataset": str(other), **SHAPE, "tokenizer": str(STARTER)})
    ending = lab.wait(run).ending
    assert ending is not None
    assert (ending.code, ending.todo) == ("other_tokenizer", "Set vocabulary to 8192.")


def test_samples_of_a_small_corpus_are_whole_openings_of_it(text, tmp_path):
    few = tmp_path / "few.jsonl"
    few.write_text("".join(text.read_text("utf-8").splitlines(keepends=True)[:40]), "utf-8")
    plan = PretrainPlan(dataset=str(few), heldout_share=0.1, **SHAPE)
    session = PretrainSession(plan, models.run_folder(tmp_path / "run", plan, tmp_path))
    heldout = session.corpus.heldout
    assert 32 < len(heldout) < 1000
    samples = session._samples(3)
    whole = session.corpus.tokenizer.decode(heldout.tolist())
    assert len(samples) == 3
    assert all(len(sample.prompt) > 32 and sample.prompt in whole for sample in samples)


def test_the_schedule_is_what_its_help_says():
    plan = PretrainPlan()
    falls = next(step for step in range(1000) if factor(plan, step / 1000, 0.0) < 1)
    assert (falls, "last quarter" in str(PretrainPlan.model_fields["schedule"].description)) == (751, True)


def test_whole_documents_are_held_out_and_adding_one_moves_no_other(text, tmp_path):
    built = corpus.build(text, tmp_path, 600, 0.2, lambda phase, fraction: None)
    aside = [t for t in corpus.documents(text) if corpus.is_heldout(t, 0.2)]
    assert built.n_documents == 120
    assert 8 <= built.n_heldout_documents == len(aside) <= 45
    decode = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).decode
    learned = decode(built.train.tolist(), skip_special_tokens=True)
    assert all(t.split("\n")[0] not in learned.splitlines() for t in aside)
    assert len(built.train) > 3 * len(built.heldout)


def test_a_line_without_text_is_named(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "fine"}\n{"words": "no"}\n', "utf-8")
    with pytest.raises(UserError, match="Line 2"):
        list(corpus.documents(path))


@pytest.mark.parametrize("text", ["It's 2024, isn't it?  Yes:\n\n  two  spaces, tabs\tand 中文 — “quotes” 😀.", "", "\r\n \n"])
def test_the_tokenizer_gives_back_every_byte(tmp_path, text):
    path = tmp_path / "c.jsonl"
    path.write_text(json.dumps({"text": "a few words to learn pieces from, again and again " * 50}) + "\n", "utf-8")
    tokenizer = corpus.train_tokenizer(path, 512)
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
