"""The advisor's language model: a real llama.cpp with the bundled starter, and children that break in every way; the app goes on."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from advisor.advisor import Advisor
from advisor.assistant import models, prompts
from advisor.assistant.assistant import NOTHING, Assistant, options
from advisor.assistant.evidence import pack_of
from advisor.assistant.gguf_head import read_head
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.paths import CHECKOUT, STARTER
from loralab.lab import Lab
from loralab.runtimes.llama.parent import LlamaCpp
from loralab.runtimes.speech import local_model
from loralab.runtimes.speech.local_model import LocalModel, cores
from tests.advisor.test_assistant import POEM, is_measured
from tests.advisor.test_words import healthy, ran_away
from tests.conftest import until
from tests.support import gguf_models, judged_runs

pytestmark = pytest.mark.worker

HELLO = [{"role": "user", "content": "Tell me about the sea."}]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled starter as a GGUF, by our own exporter."""
    path = tmp_path_factory.mktemp("model") / "starter.gguf"
    gguf_models.written(STARTER, path, "f16")
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> Iterator[LocalModel]:
    made = LocalModel(file, "xllamacpp")
    yield made
    made.close()


# ---- a real model --------------------------------------------------------------------------------------------------------------
def test_it_speaks_word_by_word_and_can_be_stopped(model: LocalModel) -> None:
    whole = list(model.speak(HELLO, 24))
    assert len(whole) > 5
    words = model.speak(HELLO, 24)
    first = [next(words), next(words)]
    words.close()  # type: ignore[attr-defined]
    assert first == whole[:2]
    begun = model.speak(HELLO, 100)
    next(begun)
    model.cancel()
    assert list(begun) == []
    assert list(model.speak(HELLO, 24)) == whole, "it goes on as if nothing had happened"
    assert model.crashes == 0


def test_its_process_keeps_off_the_card_and_stands_back(model: LocalModel, file: Path) -> None:
    model.count(HELLO)
    assert model._child is not None
    child = psutil.Process(model._child.pid)
    if sys.platform == "linux":
        assert child.environ()["CUDA_VISIBLE_DEVICES"] == ""
        assert child.nice() == local_model.POLITE
    # In a process of its own: other tests of this one may have loaded llama.cpp.
    ask = (
        "import sys; from pathlib import Path; from loralab.runtimes.speech.local_model import LocalModel\n"
        "model = LocalModel(Path(sys.argv[1]));"
        "model.count([{'role': 'user', 'content': 'Hello'}]); model.close(); print('xllamacpp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", ask, str(file)], cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip().splitlines()[-1] == "False"
    assert cores(busy=True) <= max(1, cores(busy=False) // 2)


def test_labels_are_weighed_as_the_model_means_them(model: LocalModel, file: Path) -> None:
    asked = prompts.choice("what now?", "ABCD", ["one way", "another", "a third", "none"])
    told = model.weigh(asked, ("A", "B", "C", "D"))
    assert math.isclose(sum(math.exp(x) for x in told), 1.0, rel_tol=1e-3)
    assert model._child is not None
    ids = model._child.ask("chat_ids", messages=asked)[0]
    letters = [model._child.ask("tokenize", text=letter, added=False)[0][0] for letter in "ABCD"]
    reference = LlamaCpp(file, context=512, name="xllamacpp")
    try:
        row = reference.tail(ids, len(ids) - 1)[-1]
    finally:
        reference.close()
    wanted = row[letters] - np.log(np.exp(row[letters]).sum())
    assert np.abs(np.array(told) - wanted).max() < 0.05


def test_what_it_babbles_has_no_other_numbers_and_what_it_chooses_is_the_rules_own(model: LocalModel) -> None:
    for make in (healthy, ran_away):
        run = make()
        offered = {text() for text in options(run).values()}
        numbers = [float(row.value) for row in pack_of(run).rows if isinstance(row.value, int | float)]
        for question in (POEM, "hello", "what is the capital of France"):
            first, *parts = Assistant(model).answer(run, question)
            assert first.made_by == "rules"
            assert parts, "it chose something, said something, or it is told that it did not"
            for part in parts:
                if part.made_by == "model":
                    assert all(is_measured(n, numbers) for n in re.findall(r"\d+(?:\.\d+)?", part.text))
                elif part.text:
                    assert part.text.partition("\n")[2] in offered


def test_a_job_that_starts_takes_half_the_cores_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 8)
    busy = [False]
    one = LocalModel(file, "xllamacpp", busy=lambda: busy[0])
    try:
        one.count(HELLO)
        assert one._threads == 8
        first = one._child
        busy[0] = True
        one.count(HELLO)
        assert one._threads == 4
        assert one._child is not first
        last = one._child
        one.count(HELLO)
        assert one._child is last, "and it is not started again for nothing"
    finally:
        one.close()


