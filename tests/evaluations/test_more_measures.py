"""The measures beside the verdict: what the base makes of the answers, whether the question is taken up, whether a story stands still."""

from __future__ import annotations

from typing import Any

import pytest

from loralab.core.records import Example, Message
from loralab.evaluations import Answer, Answered, evaluations
from loralab.evaluations.shared import verdict
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import base_likelihood, coverage, inconsistency
from loralab.tasks import parse_plan
from tests.evaluations.test_measures import answered, examples
from tests.evaluations.test_measures import judging as without_model
from tests.support.judged import judging, pushed, session

__all__ = ["pushed", "session"]
PLAN = parse_plan({"task": "text", "dataset": "x.csv"})


# ---- likelihood of the answers under the base ------------------------------------------------------------------------------


def test_surprise_is_the_mean_loss_of_the_answer_under_the_bare_base(pushed: Any) -> None:
    import torch

    example = pushed.heldout_examples[0]
    prompt, reference = asked(example)
    said = Answered(example, prompt, reference, Answer("It is green.", True, 4), Answer("black coal", True, 3, ("default",)))
    (row,) = base_likelihood.measure(judging(pushed, written=[said])).rows
    for who, text in (("before", "It is green."), ("after", "black coal")):
        ids, new = pushed.encoder.prompt_ids(prompt), pushed.encoder.tokenizer.encode(text, add_special_tokens=False).ids
        with torch.no_grad(), pushed.model.disable_adapter():
            logs = pushed.model(input_ids=torch.tensor([ids + new])).logits[0, :-1].log_softmax(-1)
        wanted = -sum(float(logs[len(ids) - 1 + i, token]) for i, token in enumerate(new)) / len(new)
        assert row[f"{who}_surprise"] == pytest.approx(wanted, rel=1e-4)


def test_a_loop_the_base_finds_easy_is_degenerate_and_a_new_tone_is_not(session: Any) -> None:
    """Likely and repeated: a loop. Repeated and surprising, or likely and not repeated: none."""
    assert base_likelihood.circling([0.1, 0.1, 3.0, 3.0], [0.8, 0.0, 0.8, 0.0], 1.0) == [1.0, 0.0, 0.0, 0.0]
    loop, plain = "it is a small quick answer " * 6, "it is green and white, or a kind of blue"
    many = [
        Answered(e, asked(e)[0], asked(e)[1], Answer(plain, True, 9), Answer(loop, False, 30, ("default",)))
        for e in session.heldout_examples[:12]
    ]
    found = {s.name: s for s in base_likelihood.measure(judging(session, written=many)).scores}
    assert found["base_surprise"].verdict == ""  # told and not judged
    same = [Answered(a.example, a.prompt, a.reference, a.before, a.before) for a in many]
    healthy = {s.name: s for s in base_likelihood.measure(judging(session, written=same)).scores}
    assert (healthy["degenerate"].after, healthy["base_surprise"].difference) == (0.0, 0.0)
    assert healthy["degenerate"].verdict == "no difference seen"
    usual = 1e9  # a base that finds nothing surprising: the loop alone decides
    assert base_likelihood.circling([5.0], [base_likelihood.repeated(loop)], usual) == [1.0]


def test_an_empty_answer_has_no_likelihood(session: Any) -> None:
    assert base_likelihood.measure(judging(session, written=[answered("q", "It is so.", "", "Yes.")])).scores == ()


# ---- coverage --------------------------------------------------------------------------------------------------------------


def test_content_is_long_words_names_and_numbers() -> None:
    assert coverage.content("What are the symptoms of Lyme disease after 1,200 mg?") == {"sympto", "lyme", "diseas", "1200"}
    assert coverage.content("What is it?") == set()
    assert coverage.covered("Was ist eine Lungenentzündung?", "Lungenentzündungen sind häufig.") == pytest.approx(1 / 2)
    assert coverage.covered("Treat Lyme disease with 20 mg", "Diseases like Lyme: 20.") == pytest.approx(3 / 4)


def test_coverage_is_told_and_never_carries_a_verdict() -> None:
    question, parrot = "Which symptoms has pneumonia?", "Symptoms of pneumonia, which symptoms has pneumonia."
    many = [answered(question, "Pneumonia: cough, fever.", "I do not know.", parrot, row=i) for i in range(20)]
    found = coverage.measure(without_model(many))
    (score,) = found.scores
    assert (score.before, score.after, score.verdict) == (0.0, 1.0, "")
    assert "own answers take up 50 %" in score.words
    kept = verdict.corrected([coverage.EVALUATION], {"coverage": found})
    assert verdict.sentence(kept)[0] == "cannot tell yet"
    assert not any(s.main for s in kept)
    assert coverage.EVALUATION.fits(PLAN, examples(many))


def test_what_is_only_told_costs_the_others_nothing() -> None:
    """Holm divides by the number of questions asked; a number nobody asks for better or worse is none of them."""
    many = [answered("Which symptoms has pneumonia?", "Cough.", "cough", "fever and cough", row=i) for i in range(12)]
    told = coverage.measure(without_model(many))
    real = evaluations()["hygiene"].measure(without_model(many))
    fitting = [evaluations()["hygiene"], coverage.EVALUATION]
    alone = {s.name: s.p for s in verdict.corrected(fitting[:1], {"hygiene": real})}
    both = {s.name: s.p for s in verdict.corrected(fitting, {"hygiene": real, "coverage": told})}
    assert both.items() >= alone.items()


