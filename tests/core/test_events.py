"""The log and its fold."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from loralab.core.events import Adjusted, Ended, Evaluated, EventLog, Incident, Noted, Previewed, Saved, Started, Stepped, fold, read
from loralab.core.records import Artifact, Sample, Score


def step(number, loss=1.0, total=10):
    return Stepped(
        step=number, loss=loss, grad_norm=1.0, learning_rate=1e-3, tokens=10, tokens_per_second=100.0, memory_bytes=5, total_steps=total
    )


ALL = [
    Started(pid=7, versions={"python": "3"}),
    Noted(text="Reading.", phase="reading", fraction=0.5),
    Evaluated(split="base", loss=4.0, n=8),
    step(1, math.nan),
    step(2, math.inf),
    Incident(step=2, code="non_finite", text="Not finite.", data={"loss": math.inf}),
    Adjusted(step=2, setting="micro_batch", before=8, after=4, reason="Memory."),
    Previewed(step=2, samples=(Sample(prompt="p", before="b", after="a", after_active=("default",)),)),
    Saved(step=2, artifact=Artifact(kind="adapter", path="there", step=2)),
    Evaluated(step=2, split="final", loss=3.0, n=8, scores=(Score(name="loss", before=4.0, after=3.0, n=8),)),
    Ended(step=2, outcome="finished", result={"steps": 2}),
]


def written(path, events):
    log = EventLog(path)
    for event in events:
        log(event)
    return path


def test_every_kind_of_event_comes_back_as_it_was(tmp_path):
    events, offset = read(written(tmp_path / "log", ALL))
    assert [type(event) for event in events] == [type(event) for event in ALL]
    nan, inf = (event.loss for event in events if isinstance(event, Stepped))
    assert math.isnan(nan)
    assert inf == math.inf
    assert [e for i, e in enumerate(events) if i != 3] == [e for i, e in enumerate(ALL) if i != 3]
    assert offset == (tmp_path / "log").stat().st_size


def test_reading_goes_on_where_it_left_off(tmp_path):
    path = written(tmp_path / "log", ALL[:3])
    first, offset = read(path)
    written(path, ALL[3:])
    second, _ = read(path, offset)
    assert len(first) == 3
    assert len(second) == len(ALL) - 3
    assert fold("r", second, fold("r", first)).model_dump(exclude={"steps"}) == fold("r", read(path)[0]).model_dump(exclude={"steps"})


def test_a_line_still_being_written_is_left_for_the_next_reading(tmp_path):
    path = written(tmp_path / "log", ALL[:2])
    line = step(1).model_dump_json().encode() + b"\n"
    with path.open("ab") as file:
        file.write(line[:20])
    events, offset = read(path)
    assert len(events) == 2
    with path.open("ab") as file:
        file.write(line[20:])
    assert [event.type for event in read(path, offset)[0]] == ["stepped"]


@pytest.mark.parametrize("torn", [b'{"type":"step', b"x", b'{"type":"noted","text":"caf\xc3'])
def test_a_new_writer_cuts_off_half_a_line(tmp_path, torn):
    path = written(tmp_path / "log", ALL[:2])
    with path.open("ab") as file:
        file.write(torn)
    written(path, [ALL[-1]])
    assert [event.type for event in read(path)[0]] == ["started", "noted", "ended"]


def test_a_damaged_line_is_said_and_the_rest_is_kept(tmp_path):
    path = written(tmp_path / "log", ALL[:1])
    with path.open("ab") as file:
        file.write(b'{"type":"from_the_future"}\n\xff\xfe\n')
    written(path, ALL[-1:])
    events, _ = read(path)
    assert [event.type for event in events] == ["started", "noted", "noted", "ended"]
    assert "could not be read" in events[1].model_dump()["text"]


def test_no_log_is_no_events(tmp_path):
    assert read(tmp_path / "nothing") == ([], 0)


def test_the_fold_holds_what_a_screen_needs():
    view = fold("r", ALL)
    assert (view.state, view.step, view.total_steps, view.trained) == ("finished", 2, 10, "there")
    assert not view.active
    assert [len(part) for part in (view.steps, view.evaluations, view.samples, view.incidents, view.adjustments)] == [2, 2, 1, 1, 1]


def test_a_resumed_run_forgets_the_steps_it_will_do_again():
    view = fold("r", [ALL[0], *(step(n) for n in range(1, 8)), Evaluated(step=6, loss=2.0, n=8), Ended(outcome="killed", step=7)])
    assert view.state == "killed"
    begun = fold("r", [Started(pid=8, resumed=True, step=5)], view)  # nothing has been done again yet
    assert (begun.step, [s.step for s in begun.steps]) == (5, [1, 2, 3, 4, 5])
    again = fold("r", [Started(pid=8, resumed=True, step=5), step(6), step(7)], view)
    assert again.active
    assert again.ending is None
    assert [s.step for s in again.steps] == [1, 2, 3, 4, 5, 6, 7]
    assert again.evaluations == ()


def test_the_same_questions_stand_with_all_their_answers():
    def asked(share: float | None, text: str) -> Previewed:
        return Previewed(samples=(Sample(prompt="p", reference="r", before="", after=text),), share=share)

    view = fold("r", [asked(0.0, "a"), asked(0.25, "b"), asked(0.5, "c"), asked(None, "of the verdict")])
    assert [(answer.share, answer.text) for answer in view.questions[0].answers] == [(0.0, "a"), (0.25, "b"), (0.5, "c")]
    assert view.samples[0].after == "of the verdict"
    again = fold("r", [asked(0.25, "d")], view)  # it went on from further back
    assert [answer.text for answer in again.questions[0].answers] == ["a", "d"]
    assert [answer.text for answer in fold("r", [asked(0.0, "e")], view).questions[0].answers] == ["e"]


def test_steps_done_again_after_a_damaged_safety_copy_are_shown_once():
    view = fold("r", [ALL[0], *(step(n) for n in range(1, 8))])
    again = fold("r", [Started(pid=8, resumed=True, step=7), step(4), step(5)], view)
    assert [s.step for s in again.steps] == [1, 2, 3, 4, 5]


def test_an_event_with_a_field_nobody_knows_is_refused():
    with pytest.raises(ValidationError):
        Noted.model_validate({"text": "x", "colour": "red"})
