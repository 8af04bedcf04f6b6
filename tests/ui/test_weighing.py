"""What happens between a changed setting and the trace of its memory: every order in which answers can come."""

from __future__ import annotations

from loralab.core.records import Footprint, Proposal
from ui.tabs.plan.weighing import Answered, Emptied, Hold, Left, Refused, Show, Trace, Traced, Weigh, Weighing, step

NEEDS = Footprint(memory_bytes=1, free_bytes=9)
PLAN, OTHER = (Proposal(plan={"rank": rank}, reasons={}, footprint=NEEDS) for rank in (16, 8))
FINER = NEEDS.model_copy(update={"memory_bytes": 2, "stage": "trace"})


def after(*events):
    state, effects = Weighing(), ()
    for event in events:
        state, effects = step(state, event)
    return state, effects


FIRST, SECOND = Answered(1, "a", PLAN, here=True), Answered(2, "b", OTHER, here=True)


def test_a_changed_setting_is_weighed_then_traced_then_shown_finer():
    assert after(Left("a"))[1] == (Weigh(),)
    assert after(FIRST)[1] == (Show(PLAN), Trace(1))
    state, effects = after(FIRST, Traced(1, FINER))
    assert effects == (Show(PLAN.model_copy(update={"footprint": FINER})),)
    assert step(state, Left("a"))[1] == (), "entered and left, and all is known"


def test_settings_changed_while_a_trace_is_out_are_weighed_and_its_answer_is_dropped():
    state, effects = after(FIRST, Left("b"))
    assert effects == (Weigh(),)
    state, effects = step(state, SECOND)
    assert effects == (Show(OTHER), Trace(2))
    state, effects = step(state, Traced(1, FINER))
    assert state.proposal == OTHER
    assert effects == (Trace(2),), "nothing is shown, and the new plan still waits for its own"
    assert step(state, Traced(2, FINER))[1] == (Show(OTHER.model_copy(update={"footprint": FINER})),)


def test_an_input_that_was_only_entered_and_left_does_not_ask_again_but_the_trace_that_is_due_is_made():
    assert after(FIRST, Left("a"))[1] == (Trace(1),)


def test_another_model_that_is_not_here_is_not_traced_and_the_trace_of_the_old_one_is_dropped():
    state, effects = after(FIRST, Answered(2, "b", OTHER, here=False))
    assert effects == (Show(OTHER),)
    assert step(state, Traced(1, FINER)) == (state, ())


def test_a_dead_tracer_leaves_the_closed_form_on_the_screen_and_is_not_asked_again():
    state, effects = after(FIRST, Traced(1))
    assert effects == ()
    assert state.proposal == PLAN
    assert step(state, Left("a"))[1] == ()


def test_what_cannot_be_planned_is_said_once_and_the_last_plan_stays():
    state, effects = after(FIRST, Left("bad"), Refused("bad", "Waiting for 2 fields."))
    assert effects == (Hold(PLAN, "Waiting for 2 fields."),)
    assert state.proposal == PLAN
    (held,) = step(state, Traced(1, FINER))[1]
    assert isinstance(held, Hold), "a late trace does not make it the plan of the form"
    assert step(state, Left("bad"))[1] != (Weigh(),)
    assert step(state, Left("a"))[1] == (Weigh(),)


def test_without_examples_nothing_is_shown_and_no_answer_counts():
    state, effects = after(FIRST, Emptied())
    assert effects == (Show(None),)
    assert step(state, Traced(1, FINER)) == (state, ())
    assert step(state, Traced()) == (state, ())
