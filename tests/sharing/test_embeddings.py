"""Texts as numbers over the sharing server: OpenAI's shape, other people's clients, and the very model that answers."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from loralab.core import served
from loralab.lab import Lab
from loralab.runs import runs
from loralab.serve import client as chat
from tests.conftest import until
from tests.support.shared_runs import RUN, exported_gguf, planted

pytestmark = pytest.mark.worker

TEXTS = ["What is the colour of grass?", "Green.", "A longer text about the weather, the sea and a boat. " * 3]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("numbers") / "LoRALab"
    home.mkdir()
    planted(home)
    lab = Lab(home)
    lab.deploy(RUN, "poet")
    lab.serve()
    yield lab
    lab.stop_serving()
    chat.release(home)
    until(lambda: not any(runs.view(home, run).active for run in runs.list_runs(home)))


def client_of(lab: Lab) -> openai.OpenAI:
    server = lab.serving()
    assert server is not None
    return openai.OpenAI(base_url=f"{server.here}/v1", api_key=lab.owner_key(), max_retries=0, timeout=120)


def by_hand(folder: Path, text: str, adapter: Path | None = None) -> list[float]:
    """The mean of the last hidden states, by transformers and PEFT alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = PeftModel.from_pretrained(model, str(adapter)).eval() if adapter else model
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        last = model(**tokens, output_hidden_states=True).hidden_states[-1][0]
    return torch.nn.functional.normalize(last.mean(0), dim=0).tolist()


def cosine(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_openais_client_gets_what_the_model_reads(lab):
    """With the adapter and without; as floats and in base64; each text in its place, of length one, with its tokens."""
    client, base = client_of(lab), lab.home / "models" / "base"
    told = client.embeddings.create(model="poet", input=TEXTS)  # the client asks for base64 by itself
    plain = client.embeddings.create(model="base", input=TEXTS, encoding_format="float")
    assert [one.index for one in told.data] == [0, 1, 2]
    adapter = lab.home / "runs" / RUN / "artifacts" / "adapter"
    for at, text in enumerate(TEXTS):
        assert cosine(told.data[at].embedding, by_hand(base, text, adapter)) == pytest.approx(1, abs=1e-5)
        assert cosine(plain.data[at].embedding, by_hand(base, text)) == pytest.approx(1, abs=1e-5)
        assert math.hypot(*told.data[at].embedding) == pytest.approx(1, abs=1e-5)
    assert cosine(told.data[0].embedding, plain.data[0].embedding) < 0.999, "the adapter takes part"
    assert told.usage.prompt_tokens == told.usage.total_tokens > 10
    assert told.model_extra is not None
    assert told.model_extra["adapter"] is True
    assert (plain.model_extra or {})["adapter"] is False
    raw: Any = client.embeddings.create(model="poet", input=TEXTS[0], encoding_format="base64").data[0].embedding
    numbers = base64.b64decode(raw)
    assert struct.unpack(f"<{len(numbers) // 4}f", numbers) == pytest.approx(told.data[0].embedding, abs=1e-6)


def test_langchains_client_finds_the_same_text_again(lab):
    langchain: Any = pytest.importorskip("langchain_openai")
    server = lab.serving()
    model = langchain.OpenAIEmbeddings(
        base_url=f"{server.here}/v1", api_key=lab.link("poet")[0].token, model="poet", check_embedding_ctx_length=False
    )
    known, asked = model.embed_documents(TEXTS), model.embed_query(TEXTS[1])
    assert max(range(3), key=lambda at: cosine(known[at], asked)) == 1
    tokens = langchain.OpenAIEmbeddings(base_url=f"{server.here}/v1", api_key=lab.owner_key(), model="poet", tiktoken_enabled=True)
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
        tokens.client.create(model="poet", input=[[1, 2, 3]])


def test_what_cannot_be_turned_into_numbers_is_said_in_words(lab):
    client = client_of(lab)
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"dimensions": 8}, "dimensions_unsupported", "Leave dimensions out"),
        ({"input": [[5, 6]]}, "tokens_unsupported", "Send texts"),
        ({"input": ["x", " "]}, "no_text", "empty"),
        ({"input": []}, "bad_request", "input"),
        ({"input": ["x"] * 129}, "too_many_texts", "At most 128"),
        ({"input": "word " * 3000}, "too_long", r"15,000 tokens; this model reads 256 at once"),
        ({"encoding_format": "int8"}, "bad_request", "encoding_format"),
    ]
    for given, code, words in cases:
        with pytest.raises(openai.BadRequestError, match=words) as caught:
            client.embeddings.create(**{"model": "poet", "input": "x", **given})
        assert caught.value.code == code
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="nobody", input="x")
    assert client.embeddings.create(model="poet", input="x").data, "and the next is answered"
    until(lambda: {("poet", "embeddings", ""), ("poet", "embeddings", "400")} <= _counted(lab))


def _counted(lab: Lab) -> set[tuple[str, str, str]]:
    """What the server wrote down of what it answered."""
    return {(one.model, one.operation, one.error) for one in served.read(lab.home).asked}


def test_a_file_for_llama_cpp_reads_as_the_model_it_was_made_of(lab):
    """Several texts in one request, too, each on its own; beside it the same file still writes."""
    exported_gguf(lab.home)
    client, name = client_of(lab), lab.deploy(RUN, "file", format="gguf").id
    told = client.embeddings.create(model=name, input=TEXTS, encoding_format="float")
    for one, text in zip(told.data, TEXTS, strict=True):
        assert cosine(one.embedding, by_hand(lab.home / "models" / "base", text)) > 0.999
    with pytest.raises(openai.BadRequestError, match="this model reads"):
        client.embeddings.create(model=name, input="word " * 6000)
    said = client.chat.completions.create(model=name, messages=[{"role": "user", "content": TEXTS[0]}], max_tokens=5)
    assert said.choices[0].message.content