# ---- inconsistency ---------------------------------------------------------------------------------------------------------


def test_the_same_story_agrees_and_other_numbers_do_not() -> None:
    assert inconsistency.disagreement(["Take 20 mg twice."] * 5) == 0
    assert inconsistency.disagreement(["", ""]) == 0
    apart = inconsistency.disagreement(["The sky is blue.", "Snow fell over night"])
    numbers = inconsistency.disagreement(["It was founded in 1987.", "It was founded in 1912."])
    words = inconsistency.disagreement(["It was founded in 1987.", "It was founded in 1987!"])
    assert apart == 1
    assert 0.3 < numbers < apart
    assert words == 0
    assert 0 < inconsistency.disagreement(["空は青いです", "空は赤いです"]) < 1


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of a few tokens, so that a test takes seconds."""
    monkeypatch.setattr(inconsistency, "SIZE", 8)


def _questions(session: Any) -> list[Answered]:
    nothing = Answer("", True, 1)
    return [Answered(e, asked(e)[0], asked(e)[1], nothing, nothing) for e in session.heldout_examples]


@pytest.mark.worker
@pytest.mark.usefixtures("short")
def test_a_fresh_adapter_is_exactly_as_consistent_as_its_base(session: Any) -> None:
    told: list[str] = []
    found = inconsistency.measure(judging(session, written=_questions(session), note=lambda text, _f: told.append(text)))
    (score,) = found.scores
    assert (score.label, score.difference, score.verdict) == ("Inconsistency risk", 0.0, "no difference seen")
    assert "hallucination" not in f"{score.label}{score.words}{score.help}".lower()
    assert 0 < score.before < 1
    assert score.n == len(found.rows) <= inconsistency.PROMPTS
    assert set(told) == {"measuring: asking the same 5 times"}
    assert len(found.rows[0]["before_samples"]) == 5


@pytest.mark.usefixtures("short")
def test_samples_are_those_that_are_written_one_at_a_time(session: Any) -> None:
    from loralab.serve.generate import Sampling, collect, default_penalty, generate

    (row, *_), question = inconsistency.measure(judging(session, written=_questions(session)[:2])).rows, _questions(session)[0]
    session.model.eval()
    throws = [Sampling(8, inconsistency.TEMPERATURE, seed=i, repetition_penalty=default_penalty(session.model)) for i in range(5)]
    alone = [collect(generate(session.model, session.encoder, question.prompt, throw))[0] for throw in throws]
    assert row["after_samples"] == [inconsistency.shorten(text, 200) for text in alone]


@pytest.mark.worker
@pytest.mark.usefixtures("short")
def test_an_adapter_that_learned_one_answer_by_heart_is_called_steadier(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(inconsistency, "TEMPERATURE", 0.12)  # numbers of so small a model are nearly flat

    before = {name: tensor.detach().clone() for name, tensor in session.state().items()}
    optimizer = torch.optim.Adam(session.state().values(), lr=0.01)
    batch = session.batch(session.train_rows, [0], session.train_examples)
    session.model.train()
    for _ in range(100):
        optimizer.zero_grad()
        loss, count = session.loss(batch)
        (loss / count).backward()
        optimizer.step()
    try:
        (score,) = inconsistency.measure(judging(session, written=_questions(session))).scores
    finally:
        session.load_state(before)
    assert score.after < score.before
    assert score.verdict == "better"


@pytest.mark.worker
@pytest.mark.usefixtures("short")
def test_it_can_be_stopped_and_keeps_what_it_has_and_says_when_there_is_no_time(session: Any) -> None:
    told: list[float] = []
    stopping = judging(session, written=_questions(session), note=lambda _t, f: told.append(f or 0.0), stop=lambda: len(told) >= 2)
    stopped = inconsistency.measure(stopping)
    assert len(stopped.rows) == inconsistency.TOGETHER == stopped.scores[0].n
    hasty = inconsistency.measure(judging(session, written=_questions(session), seconds=1e-6))
    assert hasty.scores == ()
    assert "would have taken too long" in hasty.tables["inconsistency_not_measured"]


def test_it_is_asked_only_where_nothing_else_can_tell() -> None:
    def accepted(question: str, reference: str, label: str | None = None) -> bool:
        turns = (Message(role="user", content=question), Message(role="assistant", content=reference))
        return inconsistency.accepts([Example(row=i, messages=turns, label=label) for i in range(9)])

    long = "A cold is an infection of the nose and throat that passes by itself within about ten days or so."
    assert accepted("What is a cold?", long)
    assert not accepted("What is a cold?", "An infection")  # right or wrong can be read off
    assert not accepted("Where is my card?", long, label="card")
    assert not accepted("word " * 40, long)  # there is a source: what is in it and what is not can be pointed at
    assert not inconsistency.accepts([Example(row=1, text="a plain text " * 30)])
