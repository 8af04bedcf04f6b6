"""The home of a run as markup: two answers as the verdict has them, three questions before and now, one next step, and two runs at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from advisor.proposals.next_step import NextStep
from advisor.proposals.pilots import Arm, Offer
from loralab.core.errors import UserError
from loralab.core.events import RunView, Started, Wondered, append
from loralab.core.questions import AnswerAt, Question
from loralab.core.records import Sample
from loralab.core.verdict import Verdict
from loralab.lab import Lab
from loralab.runs.runs import add
from tests.support.judged_runs import HARM, judgement, write_run
from ui.tabs.evaluate.acts import Gone
from ui.tabs.evaluate.head import Typed, head_html
from ui.tabs.evaluate.home import Home, five_of
from ui.tabs.evaluate.judged import Found, found_of
from ui.tabs.evaluate.more import comparison_html
from ui.tabs.evaluate.result import answers_html, as_wanted, asked_of, five_html, next_html, questions_html, worst_html
from ui.tabs.evaluate.rows_view import rows_fold
from ui.tabs.evaluate.trying import Trial

SAID = Verdict(learned="yes", learned_words="41 of 45 right.", usable="yes", usable_words="It sorts most.", but="It forgot small talk.")
STEP = NextStep(run="r", rule="undertrained", words="Train about twice as long.", why="It still got better.", settings={}, seconds=240)


def asked_while_learning(n: int = 5, last: float = 1.0) -> RunView:
    questions = tuple(
        Question(prompt=f"Q{i}", reference="refund", answers=(AnswerAt(share=0, text="no idea"), AnswerAt(share=last, text="refund")))
        for i in range(n)
    )
    return RunView(run="r", questions=questions)


@pytest.mark.parametrize(
    ("learned", "usable", "words", "tones"),
    [
        ("yes", "yes", ("Yes", "Yes"), ("good", "good")),
        ("yes", "partly", ("Yes", "For some things"), ("good", "warning")),
        ("unknown", "no", ("Cannot tell yet", "Not yet"), ("warning", "error")),
        ("no", "you_decide", ("No", "You decide"), ("warning", "info")),
    ],
)
def test_both_answers_stand_as_the_verdict_has_them(
    learned: Literal["yes", "no", "unknown"],
    usable: Literal["yes", "partly", "no", "you_decide"],
    words: tuple[str, str],
    tones: tuple[str, str],
) -> None:
    page = answers_html(Found("better", "", ()), SAID.model_copy(update={"learned": learned, "usable": usable}))
    first, second = page.split("<section")[1:]
    for part, asked, word, tone in zip((first, second), ("Did it learn?", "Can you use it?"), words, tones, strict=True):
        assert f'class="half {tone}"' in part
        assert f'<h3>{asked}</h3><p class="half-word">{word}</p>' in part
    assert "41 of 45 right." in first
    assert "<b>But:</b> It forgot small talk." in second


def test_a_run_of_an_earlier_version_says_what_its_test_said_and_that_the_rest_was_not_asked() -> None:
    page = answers_html(Found("better", "It learned. But: It forgot.", ()), None)
    assert "Better" in page
    assert "<b>But:</b> It forgot." in page
    assert "Not asked yet" in page
    assert "Yes" not in page


def test_three_questions_with_before_and_now_then_others_and_round_again() -> None:
    asked = asked_of(asked_while_learning(), None)
    page = questions_html(asked, 0)
    assert page.count("asked-prompt") == 3
    assert "Three questions it never saw" in page
    assert page.count("✓") == 3
    assert 'data-pick="others:3"' in page
    assert [f"“{name}”" in questions_html(asked, 3) for name in ("Q3", "Q4", "Q0", "Q1")] == [True, True, True, False]
    assert "others" not in questions_html(asked[:2], 0)
    assert questions_html([], 0) == ""
    assert asked_of(asked_while_learning(last=0.5), None) == []  # it was stopped: “now” is not the end


def test_the_questions_of_its_test_come_after_those_that_were_asked_while_it_learned(home: Path) -> None:
    lab = Lab(home)
    run = write_run(home, "whole", judgement())
    found = found_of(lab, run, lab.view(run))
    asked = asked_of(asked_while_learning(1), found)
    assert [one.prompt for one in asked[:2]] == ["Q0", "Message 0: where is it?"]
    assert len(asked) == 25
    assert HARM not in questions_html(asked, 3)


def asked_a_run(home: Path, run: str, *prompts: str) -> None:
    for prompt in prompts:
        add(home, run, Wondered(sample=Sample(prompt=prompt, before="I am.", after=f"{run} says {prompt}")))


def test_a_persons_own_question_comes_first_and_is_kept_with_the_run(home: Path) -> None:
    lab = Lab(home)
    run = write_run(home, "whole", judgement())
    asked_a_run(home, run, "Mine?", HARM, "Mine?")
    assert [one.prompt for one in lab.view(run).own] == ["Mine?", HARM]
    asked = asked_of(lab.view(run), found_of(lab, run, lab.view(run)))
    page = questions_html(asked, 0, Typed())
    assert page.index("Mine?") < page.index("Message")
    assert "Questions, your own first" in page
    assert HARM not in page
    assert 'class="own-form" data-form="own" hidden' in page
    assert "own-form" not in questions_html(asked, 0), "nobody can be asked"
    assert "your own first" not in questions_html(asked, 3, Typed())
    refused = questions_html(asked, 0, Typed("own", "Who?", "<p>Busy.</p>"))
    assert 'data-form="own"><input name="value" value="Who?"' in refused
    assert 'aria-invalid="true" aria-describedby="own-said"' in refused
    append(home / "runs" / run / "events.jsonl", Started(pid=1, resumed=True, step=9))
    assert lab.view(run).own == (), "what it learns from now on answers anew"


def test_two_runs_answer_a_persons_own_questions(home: Path) -> None:
    lab = Lab(home)
    for run in ("one", "two"):
        write_run(home, run, judgement())
        asked_a_run(home, run, "Mine?")
    own = lab.wondered("one", "two")
    assert [(one.question, one.first, one.second) for one in own] == [("Mine?", "one says Mine?", "two says Mine?")]
    page = comparison_html(lab, "one", "two", own)
    assert page.index("two says Mine?") < page.index("Message 0")
    with pytest.raises(UserError, match="no question yet"):
        lab.wonder("one", "  ")


@pytest.mark.parametrize(("said", "right"), [("Refund.", True), (" refund\n", True), ("refund it", False), ("", False)])
def test_a_short_answer_is_right_when_it_is_the_examples_own(said: str, right: bool) -> None:
    assert as_wanted(said, "refund") is right
    assert not as_wanted("x" * 90, "x" * 90)


def test_the_answer_that_shows_it_stands_there_once() -> None:
    bad = SAID.model_copy(update={"usable": "no", "worst": Sample(prompt="Wann?", reference="um 9", before="I am", after="Welse")})
    asked = asked_of(asked_while_learning(), None)
    assert "Welse" in worst_html(bad, asked)
    assert worst_html(SAID.model_copy(update={"worst": bad.worst}), asked) == ""
    shown = RunView(run="r", questions=(Question(prompt="Wann?", answers=(AnswerAt(share=0, text=""), AnswerAt(share=1, text=""))),))
    assert worst_html(bad, asked_of(shown, None)) == ""


def test_what_next_is_to_use_it_or_what_would_help() -> None:
    good = next_html(SAID, STEP, ready=True)
    assert good.index('data-go="share"') < good.index('data-pick="improve"')
    assert 'class="plain-button main" data-go="share"' in good
    assert "Train about twice as long." in good
    assert "It still got better." in good
    assert "about 4 minutes" in good
    poor = next_html(SAID.model_copy(update={"usable": "no"}), STEP, ready=True)
    assert "What would help" in poor
    assert 'class="plain-button main" data-pick="improve"' in poor
    nothing = next_html(SAID.model_copy(update={"usable": "no"}), None, ready=True)
    assert "More examples" in nothing
    assert 'data-go="share"' in next_html(SAID, None, ready=True)
    assert next_html(None, None, ready=False) == ""


def test_what_would_help_can_be_tried_first_and_what_was_seen_is_told():
    poor = SAID.model_copy(update={"usable": "no"})
    arms = (Arm(short="bigger steps", settings={"learning_rate": 0.01}, seconds=60.0),)
    offer = Offer(run="a", arms=arms, seconds=120.0)
    asked = next_html(poor, STEP, ready=True, trial=Trial(offer, allowed=False))
    assert 'data-pick="improve">Do it' in asked
    assert 'data-pick="try">Try first what helps, about 2 minutes' in asked
    assert "1 change is tried: bigger steps." in asked
    assert 'data-pick="untry"' not in asked
    kept = next_html(poor, STEP, ready=True, trial=Trial(offer, allowed=True))
    assert 'data-pick="try">Make it better, about 2 minutes' in kept
    assert 'data-pick="improve">Do it without' in kept
    assert 'data-pick="untry">Do not try first' in kept
    alone = next_html(poor, None, ready=True, trial=Trial(offer, allowed=False))
    assert 'class="plain-button main" data-pick="try"' in alone
    seen = STEP.model_copy(update={"tried": "Tried: bigger steps 0.2, as it is 0.3."})
    assert "Tried: bigger steps 0.2, as it is 0.3." in next_html(poor, seen, ready=True)
    vain = next_html(poor, seen.model_copy(update={"helps": False}), ready=True)
    assert "by more than chance" in vain
    assert 'data-pick="improve"' not in vain


def test_five_answers_are_judged_blindly_with_keys(home: Path) -> None:
    lab = Lab(home)
    run = write_run(home, "whole", judgement())
    page = five_html(five_of(lab, run), SAID, "")
    assert page.count("<article") == 5
    assert page.count(" hidden>") == 4
    assert "before" not in page.split("</summary>", 1)[1].replace("is from before the training", "")
    assert {f'data-key="{key}"' in page for key in "1230"} == {True}
    assert five_of(lab, write_run(home, "old", judgement(), keep=False)) == ()
    assert five_html((), SAID, "") == ""


def test_the_name_is_text_and_what_cannot_be_done_is_not_offered(home: Path) -> None:
    lab = Lab(home)
    run = write_run(home, "whole", judgement(), title=HARM)
    page = head_html(lab, lab.view(run))
    assert HARM not in page
    assert "120 examples" in page
    assert 'data-pick="delete"' in page
    going = head_html(lab, RunView(run=run, state="running"))
    assert 'data-pick="delete"' not in going
    assert "rename" in going


def test_what_was_deleted_can_be_brought_back_for_a_while() -> None:
    assert Gone().said() == ""
    assert Gone("A poet", "/trash/x-1", 0.0).said() == ""
    import time

    assert 'data-pick="restore:/trash/x-1"' in Gone("A poet", "/trash/x-1", time.time()).said()


def test_examples_filter_themselves(home: Path) -> None:
    lab = Lab(home)
    run = write_run(home, "whole", judgement(lost=(6,)))
    found = found_of(lab, run, lab.view(run))
    assert found is not None
    page = rows_fold(found)
    assert page.count("<article") == 8
    assert 'data-pick="rows:all:16"' in page
    assert rows_fold(found, "worse").count("<article") == 1
    assert 'aria-pressed="true">Worse · 1<' in rows_fold(found, "worse")


def test_two_runs_side_by_side_say_what_was_different(home: Path) -> None:
    lab = Lab(home)
    write_run(home, "one", judgement(wrong=range(12)), title="First try")
    write_run(home, "two", judgement(), title="Second try")
    job = json.loads((home / "runs" / "two" / "job.json").read_text("utf-8"))
    job["plan"]["epochs"] = 4.0
    (home / "runs" / "two" / "job.json").write_text(json.dumps(job), "utf-8")
    page = comparison_html(lab, "one", "two")
    assert "“First try” and “Second try”" in page
    assert "“Second try” is better" in page
    assert "“First try” has 12 of 24 right, “Second try” 20 of 24." in page
    assert '<th scope="row">Rounds over the examples</th><td>–</td><td>4</td>' in page
    assert page.count("asked-prompt") == 3
    assert 'data-pick="both"' in page
    assert "one</" not in page


def test_the_home_of_a_run_in_every_state(home: Path) -> None:
    lab = Lab(home)
    place: Any = Home(lab, *(None,) * 3)  # type: ignore[arg-type]
    states = {
        "untested": ({"found": None, "outcome": "stopped"}, "Not tested yet"),
        "empty": ({"found": None, "outcome": "failed", "adapter": False}, "Nothing to test"),
        "lost": ({"found": judgement(), "outcome": "failed"}, "notice warning"),
        "whole": ({"found": judgement()}, "What its test said"),
    }
    for name, (how, words) in states.items():
        run = write_run(home, name, **how)
        view = lab.view(run)
        assert words in place.top(run, view, found_of(lab, run, view)), name
    assert "No verdict yet" in place.top("", None, None)
    assert "It is still at work" in place.top("whole", RunView(run="whole", state="running"), None)
