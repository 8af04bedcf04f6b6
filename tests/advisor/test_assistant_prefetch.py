"""Reading ahead, with a real llama.cpp: what is on the screen is read before anyone asks, never while a job runs; nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from advisor.advisor import Advisor
from advisor.assistant import loading, models, prefetch, prompts
from advisor.assistant.assistant import STOPPED, Voice
from advisor.assistant.evidence import pack_of
from advisor.assistant.prefetch import Ahead
from advisor.assistant.runtime.local_model import PIECE, LocalModel
from loralab.core.paths import STARTER
from loralab.lab import Lab
from tests.advisor.test_words import healthy, ran_away
from tests.conftest import until
from tests.support import gguf_models, judged_runs


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled starter as a GGUF, by our own exporter."""
    path = tmp_path_factory.mktemp("ahead") / "starter.gguf"
    gguf_models.written(STARTER, path, "f16")
    return path


@pytest.fixture
def model(file: Path) -> Iterator[LocalModel]:
    made = LocalModel(file, "xllamacpp")
    yield made
    made.close()


# ---- tokens --------------------------------------------------------------------------------------------------------------------
def test_a_second_question_reads_its_own_words_and_no_more(model: LocalModel) -> None:
    pack = pack_of(healthy())
    first = prompts.narration(pack, "Why did it stop?")
    whole = model.count(first)
    next(model.speak(first, 4))
    assert model.evaluated == whole, "the first is read in full"
    for question in ("How long?", "Is it good?", "What should I do next with this model?"):
        asked = prompts.narration(pack, question)
        list(model.speak(asked, 4))
        assert model.evaluated <= 0.2 * model.count(asked), (question, model.evaluated, model.count(asked))
    other = prompts.narration(pack_of(ran_away()), "Why did it stop?")
    list(model.speak(other, 4))
    assert model.evaluated > 0.4 * model.count(other), "another run is another text"


def test_what_was_read_ahead_is_kept_for_the_first_question(model: LocalModel) -> None:
    run = healthy()
    Voice(model).prepare(run)
    assert not model._asked
    asked = prompts.narration(pack_of(run), "Why did it stop?")
    list(model.speak(asked, 4))
    assert model.evaluated <= 0.2 * model.count(asked)
    assert model._asked


def test_reading_ahead_ends_within_a_piece(model: LocalModel) -> None:
    pack = pack_of(healthy())
    one, other = prompts.narration(pack, "a"), prompts.narration(pack, "b")
    answers = iter([True, True, False])
    assert model.read(one, other, lambda: next(answers)) == 2 * PIECE
    child = model._child
    assert 0 < model.read(one, other) <= model.count(one) - 2 * PIECE, "it goes on where it was"
    assert model.read(one, other) == 0, "and reads nothing twice"
    assert model._child is child
    assert model.crashes == 0


def test_enough_is_enough_also_while_an_answer_waits_for_what_is_read_ahead(model: LocalModel) -> None:
    run, voice = healthy(), Voice(model)
    model.count(prompts.narration(pack_of(run), "?"))
    child, held = model._child, threading.Event()
    reading = threading.Thread(
        target=lambda: model.read(prompts.narration(pack_of(run), "a"), prompts.narration(pack_of(run), "b"), slowly)
    )

    def slowly() -> bool:
        held.wait(20)
        return True

    reading.start()
    pieces = voice.answer(run, "tell me everything")
    next(pieces)
    threading.Timer(0.3, lambda: (voice.cancel(), held.set())).start()
    assert [piece.note for piece in pieces] == [STOPPED]
    reading.join(20)
    assert model._child is child, "the process was not ended for it"
    voice.cancel()
    voice.prepare(run)
    list(model.speak(prompts.narration(pack_of(run), "Why did it stop?"), 4))
    assert model.evaluated < 40, "to have had enough once stops nothing later"


# ---- when ----------------------------------------------------------------------------------------------------------------------
class Reads:
    """Notes what is read, for as long as it is wanted."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.whole: list[str] = []
        self.slow = threading.Event()

    def __call__(self, run: str, wanted: Callable[[], bool]) -> None:
        self.begun.append(run)
        while self.slow.is_set() and wanted():
            time.sleep(0.005)
        if wanted():
            self.whole.append(run)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    monkeypatch.setattr(prefetch, "SETTLE", 0.05)
    return Reads()


def test_a_run_that_stays_open_is_read_once(reads: Reads) -> None:
    one = Ahead(reads, lambda: False)
    for _ in range(5):
        assert one.open("a")
    one.rest(10)
    one.open("a")
    one.rest(10)
    assert reads.whole == ["a"]
    one.open("a", "finished")
    one.rest(10)
    assert reads.whole == ["a", "a"], "there is something else to read about it"


def test_whoever_looks_through_many_has_the_last_one_read(reads: Reads) -> None:
    one = Ahead(reads, lambda: False)
    for run in "abcde":
        one.open(run)
    one.rest(10)
    assert reads.begun == ["e"]
    reads.slow.set()
    one.open("f")
    assert until(lambda: reads.begun[-1] == "f", 10)
    one.open("g")
    assert until(lambda: reads.begun[-1] == "g", 10), "another run ends it"
    one.open("")
    one.rest(10)
    assert reads.whole == ["e"], "and so does a page without a run"


def test_a_job_ends_it_and_nothing_begins_while_it_runs(reads: Reads) -> None:
    job = threading.Event()
    one = Ahead(reads, job.is_set)
    reads.slow.set()
    one.open("a")
    assert until(lambda: reads.begun, 10)
    job.set()
    one.rest(10)
    assert reads.whole == []
    for _ in range(3):
        assert not one.open("b")
    one.rest(10)
    assert reads.begun == ["a"]
    job.clear()
    reads.slow.clear()
    one.open("b")
    one.rest(10)
    assert reads.whole == ["b"]


def test_in_a_workspace_nobody_waits_and_a_job_gets_the_memory(home: Path, lab: Lab, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "runs").mkdir(exist_ok=True)
    judged_runs.write_run(home, "r", judged_runs.judgement())
    models.pick(home, file)
    job = threading.Event()
    monkeypatch.setattr(loading, "busy", lambda _: job.is_set())
    advisor = Advisor(lab)
    model = advisor.voice.speaker
    assert isinstance(model, LocalModel)
    try:
        job.set()
        advisor.opened("r")
        time.sleep(1)
        assert model._child is None, "no process while a job runs"
        job.clear()
        begun = time.monotonic()
        advisor.opened("r")
        assert time.monotonic() - begun < 1
        advisor._ahead.rest(60)
        assert model._child is not None
        asked = prompts.narration(pack_of(advisor._known("r")), "Did it get better?")
        list(model.speak(asked, 4))
        assert model.evaluated <= 0.25 * model.count(asked)
        job.set()
        advisor.opened("r")
        assert model._child is not None, "somebody talks to it"
        model.close()
        job.clear()
        advisor.prepare("r")
        job.set()
        advisor.opened("r")
        assert model._child is None, "it only read ahead: the job has its memory"
    finally:
        advisor.voice.close()


def test_without_a_model_nothing_is_begun(home: Path, lab: Lab) -> None:
    (home / "runs").mkdir(exist_ok=True)
    judged_runs.write_run(home, "r", judged_runs.judgement())
    advisor = Advisor(lab)
    advisor.opened("r")
    assert "_ahead" not in advisor.__dict__
