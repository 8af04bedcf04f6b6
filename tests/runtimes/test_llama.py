"""llama.cpp as a runtime: it answers what torch answers, and its death is a sentence and never ours."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.paths import STARTER
from loralab.exports.gguf import proof, tokens
from loralab.exports.parity import reference
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.llama import parent
from tests.support import gguf_models

pytestmark = pytest.mark.worker

BINDINGS = [name for name in parent.BACKENDS if importlib.util.find_spec(name)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, TextEncoder]:
    folder = tmp_path_factory.mktemp("runtime")
    path = folder / "tiny.gguf"
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(folder / "base"), path)
    return path, model, encoder


@pytest.mark.parametrize("binding", BINDINGS)
def test_it_answers_as_torch_does(built: tuple[Path, Any, TextEncoder], binding: str) -> None:
    path, model, encoder = built
    wanted = reference.wanted_of(model, encoder)
    with gguf_models.running(path, name=binding) as runtime:
        assert runtime.name.startswith("llama.cpp (")
        told = runtime.tail(wanted.ids, 0)
        assert told.shape == (len(wanted.ids), model.config.vocab_size)
        assert told.dtype == np.float32
        assert np.abs(told - reference.log_softmax(wanted.logits)).max() < 5e-5
        part = runtime.logits(wanted.ids)
        known = part != np.inf
        assert np.abs(part[known] - told[known]).max() < 5e-5
        assert known.all(1)[[0, -1]].all(), "the first place and the last are told whole"
        assert binding == "llama_cpp" or (known.sum(1) == 64).sum() == len(wanted.ids) - 8, "the others by their likeliest tokens"
        assert np.where(known, part, -np.inf).argmax(1).tolist() == told.argmax(1).tolist()
        assert runtime.generate(encoder.prompt_ids(reference.CHATS[0]), reference.ANSWER) == wanted.answer
        assert runtime.generate(wanted.ids, 3) == runtime.generate(wanted.ids, 5)[:3]
        assert [runtime.tokenize(text, added=False) for text in reference.TEXTS] == [
            reference.plain_ids(encoder, t) for t in reference.TEXTS
        ]
        assert [runtime.chat_ids(chat) for chat in reference.CHATS] == [encoder.prompt_ids(chat) for chat in reference.CHATS]


def test_it_stops_where_the_model_ends_its_turn(tmp_path: Path) -> None:
    import torch

    from loralab.exports.gguf import recipe, writer
    from loralab.runtimes.base_model import load_base

    folder = gguf_models.model_folder(tmp_path / "base")
    encoder = TextEncoder(folder)
    model: Any = load_base(folder, "fp32", torch.device("cpu"))
    end = encoder.tokenizer.token_to_id("<|im_end|>")
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
        model.get_output_embeddings().weight[end] = model.get_output_embeddings().weight.new_ones(64)
        model.model.norm.weight.abs_()
        model.get_input_embeddings().weight.fill_(0.5)
    vocabulary = tokens.read(encoder, model.config.vocab_size)
    writer.write(tmp_path / "ends.gguf", model, vocabulary, recipe.VARIANTS["f32"], writer.Label("ends"))
    with gguf_models.running(tmp_path / "ends.gguf") as runtime:
        assert runtime.generate(encoder.prompt_ids(reference.CHATS[0]), 8) == reference.wanted_of(model, encoder).answer == [end]


def test_a_file_that_is_cut_short_or_no_gguf_is_told_before_llama_cpp_sees_it(built: tuple[Path, Any, TextEncoder], tmp_path: Path) -> None:
    whole = built[0].read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1000], whole[:100], b"GGUF", b"", b"not a model at all" * 100):
        (tmp_path / "bad.gguf").write_bytes(content)
        with pytest.raises(UserError, match="cut short, damaged"):
            parent.LlamaCpp(tmp_path / "bad.gguf")
    with pytest.raises(UserError, match="no file"):
        parent.LlamaCpp(tmp_path / "absent.gguf")
    with pytest.raises(UserError, match="no file"):
        parent.LlamaCpp(built[0], tmp_path / "absent-lora.gguf")


def test_a_file_that_llama_cpp_refuses_is_a_sentence_and_leaves_no_process(built: tuple[Path, Any, TextEncoder], tmp_path: Path) -> None:
    raw = built[0].read_bytes()
    name = b"general.architecture"
    at = raw.index(name) + len(name) + 4
    length = struct.unpack("<Q", raw[at : at + 8])[0]
    (tmp_path / "odd.gguf").write_bytes(raw[: at + 8] + b"zzzzz"[:length] + raw[at + 8 + length :])
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(LabError) as told:
        parent.LlamaCpp(tmp_path / "odd.gguf")
    assert told.value.problem.code in ("llama_refused", "llama_crashed")
    assert {child.pid for child in psutil.Process().children()} == before


def test_a_child_that_dies_in_the_middle_is_a_sentence(built: tuple[Path, Any, TextEncoder]) -> None:
    with gguf_models.running(built[0]) as runtime:
        assert runtime.tokenize("hello")
        runtime._child._process.kill()
        with pytest.raises(LabError, match="broke down") as told:
            runtime.tokenize("hello")
        assert told.value.problem.code == "llama_crashed"


def test_a_question_that_fails_leaves_the_child_alive(built: tuple[Path, Any, TextEncoder]) -> None:
    with gguf_models.running(built[0]) as runtime:
        with pytest.raises(LabError, match="could not do this"):
            runtime.generate([10**9], 3)
        assert runtime.tokenize("hello")


def test_closing_ends_the_child_and_may_be_done_twice(built: tuple[Path, Any, TextEncoder]) -> None:
    runtime = parent.LlamaCpp(built[0], context=256, name="xllamacpp")
    pid = runtime._child._process.pid
    runtime.close()
    runtime.close()
    assert not psutil.pid_exists(pid)


def test_without_a_binding_it_says_how_to_get_one(built: tuple[Path, Any, TextEncoder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "BACKENDS", ("no_such_binding",))
    assert parent.backend() == ""
    assert parent.packing_library() == ""
    with pytest.raises(Unavailable, match="one click under"):
        parent.LlamaCpp(built[0])


def test_a_binding_that_does_not_start_says_so(
    built: tuple[Path, Any, TextEncoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama_cpp.py").write_text("raise ImportError('a part is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable, match="does not start"):
        parent.LlamaCpp(built[0], name="llama_cpp")


def test_a_word_splitting_nobody_named_is_found_by_trying(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TextEncoder(STARTER)
    known = tokens.read(encoder, encoder.tokenizer.get_vocab_size())
    assert known.pre == "gpt-2"
    monkeypatch.setattr(proof, "OTHERS", ("no such name", "qwen2", "gpt-2", "smollm"))
    assert proof.settled(known.named(""), encoder).pre == "gpt-2"
    monkeypatch.setattr(proof, "OTHERS", ("qwen2", "falcon"))  # each right on most short texts
    with pytest.raises(LabError, match="other tokens"):
        proof.settled(known.named(""), encoder)
