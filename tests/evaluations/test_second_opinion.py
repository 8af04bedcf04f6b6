"""The local judge: both orders, only what is said twice, silent when it flips; in a real llama.cpp and with a judge made for the test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loralab.core.errors import LabError
from loralab.core.paths import STARTER
from loralab.evaluations import Answered, Judging
from loralab.evaluations.shared import verdict
from loralab.evaluations.shared.second_opinion import Ask, LocalJudge, families, kin
from loralab.evaluations.text import entailment, judge
from loralab.sessions.evaluate_job import _judge_of
from loralab.tasks import parse_plan
from tests.evaluations.test_measures import answered
from tests.support import gguf_models

PLAN = parse_plan({"task": "text", "dataset": "x.csv"})
SESSION: Any = SimpleNamespace(model=SimpleNamespace(config=SimpleNamespace(model_type="llama", _name_or_path="")))


class Made:
    """A judge whose mind is known: it is given the question as text and says which option."""

    name, family = "made.gguf", frozenset({"qwen"})

    def __init__(self, mind: Any) -> None:
        self.mind, self.asked, self.closed = mind, [], False

    def choose(self, ask: Ask, options: Sequence[Sequence[str]]) -> int:
        self.asked.append(ask(2000))
        found = self.mind(self.asked[-1])
        assert 0 <= found < len(options)
        return found

    def close(self) -> None:
        self.closed = True


def polite(question: str) -> int:
    """Prefers the answer with “please” in it, wherever it stands; none where both or neither has it."""
    first, second = question.split("Answer A:\n")[1].split("Answer B:\n")
    has = ["please" in first, "please" in second.partition("Which answer")[0]]
    return 2 if has[0] == has[1] else has.index(True)


def judging(answers: Sequence[Answered], opinion: Any) -> Judging:
    return Judging(SESSION, PLAN, written=list(answers), judge=None if opinion is None else lambda: opinion)


def pairs(n: int = 20) -> list[Answered]:
    return [answered(f"Question {i}?", "Yes, please.", f"No {i}", f"Yes, please {i}", row=i) for i in range(n)]


# ---- pairwise --------------------------------------------------------------------------------------------------------------


def test_a_steady_judge_is_heard_and_its_flips_are_told() -> None:
    opinion = Made(polite)
    found = judge.measure(judging(pairs(), opinion))
    (score,) = found.scores
    assert (score.verdict, score.before, score.after, score.n, score.main) == ("better", 0.0, 1.0, 20, False)
    assert "changed its mind on 0 of 20 pairs" in score.words
    assert len(opinion.asked) == 40  # both orders
    assert found.tables["judge"] | {"words": ""} == {
        "name": "made.gguf",
        "pairs": 20,
        "asked": 20,
        "flips": 0,
        "flip_rate": 0.0,
        "silent": False,
        "words": "",
        "warning": "",
    }
    assert verdict.sentence(verdict.corrected([judge.EVALUATION], {"judge": found}))[0] == "cannot tell yet"  # never carries the verdict


def test_a_judge_that_always_takes_the_first_is_silent() -> None:
    found = judge.measure(judging(pairs(), Made(lambda _question: 0)))
    assert found.scores == ()
    assert found.tables["judge"]["flip_rate"] == 1.0
    assert "chooses a place and not an answer" in found.tables["judge"]["words"]


def test_the_threshold_is_thirty_per_cent_of_the_pairs_that_were_asked() -> None:
    def rows(flips: int, steady: int, same: int = 0) -> list[dict[str, Any]]:
        made = [{"row": i, "asked": True, "first": "before", "second": "after", "winner": ""} for i in range(flips)]
        made += [{"row": i, "asked": True, "first": "after", "second": "after", "winner": "after"} for i in range(steady)]
        return made + [{"row": i, "asked": False, "first": "tie", "second": "tie", "winner": "tie"} for i in range(same)]

    assert judge.heard(rows(3, 7), "x", "").scores[0].n == 7
    assert judge.heard(rows(4, 6), "x", "").scores == ()
    assert judge.heard(rows(4, 6, same=90), "x", "").scores == ()  # ties nobody was asked about do not dilute flips
    assert judge.heard([], "x", "").scores == ()


def test_ties_are_allowed_and_count_for_neither() -> None:
    same = [answered("Q?", "R", "the same", "the same", row=i) for i in range(5)]
    neither = [answered("Q?", "R", f"no {i}", f"nor {i}", row=10 + i) for i in range(5)]
    opinion = Made(polite)
    (score,) = judge.measure(judging([*same, *neither], opinion)).scores
    assert (score.before, score.after, score.verdict) == (0.0, 0.0, "no difference seen")
    assert len(opinion.asked) == 10  # nobody is asked about the same answer twice


def test_a_judge_of_the_students_own_family_is_warned_about() -> None:
    assert families("SmolLM2-1.7B-Instruct-Q4_K_M") == {"smollm"}
    assert families("DeepSeek-R1-Distill-Qwen-7B") == {"deepseek", "qwen"}
    opinion = Made(polite)
    assert kin(opinion, SESSION.model, "starter") == ""
    assert kin(opinion, SESSION.model, "Qwen/Qwen2.5-0.5B") == "qwen"
    opinion.family = frozenset({"llama"})
    found = judge.measure(judging(pairs(), opinion))
    assert "same family as the model it judges (llama)" in found.tables["judge"]["warning"]


def test_a_judge_that_breaks_in_the_middle_leaves_what_it_said() -> None:
    def breaking(question: str) -> int:
        if "Question 12?" in question:
            raise LabError("llama.cpp broke down.", "Try it again.")
        return polite(question)

    found = judge.measure(judging(pairs(), Made(breaking)))
    assert found.scores[0].n == 12
    assert "broke off before the end: llama.cpp broke down." in found.tables["judge"]["warning"]


def test_it_stops_when_asked_and_keeps_what_it_has() -> None:
    asked = judging(pairs(), Made(polite))
    asked.stop = lambda: len(asked.asked.asked) >= 10  # type: ignore[union-attr]
    assert judge.measure(asked).scores[0].n == 5


def test_without_a_judge_nothing_is_said_and_a_bad_file_is_a_sentence(tmp_path: Path) -> None:
    assert judge.measure(judging(pairs(), None)).tables == {}
    (tmp_path / "bad.gguf").write_bytes(b"GGUF no model")
    for path, words in ((tmp_path / "bad.gguf", "cut short, damaged"), (tmp_path / "gone.gguf", "There is no file gone.gguf")):
        asked = Judging(SESSION, PLAN, written=pairs(), judge=_judge_of(str(path)))
        found = judge.measure(asked)
        assert found.scores == ()
        assert words in found.tables["judge"]["words"]
        assert "Export it again" not in found.tables["judge"]["words"]  # it was the person's own file
        assert asked.asked is None


def test_without_llama_cpp_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.runtimes.llama import parent

    gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "tiny.gguf")
    monkeypatch.setattr(parent, "BACKENDS", ("no_such_binding",))
    asked = Judging(SESSION, PLAN, written=pairs(), judge=_judge_of(str(tmp_path / "tiny.gguf")))
    assert "llama.cpp is not installed" in judge.measure(asked).tables["judge"]["words"]


# ---- entailment ------------------------------------------------------------------------------------------------------------


def sourced(n: int = 12) -> list[Answered]:
    text = "This is the text of the message that a customer wrote to the bank about something that had happened to them, and it goes on: "
    return [answered(f"{text * 2} number {i}", f"number {i}", f"number {i + 100}", f"number {i}", row=i) for i in range(n)]


def careful(question: str) -> int:
    """Yes where the answer is the text's own last two words."""
    source, said = question.removeprefix("Text:\n").split("\n\nAnswer:\n")
    return 0 if source.endswith(f" {said.partition(chr(10))[0]}") else 1


