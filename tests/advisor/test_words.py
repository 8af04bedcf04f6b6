"""The advisor in words, without a language model: stories, answers and notes of real run logs, readable, with the log's own numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from advisor.advisor import Advisor
from advisor.assistant.assistant import options
from advisor.assistant.evidence import MAX_ROWS, pack_of
from advisor.assistant.prompts import choice, narration
from advisor.diagnosis.case import of_view
from advisor.diagnosis.diagnose import diagnose
from advisor.words import intents
from advisor.words.annotations import MAX_LETTERS, notes
from advisor.words.answers import answer
from advisor.words.first import answer_first
from advisor.words.glossary import ENTRIES
from advisor.words.story import story
from advisor.words.summary import RunSummary
from loralab.core.events import Adjusted, Ended, Evaluated, Event, Incident, Measured, Noted, Saved, Started, Stepped, fold
from loralab.core.records import Artifact, Score
from tests.support import judged_runs

PLAN: dict[str, Any] = {"task": "text", "dataset": "messages.csv", "base_model": "starter"}
GRADE = 8.0


def run_summary(*events: Event, plan: dict[str, Any] | None = None) -> RunSummary:
    case = of_view(PLAN | (plan or {}), fold("r", events))
    return RunSummary(case, diagnose(case))


def steps(*losses: float, total: int = 0, begun: float = 1000.0) -> list[Event]:
    return [
        Stepped(
            step=n,
            time=begun + n,
            loss=x,
            grad_norm=1.0,
            learning_rate=2e-4,
            tokens=100,
            tokens_per_second=50,
            memory_bytes=10**9,
            total_steps=total or len(losses),
        )
        for n, x in enumerate(losses, 1)
    ]


def begun() -> list[Event]:
    return [Started(pid=1, time=1000.0), Measured(text="Learning.", n_train=240), Evaluated(split="base", loss=3.5, n=24)]


def ran_away() -> RunSummary:
    """A run that was made to go back twice and gave up."""
    return run_summary(
        *begun(),
        *steps(3.4, 3.0, 9.0, 12.0, total=40),
        Incident(step=4, code="diverged", text="The training ran away.", data={"heldout": 9.5}),
        Adjusted(step=4, setting="learning_rate", before=0.02, after=0.005, reason="the training ran away"),
        Ended(step=4, outcome="failed", code="diverged", what="The training ran away three times.", todo="Use a smaller learning rate."),
        plan={"learning_rate": 0.02},
    )


def healthy() -> RunSummary:
    looks = [Evaluated(step=n, loss=3.5 - 0.1 * n, n=24, best=True) for n in (5, 10, 15, 20)]
    return run_summary(
        *begun(),
        *steps(*[3.5 - 0.1 * n for n in range(20)]),
        *looks,
        Saved(step=20, artifact=Artifact(kind="adapter", path="a", step=20)),
        Ended(step=20, outcome="finished", result={"seconds": 125.0, "peak_memory_bytes": 2_400_000_000}),
    )


def ended_early() -> RunSummary:
    looks = [Evaluated(step=n, loss=x, n=24, best=n == 5) for n, x in ((5, 2.0), (10, 2.1), (15, 2.2), (20, 2.3))]
    why = "the held-out loss has not improved for 3 looks"
    note = Noted(step=20, text=f"Ended early: {why}. The best version, from update 5, is kept.", code="ended_early", why=why)
    return run_summary(*begun(), *steps(*[3.0] * 20, total=60), *looks, note, Ended(step=20, outcome="finished"))


def going_on() -> RunSummary:
    last = steps(3.0, 2.5, total=50)
    last[-1] = last[-1].model_copy(update={"seconds_left": 300.0})
    return run_summary(*begun(), *last)


RUNS = {"healthy": healthy, "ran away": ran_away, "early": ended_early, "going on": going_on, "empty": run_summary}


# ---- stories -----------------------------------------------------------------------------------------------------------------
def test_the_story_of_a_run_that_ran_away_says_what_why_what_was_done_and_what_to_do() -> None:
    told = story(ran_away())
    assert "240 examples" in told.happened
    assert "The training ran away three times." in told.happened
    assert "4 of 40 updates" in told.happened
    assert "too big" in told.evidence
    assert "0.02" in told.changed
    assert "learning rate of 0.00" in told.advice
    assert told.made_by == "rules"


def test_the_story_of_a_healthy_run_finds_nothing_wrong_and_names_its_gain() -> None:
    told = story(healthy())
    assert "20 updates in 2 minutes" in told.happened
    assert "fell from 3.50 to 1.50, 57 % less" in told.outcome
    assert not told.changed


def test_an_early_end_is_told_with_its_reason_and_the_version_that_was_kept() -> None:
    assert (
        "It ended early because the held-out loss has not improved for 3 looks. The best version, from update 5, was kept."
        in story(ended_early()).happened
    )


def test_nothing_is_said_of_what_was_not_measured() -> None:
    told = story(run_summary())
    assert told.text.startswith("This run has not begun yet.")
    for text in (told.text, *(answer(run_summary(), question) for question, _ in ASKED)):
        assert not re.search(r"\bnan\b|\binf\b|None", text), text


# ---- questions ---------------------------------------------------------------------------------------------------------------
ASKED = [
    ("why did it stop?", "stopped"),
    ("Why did my training fail", "stopped"),
    ("what went wrong??", "stopped"),
    ("what happened", "stopped"),
    ("why's it crashed", "stopped"),
    ("why did this run end so early?", "stopped"),
    ("What is the problem?", "stopped"),
    ("is anything wrong", "stopped"),
    ("why didn't it work", "stopped"),
    ("was there an error?", "stopped"),
    ("is 0.4 good?", "level"),
    ("Is a loss of 1.2 ok", "level"),
    ("is 85% good", "level"),
    ("is my loss too high", "level"),
    ("0.4 loss, is that good?", "level"),
    ("is the loss good?", "level"),
    ("what's a good loss", "level"),
    ("is 0,4 bad", "level"),
    ("is a learning rate of 0.001 too high?", "level"),
    ("how good is 0.3?", "level"),
    ("did it get better?", "better"),
    ("Did it learn anything?", "better"),
    ("was it a success", "better"),
    ("is it better now", "better"),
    ("did the training work", "better"),
    ("how did it go?", "better"),
    ("what is the result", "better"),
    ("is the model any good", "good_enough"),
    ("how long did it take?", "time"),
    ("How long", "time"),
    ("how many minutes was that", "time"),
    ("how much longer?", "time_left"),
    ("how long will it take", "time_left"),
    ("when will it be done?", "time_left"),
    ("ETA?", "time_left"),
    ("what should I do next?", "next"),
    ("what now", "next"),
    ("how can I fix it?", "next"),
    ("What do you recommend?", "next"),
    ("how do I make it better", "next"),
    ("should I change something", "next"),
    ("any tips?", "next"),
    ("what is a learning rate?", "term"),
    ("what's lora", "term"),
    ("what does overfitting mean?", "term"),
    ("explain epoch", "term"),
    ("what is a lerning rate", "term"),
    ("What are held-out examples", "term"),
    ("define gradient", "term"),
    ("loss?", "term"),
    ("what is the loss", "term"),
    ("what does rank do", "term"),
    ("whats a token", "term"),
    ("what is an epoc", "term"),
    ("which learning rate was used?", "setting"),
    ("what rank did it use", "setting"),
    ("what batch size was used", "setting"),
    ("which base model did you take", "setting"),
    ("what seed was set", "setting"),
    ("is it overfitting?", "overfit"),
    ("did it memorise my examples", "overfit"),
    ("does it learn them by heart", "overfit"),
    ("what did you change?", "changed"),
    ("was anything changed", "changed"),
    ("why did you lower the learning rate", "changed"),
    ("how do you know?", "evidence"),
    ("are you sure", "evidence"),
    ("what is the evidence", "evidence"),
    ("can I trust this", "evidence"),
    ("how much memory did it use", "memory"),
    ("why did it run out of memory", "memory"),
    ("why does the loss go up", "curve"),
    ("what is that spike", "curve"),
    ("why is the curve so noisy", "curve"),
    ("I see nan", "curve"),
    ("how many examples did it learn from", "data"),
    ("is my data enough", "more_data"),
    ("do I need more examples", "more_data"),
    ("why is it so slow", "speed"),
    ("can it be faster", "speed"),
    ("can I resume it?", "resume"),
    ("did I lose my work", "resume"),
    ("can it go on from there", "resume"),
    ("how do I use it now?", "use"),
    ("where is my model", "use"),
    ("can I export it to ollama", "use"),
    ("is it still running", "state"),
    ("status", "state"),
    ("how far is it", "state"),
    ("tell me the story of this run", "story"),
    ("summary please", "story"),
    ("who are you", "who"),
    ("are you an AI?", "who"),
    ("Warum hat es aufgehört?", "stopped"),
    ("Wieso wurde das Training abgebrochen", "stopped"),
    ("was ist schiefgelaufen?", "stopped"),
    ("Ist 0,4 gut?", "level"),
    ("Ist ein Verlust von 1.2 zu hoch?", "level"),
    ("Was soll ich ändern?", "next"),
    ("Wie lange dauert es noch?", "time_left"),
    ("Wie lange hat es gedauert?", "time"),
    ("Ist es besser geworden?", "better"),
    ("Hat es etwas auswendig gelernt?", "overfit"),
    ("Wie viele Beispiele waren es?", "data"),
    ("What does 4.79 mean?", "number"),
    ("Why does it say cannot tell?", "doubt"),
    ("Can I use it on my phone?", "where"),
    ("What does the orange triangle mean?", "mark"),
    ("Should I use a bigger model?", "bigger"),
    ("The poems are nonsense. What should I change?", "bad_answers"),
    ("How is it going?", "state"),
    ("Was bedeutet Verlust?", "term"),
    ("Soll ich ein größeres Modell nehmen?", "bigger"),
    ("What does usable mean?", "term"),
    ("Wie heißt die Hauptstadt von Frankreich?", "unknown"),
    ("what is the capital of France", "unknown"),
    ("write me a poem", "unknown"),
    ("", "unknown"),
    ("???", "unknown"),
    ("hello", "unknown"),
]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What does 1.50 mean?", "held-out loss after training"),
        ("What does the orange triangle mean?", "went back to its last good state"),
        ("What does “Tokens at once” mean?", "Tokens at once:"),
        ("What does “Why did it stop” mean?", "ended as planned"),
        ("Was bedeutet Verlust?", "answer in English"),
        ("Can I use it on my phone?", "Share tab"),
        ("is the model over fitted or what", "no sign of it"),
        ("asdf", "What should I do next?"),
    ],
)
def test_the_box_knows_what_is_on_the_screen_and_offers_the_nearest_question(question: str, said: str) -> None:
    assert said in answer(healthy(), question)


def test_a_measure_of_the_test_is_explained_by_its_own_name() -> None:
    score = Score(
        name="distinct_2", label="Varied words", help="Share of word pairs that occur once.", before=0.92, after=0.47, n=40, share=True
    )
    tested = run_summary(*begun(), *steps(3.0, 2.0), Evaluated(step=2, split="final", loss=2.0, n=40, scores=(score,)))
    assert "went from 92 % to 47 %" in answer(tested, "What does varied words mean?")


@pytest.mark.parametrize("state", ["", "waiting", "running", "finished", "stopped", "failed", "killed"])
def test_every_chip_fits_the_state_and_is_answered(state: str) -> None:
    offered = intents.chips(state)
    assert len(offered) == len(set(offered)) == 4
    if state in ("waiting", "running", ""):
        assert "Why did it stop?" not in offered
    for question in offered:
        assert (intents.understand(question).topic != "unknown") if state else ("I do not know" not in answer_first(question))


def test_before_the_first_run_it_answers_too_and_never_refuses() -> None:
    assert answer_first("How many examples do I need?").startswith("At least 9")
    assert "Text: yes" in answer_first("does it work with pictures")
    assert "adapter" in answer_first("what is lora")
    assert "What I can answer: “" in answer_first("hello")


@pytest.mark.parametrize(("question", "topic"), ASKED)
def test_a_question_is_understood(question: str, topic: str) -> None:
    assert intents.understand(question).topic == topic


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_every_question_has_an_answer_that_can_be_read(make: Any) -> None:
    run = make()
    for question, _ in ASKED:
        said = answer(run, question)
        assert said.strip()
        assert not re.search(r"  |\.\.(?!\.)|\{|\}| ,| \.", said), said


def test_is_it_good_is_answered_by_what_was_before_not_by_a_feeling() -> None:
    run = healthy()
    assert "Before training it was 3.50, so this is 89 % less" in answer(run, "is 0.4 good?")
    assert "worse than before" in answer(run, "is 4.2 good?")
    assert "about the same" in answer(run, "is 3.5 ok?")
    assert f"about {math.exp(-0.4):.0%}".replace("%", " %") in answer(run, "is 0.4 good?")
    assert "very high" in answer(run, "is a learning rate of 0.01 good?")
    assert "usual one" in answer(run, "is a learning rate of 0.0002 good?")


def test_answers_name_what_this_run_did() -> None:
    assert "It used up to 2.4 GB" in answer(healthy(), "how much memory did it use")
    assert "It trained for 2 minutes and made 20 updates" in answer(healthy(), "how long")
    assert "About 5 minutes more" in answer(going_on(), "when will it be done")
    assert "0.02" in answer(ran_away(), "what did you change?")
    assert "got worse 3 times in a row" in answer(ended_early(), "is it overfitting") or "sign" in answer(
        ended_early(), "is it overfitting"
    )
    assert "240 examples" in answer(healthy(), "how many examples did it learn from")


def test_of_a_run_in_a_workspace_and_judged(lab: Any, home: Path) -> None:
    (home / "runs").mkdir(exist_ok=True)
    judged_runs.write_run(home, "good", judged_runs.judgement())
    advisor = Advisor(lab)
    pieces = list(advisor.answer("good", "did it get better?"))
    assert [piece.made_by for piece in pieces] == ["rules"]
    assert pieces[0].text.startswith("Yes. Of 24 messages")
    assert "better than before" in advisor.story("good").outcome
    assert "about what the model could do" not in answer(advisor._summary("good"), "is 83 % good?")
    assert "83 % is better than before training" in answer(advisor._summary("good"), "is 83 % good?")


# ---- charts and evidence -----------------------------------------------------------------------------------------------------
def test_charts_are_marked_where_something_happened() -> None:
    marks = notes(ran_away())
    assert (4, "the training ran away", "trouble") in [(m.step, m.text, m.kind) for m in marks]
    assert any(m.kind == "change" and m.text == "smaller corrections" for m in marks)
    assert any(m.text == "ended early: no more gain" for m in notes(ended_early()))
    assert any((m.step, m.kind) == (5, "best") for m in notes(ended_early()))
    assert notes(run_summary()) == ()
    assert all(len(m.text) <= MAX_LETTERS for make in RUNS.values() for m in notes(make()))


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS.keys())
def test_the_evidence_pack_is_small_and_numbers_only(make: Any) -> None:
    pack = pack_of(make())
    assert len(pack.rows) <= MAX_ROWS
    assert all(isinstance(row.value, int | float) and math.isfinite(row.value) for row in pack.rows)


def test_no_example_gets_into_a_prompt(lab: Any, home: Path) -> None:
    (home / "runs").mkdir(exist_ok=True)
    judged_runs.write_run(home, "r", judged_runs.judgement())
    run = Advisor(lab)._summary("r")
    titles = list(options(run))
    asked = str(narration(pack_of(run), "?")) + str(choice("?", ascii_uppercase, titles + ["?"] * (26 - len(titles))))
    assert not re.search("where is it|refund|card lost|onerror|img", asked)


# ---- readable ----------------------------------------------------------------------------------------------------------------
def syllables(word: str) -> int:
    found = len(re.findall(r"[aeiouy]+", word.lower().removesuffix("e") if len(word) > 3 and not word.endswith("le") else word.lower()))
    return max(1, found)


def grade(text: str) -> float:
    """Flesch and Kincaid's grade: years of school a reader needs."""
    sentences = max(1, len(re.findall(r"[.!?](?:\s|$)", text)))
    words = re.findall(r"[A-Za-z][A-Za-z'’-]*|\d[\d.,]*", text)
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / max(1, len(words)) - 15.59


def test_the_count_itself_knows_easy_from_hard() -> None:
    assert grade("The cat sat on the mat. It was glad to be there.") < 2
    assert grade("Notwithstanding considerable methodological heterogeneity, interpretability necessitates regularisation.") > 20


def test_a_twelve_year_old_can_follow() -> None:
    told = {name: grade(story(make()).text) for name, make in RUNS.items()}
    assert max(told.values()) <= GRADE, told
    said = " ".join(answer(make(), question) for make in RUNS.values() for question, _ in ASKED)
    assert grade(said) <= GRADE
    assert grade(" ".join(meaning for _, _, meaning in ENTRIES)) <= GRADE
