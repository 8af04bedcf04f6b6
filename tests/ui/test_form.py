"""The form is the plan: every setting has an input, values go there and back unchanged, and what is out of bounds is said plainly."""

from __future__ import annotations

import inspect
import json

import gradio as gr
import pytest
from gradio_client import Client

from loralab.core.errors import UserError
from loralab.tasks.text import TextPlan
from ui.errors import show_errors
from ui.form import draw, fill, label_of, make_form, marks, read, wrong
from ui.page import ASKED_ELSEWHERE


@pytest.fixture
def form():
    with gr.Blocks():
        return make_form(TextPlan, skip=ASKED_ELSEWHERE)


def defaults(form):
    return {name: form.plan.model_fields[name].default for name in form.names}


def with_value(form, name, value):
    return tuple(value if each == name else default for each, default in defaults(form).items())


def test_every_setting_is_asked_once_on_the_form_or_elsewhere(form):
    assert sorted(form.names) == sorted(set(TextPlan.model_fields) - set(ASKED_ELSEWHERE))


def test_every_input_says_what_it_is_and_what_it_does(form):
    for name, component in zip(form.names, form.inputs, strict=True):
        assert label_of(TextPlan.model_fields[name]) in component.label
        assert component.info == TextPlan.model_fields[name].description


def test_values_go_to_the_screen_and_back_unchanged(form):
    wanted = {
        **defaults(form),
        "rank": 8,
        "learning_rate": 3e-5,
        "schedule": "linear",
        "adapter": "miss",
        "title": "Übung",
        "targets": "mlp",
    }
    shown = [update["value"] for update in fill(form, wanted, {}).values()]
    assert read(form, tuple(shown)) == wanted
    TextPlan.model_validate(wanted)


def test_a_reason_stands_under_its_input(form):
    updates = dict(zip(form.names, fill(form, defaults(form), {"rank": "A few hundred examples need no more."}).values(), strict=True))
    assert "A few hundred examples need no more." in updates["rank"]["info"]
    assert updates["alpha"]["info"] == TextPlan.model_fields["alpha"].description


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rank", 999, "“Rank” cannot be 999. It must be at least 1 and at most 256."),
        ("rank", None, "“Rank” is empty. It must be at least 1 and at most 256."),
        ("learning_rate", 0, "“Learning rate” cannot be 0. It must be more than 0 and less than 1."),
        ("title", "x" * 81, "It must be at most 80 characters long."),
        ("schedule", "zigzag", "“Schedule” cannot be zigzag."),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_bounds(form, name, value, said):
    with pytest.raises(UserError) as caught:
        read(form, with_value(form, name, value))
    assert said in str(caught.value)


def test_every_wrong_field_is_named_at_once_and_what_was_changed_can_be_taken_back(form):
    nonsense = {"epochs": -5, "learning_rate": 99, "rank": 0, "heldout_share": 2, "max_length": 1, "alpha": None}
    raw = tuple(nonsense.get(name, default) for name, default in defaults(form).items())
    found = wrong(form, raw)
    assert found.keys() == nonsense.keys()
    assert found["rank"] == ("“Rank” cannot be 0.", "It must be at least 1 and at most 256.")
    said = json.loads(marks(form, raw, defaults(form)))
    assert said["wrong"].keys() == nonsense.keys()
    assert set(said["changed"]) == nonsense.keys()
    same = tuple(defaults(form).values())
    assert json.loads(marks(form, same, defaults(form))) == {"wrong": {}, "changed": []}


def test_a_whole_number_may_arrive_as_a_fraction_from_the_browser(form):
    assert read(form, with_value(form, "rank", 8.0))["rank"] == 8


def test_values_make_the_round_trip_through_a_real_server_and_a_wrong_one_changes_nothing():
    with gr.Blocks() as page:
        form = make_form(TextPlan, skip=ASKED_ELSEWHERE)
        draw(form)
        button, out = gr.Button(), gr.JSON()

        @show_errors
        def give(*raw):
            return read(form, raw)

        button.click(give, list(form.inputs), out, api_name="read")
    page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", ssr_mode=False)
    try:
        client = Client(str(page.local_url), verbose=False)
        assert client.predict(*with_value(form, "rank", 8), api_name="/read")["rank"] == 8
        assert "rank" not in str(client.predict(*with_value(form, "rank", 0), api_name="/read"))
    finally:
        page.close()


def test_a_callback_keeps_its_name_and_kind_behind_the_decorator():
    def stream():
        yield 1

    assert inspect.isgeneratorfunction(show_errors(stream))
    assert show_errors(stream).__name__ == "stream"


def test_a_bug_becomes_a_sentence_without_a_traceback():
    @show_errors
    def broken():
        return 1 / 0

    with pytest.warns(UserWarning, match="app.log") as caught:
        assert broken() == gr.skip()
    assert "ZeroDivisionError" not in str(caught[0].message)


def test_a_mistake_is_told_with_its_next_step_also_while_streaming():
    @show_errors
    def stream():
        yield 1
        raise UserError("The file is empty.", "Choose another <one>.")

    with pytest.warns(UserWarning, match="(?s)The file is empty.*Choose another &lt;one&gt;."):
        assert list(stream()) == [1, gr.skip()]