def test_a_careful_judge_tells_what_the_text_bears_out() -> None:
    found = entailment.measure(judging(sourced(), Made(careful)))
    (score,) = found.scores
    assert (score.before, score.after, score.verdict) == (0.0, 1.0, "better")
    assert "said yes to 0 of 12" in found.tables["entailment"]["words"]


def test_a_judge_that_says_yes_to_everything_is_silent() -> None:
    found = entailment.measure(judging(sourced(), Made(lambda _question: 0)))
    assert found.scores == ()
    assert "says yes too easily" in found.tables["entailment"]["words"]


def test_without_a_source_nobody_is_asked() -> None:
    opinion = Made(careful)
    assert entailment.measure(judging(pairs(), opinion)).scores == ()
    assert opinion.asked == []


# ---- a real one ------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_the_starter_as_a_judge_in_llama_cpp_flips_and_is_silent(tmp_path: Path) -> None:
    """A model of a few million weights cannot judge; what matters is that this is noticed, and that it is asked as it says it is."""
    pytest.importorskip("xllamacpp")
    path = tmp_path / "starter.gguf"
    gguf_models.written(STARTER, path, "q8_0")
    asked = Judging(SESSION, PLAN, written=pairs(6), judge=lambda: LocalJudge(path))
    found = judge.measure(asked)
    opinion: Any = asked.asked
    try:
        assert found.scores == (), found.tables
        assert found.tables["judge"]["flip_rate"] > judge.FLIPS
        assert found.tables["judge"]["asked"] == 6
        long = opinion._fitting(lambda most: "word " * most)  # what does not fit is cut until it does
        assert len(long) <= opinion._room
        assert opinion.choose(lambda _most: "Say A.", judge.OPTIONS) in (0, 1, 2)
        ids = opinion._written("Say A.")
        assert np.allclose(opinion._runtime.tail(ids, len(ids) - 2), opinion._runtime.tail(ids, 0)[-2:], atol=1e-4)
        with pytest.raises(LabError, match="closed questions"):
            opinion.choose(lambda _most: "Say A.", (("A",), ("A",)))
    finally:
        opinion.close()
        opinion.close()