# ---- everything that can go wrong ------------------------------------------------------------------------------------------------
FAULTS = ("dies", "hangs", "garbage", "huge", "no json", "a list", "no value", "says no", "stillborn")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_child_that_breaks_is_told_in_a_sentence_and_after_two_times_left_alone(
    file: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_model, "MODULE", "tests.support.bad_llama")
    bad = LocalModel(file, fault, patience=3.0)
    run = healthy()
    for _ in range(2):
        begun = time.monotonic()
        pieces = list(Assistant(bad).answer(run, POEM))
        assert time.monotonic() - begun < 15
        assert pieces[0].text.startswith("I do not know that. What I can answer")
        assert "broke down or took too long" in pieces[-1].note
        assert [piece for piece in pieces if piece.made_by == "model"] == []
    assert bad.crashes == 2
    assert "left alone" in list(Assistant(bad).answer(run, POEM))[-1].note
    assert bad._child is None


def test_a_child_that_never_ends_a_sentence_is_not_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_model, "MODULE", "tests.support.bad_llama")
    endless = LocalModel(file, "endless", patience=30.0)
    try:
        assert list(Assistant(endless).answer(healthy(), POEM))[-1].note == NOTHING
    finally:
        endless.close()


def test_a_person_who_does_not_want_to_wait_ends_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_model, "MODULE", "tests.support.bad_llama")
    slow = LocalModel(file, "hangs", patience=60.0)
    begun = time.monotonic()
    threading.Thread(target=lambda: until(lambda: slow._waiting) and slow.cancel(), daemon=True).start()
    with pytest.raises(Unavailable, match="stopped"):
        list(slow.speak(HELLO, 24))
    assert time.monotonic() - begun < 40
    assert slow.crashes == 0, "that was no breakdown"


def test_files_that_are_none_are_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not there"):
        LocalModel(tmp_path / "gone.gguf", "xllamacpp").count(HELLO)
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(UserError, match="not a GGUF file"):
        LocalModel(tmp_path / "text.gguf", "xllamacpp").count(HELLO)
    (tmp_path / "half.gguf").write_bytes(file.read_bytes()[:3_000_000])
    cut = LocalModel(tmp_path / "half.gguf", "xllamacpp")
    with pytest.raises(LabError, match="broke down"):
        cut.count(HELLO)
    assert next(iter(Assistant(cut).answer(healthy(), POEM))).made_by == "rules"


def test_with_nothing_to_run_it_the_rules_speak_and_say_what_is_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_model, "backend", lambda: "")
    pieces = list(Assistant(LocalModel(file)).answer(healthy(), POEM))
    assert pieces[0].made_by == "rules"
    assert "Add the part “llama.cpp”" in pieces[-1].note


# ---- which model -----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home folder."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setattr(Path, "home", lambda: folder)
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    return folder


def _put(path: Path, file: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.read_bytes())
    return path


def test_models_of_other_programs_are_found_and_speak_only_when_chosen(home: Path, user: Path, file: Path) -> None:
    _put(user / ".lmstudio" / "models" / "a" / "b" / "b.gguf", file)
    (user / ".lmstudio" / "models" / "a" / "b" / "mmproj-b.gguf").write_bytes(file.read_bytes())
    store = user / ".ollama" / "models"
    _put(store / "blobs" / f"sha256-{'a' * 64}", file)
    (store / "blobs" / f"sha256-{'b' * 64}").write_text("Apache License\nVersion 2.0")
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'a' * 64}"},
        {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'b' * 64}"},
    ]
    manifest = store / "manifests" / "registry.ollama.ai" / "library" / "small" / "1b"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"layers": layers}))
    escape = manifest.with_name("evil")
    escape.write_text(json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc"}]}))
    seen = models.local_models(home)
    assert {(one.place, one.name) for one in seen} == {("LM Studio", "tiny"), ("Ollama", "small:1b")}
    ollama = next(one for one in seen if one.place == "Ollama")
    assert "Apache License" in ollama.words
    assert "17 MB" in ollama.words
    assert models.chosen(home) is None, "nobody asked for it"
    models.pick(home, Path(ollama.path))
    assert models.chosen(home) == Path(ollama.path)
    models.pick(home, None)
    assert models.chosen(home) is None


def test_a_file_in_the_workspace_speaks_and_can_be_silenced(home: Path, user: Path, file: Path, lab: Lab) -> None:
    put = _put(models.models_dir(home) / "starter.gguf", file)
    assert models.chosen(home) == put
    (home / "runs").mkdir(exist_ok=True)
    judged_runs.write_run(home, "r", judged_runs.judgement())
    advisor = Advisor(lab)
    try:
        pieces = list(advisor.answer("r", POEM))
        assert len(pieces) > 1
        assert len(list(advisor.answer("r", POEM, rules_only=True))) == 1
    finally:
        advisor.assistant.close()
    models.pick(home, None)
    assert Advisor(lab).assistant.model is None
    put.unlink()
    with pytest.raises(UserError, match="no language model"):
        models.pick(home, home / "runs" / "r" / "job.json")


def test_a_file_that_lies_about_itself_is_passed_over(tmp_path: Path, file: Path) -> None:
    whole = file.read_bytes()
    assert read_head(file) is not None
    for number, raw in enumerate((b"", b"GGUF", whole[:40], b"GGUF" + b"\xff" * 500, whole[:4] + b"\x09" + whole[5:4000])):
        (tmp_path / f"{number}.gguf").write_bytes(raw)
        assert models.inspect_file(tmp_path / f"{number}.gguf", "picked") is None
