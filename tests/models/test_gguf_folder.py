"""A GGUF file becomes a model folder with the same logits and the same tokens, or is refused before anything is written."""

from __future__ import annotations

import json
import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from loralab.core.errors import UserError
from loralab.models.catalog import Catalog
from loralab.models.gguf import families, header, splitting
from loralab.models.gguf.unfold import look, unfold
from loralab.models.model_check import lost
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.llama.parent import LlamaCpp
from tests.support import gguf_models
from tests.support.gguf_models import HALF

pytestmark = pytest.mark.worker

TAKEN = ("llama", "llama_biases", "llama3", "llama_linear", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3")
REFUSED = ("phi", "gpt2", "falcon", "phi3_long")
WIDE = {"hidden_size": 256, "intermediate_size": 256}  # K-quants pack 256 numbers together
TEXT = "The quick brown fox, in 2024, jumped over 3 dogs! \n Naïve straße."


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Family and variant -> the file, made once."""
    made: dict[tuple[str, str], Path] = {}

    def make(family: str, variant: str = "f16", **changes: int) -> Path:
        if (family, variant) not in made:
            folder = tmp_path_factory.mktemp(f"{family}-{variant}")
            gguf_models.written(gguf_models.model_folder(folder / "model", family, **changes), folder / "tiny.gguf", variant)
            made[family, variant] = folder / "tiny.gguf"
        return made[family, variant]

    return make


def torch_logits(folder, ids):
    import torch

    from loralab.runtimes.base_model import load_base

    model = load_base(folder, "fp32", torch.device("cpu"), "eager")
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def centred(logits):
    """A runtime may give logits up to a constant."""
    return logits - logits.mean(-1, keepdims=True)


@pytest.mark.parametrize("family", TAKEN)
def test_file_to_folder_and_back_gives_equal_logits(packed, tmp_path, family):
    source = packed(family)
    unfold(source, tmp_path / "folder")
    encoder = TextEncoder(tmp_path / "folder")
    ids = encoder.tokenizer.encode(TEXT, add_special_tokens=False).ids
    ours = torch_logits(tmp_path / "folder", ids)
    reference = torch_logits(source.parent / "model", ids)
    assert np.abs(ours - reference).max() < HALF, "what was exported, sixteen bits later"
    gguf_models.written(tmp_path / "folder", tmp_path / "again.gguf", "f16")
    with closing(LlamaCpp(source, context=128)) as first, closing(LlamaCpp(tmp_path / "again.gguf", context=128)) as second:
        assert first.tokenize(TEXT, added=False) == ids == second.tokenize(TEXT, added=False)
        assert np.abs(centred(first.tail(ids, 0)) - centred(second.tail(ids, 0))).max() < 1e-5
    check = Catalog(tmp_path).check(str(tmp_path / "folder"))
    assert check.ok, check.words


@pytest.mark.parametrize("variant", ["f32", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"])
def test_squeezed_files_become_what_the_runtime_computes_with(packed, tmp_path, variant):
    source = packed("qwen3", variant, **WIDE)
    found = unfold(source, tmp_path / "folder")
    assert found.bits == {"f32": 0, "bf16": 0, "q8_0": 8, "q6_k": 6, "q5_k_m": 5, "q4_k_m": 4}[variant]
    ids = TextEncoder(tmp_path / "folder").tokenizer.encode(TEXT, add_special_tokens=False).ids
    gguf_models.written(tmp_path / "folder", tmp_path / "again.gguf", "f32")
    with closing(LlamaCpp(source, context=128)) as first, closing(LlamaCpp(tmp_path / "again.gguf", context=128)) as second:
        apart = np.abs(centred(first.tail(ids, 0)) - centred(second.tail(ids, 0))).max()
    # llama.cpp rounds what it multiplies squeezed or bf16 weights with to as few bits; the weights themselves are equal
    assert apart < (HALF if variant == "f32" else 0.4)


@pytest.mark.parametrize("family", REFUSED)
def test_what_is_not_known_is_refused_before_anything_is_written(packed, tmp_path, family):
    with pytest.raises(UserError) as error:
        unfold(packed(family), tmp_path / "folder")
    assert error.value.problem.code == "no_way_from_gguf"
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("kind", ["prepend", "bare"])
def test_a_sentencepiece_tokenizer_splits_as_llama_cpp_does(tmp_path, kind):
    gguf_models.model_folder(tmp_path / "model", vocab_size=700)
    gguf_models.sentencepiece(tmp_path / "model", kind)
    gguf_models.written(tmp_path / "model", tmp_path / "tiny.gguf", "f16")
    unfold(tmp_path / "tiny.gguf", tmp_path / "folder")
    ours = TextEncoder(tmp_path / "folder").tokenizer
    with closing(LlamaCpp(tmp_path / "tiny.gguf", context=64)) as runtime:
        for text in (TEXT, "a b  c", "1,234.5", "日本", "the the The", "x\n\ny\t"):
            assert runtime.tokenize(text, added=False) == ours.encode(text, add_special_tokens=False).ids, text
            assert runtime.tokenize(text, added=True) == ours.encode(text).ids, text


def spoiled(source: Path, target: Path, how) -> Path:
    raw = bytearray(source.read_bytes())
    how(raw)
    target.write_bytes(raw)
    return target


@pytest.mark.parametrize(
    "how",
    [
        lambda raw: raw.__delitem__(slice(len(raw) // 2, None)),
        lambda raw: raw.__delitem__(slice(40, None)),
        lambda raw: raw.__setitem__(slice(0, 4), b"PK\3\4"),
        lambda raw: raw.__setitem__(slice(8, 16), struct.pack("<Q", 1 << 60)),  # tensors without end
        lambda raw: raw.__setitem__(slice(24, 32), struct.pack("<Q", 1 << 62)),  # a name without end
    ],
    ids=["half", "head only", "a zip", "many tensors", "long name"],
)
def test_a_damaged_file_is_told_in_words(packed, tmp_path, how):
    with pytest.raises(UserError):
        look(spoiled(packed("llama"), tmp_path / "bad.gguf", how))


def test_a_file_named_as_base_model_is_unpacked_and_then_found(packed, home):
    source, catalog = packed("llama", "q8_0"), Catalog(home)
    before = catalog.check(str(source))
    assert (before.file, before.present, before.ok) == (True, False, False)
    assert "unpack" in before.words
    assert before.download_bytes > 0
    unfold(source, catalog.folder(str(source)))
    assert catalog.check(str(source)).ok
    assert {p.code for p in catalog.check(str(source.with_name("none.gguf"))).problems} == {"no_file"}


def test_the_honest_sentence_is_said_of_squeezed_files_only():
    assert lost(0) == ""
    assert "4 bits" in lost(4)
    assert "some of what" in lost(4)
    assert "a little" in lost(8)


def test_llama_3_s_stretching_is_found_again_or_refused(packed, tmp_path):
    found = families.settings(header.read(packed("llama3")))["rope_parameters"]
    wanted = json.loads((packed("llama3").parent / "model" / "config.json").read_text())["rope_parameters"]
    assert found["factor"] == pytest.approx(wanted["factor"])
    assert found["original_max_position_embeddings"] == wanted["original_max_position_embeddings"]


@pytest.mark.parametrize("pattern", splitting.BY_PATTERN.values())
def test_every_way_of_splitting_that_is_written_is_read(pattern):
    assert splitting.pre_tokenizer(pattern) is not None
    assert splitting.pre_tokenizer("a-name-from-next-year") is None
