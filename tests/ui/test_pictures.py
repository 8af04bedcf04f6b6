"""Pictures on the pages: what came in adds up, what stands in a file is never markup, and filters show what their words say."""

from __future__ import annotations

import io
import json
from zipfile import ZipFile

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from advisor.advisor import Advisor
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import TrainJob
from loralab.core.questions import AnswerAt, Question
from loralab.core.records import Choice
from loralab.datasets.images.drawn import Marks
from loralab.datasets.images.kept_marks import keep
from loralab.lab import Lab, PicturePlan, TextPlan
from tests.support.small_pictures import discs, shapes, things
from ui.desk import Desk
from ui.forms import make_forms, setting_of
from ui.goals import changes, choices, fitting
from ui.page import ASKED_ELSEWHERE
from ui.served import Served
from ui.shots import Shots, shots_of
from ui.tabs.dataset.pictures import grid_html, kind_words, medical_html, others_html, seen_html, summary_html
from ui.tabs.evaluate.judged import Found
from ui.tabs.evaluate.picture_groups import groups_html
from ui.tabs.evaluate.pictures import chosen, fold_html, looks_html
from ui.tabs.train.view import looks

LABELS = ("cat", "dog")


def zipped(path, folders):
    """A zip of one-coloured pictures, eight in each folder."""
    with ZipFile(path, "w") as packed:
        for at, folder in enumerate(folders):
            for number in range(8):
                written = io.BytesIO()
                Image.new("RGB", (40 + number, 30), (40 * at, 20 * number, 90)).save(written, "PNG")
                packed.writestr(f"{folder}/{number}.png", written.getvalue())
    return path


# ---- the first page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [(shapes, "Pictures in 3 classes"), (discs, "Pictures with marked areas"), (things, "Pictures with boxes around 2 kinds of things")],
)
def test_a_zip_says_in_words_what_it_is_and_shows_twelve_of_its_pictures(make, words, lab, tmp_path):
    profile = lab.profile(make(tmp_path / "some.zip"))
    gallery = lab.pictures(profile.path, profile.roles)
    assert kind_words(profile) == words
    assert words in summary_html(profile, gallery)
    assert grid_html(profile, gallery).count("data:image/webp;base64,") == len(profile.previews) == 12
    assert choices(profile) == [(choices(profile)[0][0], fitting(profile))]
    assert changes(fitting(profile), profile) == {}


def test_pictures_left_out_are_counted_with_their_reason(lab, tmp_path):
    place = zipped(tmp_path / "some.zip", ["a", "b"])
    with ZipFile(place, "a") as packed:
        packed.writestr("a/broken.png", b"\x89PNG\r\n\x1a\n nothing more")
    profile = lab.profile(place)
    drawn = summary_html(profile, lab.pictures(profile.path, profile.roles))
    assert profile.n_read == profile.n_kept + len(profile.left_out) == 17
    assert "of 17 found" in drawn
    assert f"1 × {profile.left_out[0].reason}"[:20] in drawn


def test_a_name_from_a_zip_is_never_markup(lab, tmp_path):
    profile = lab.profile(zipped(tmp_path / "some.zip", ["<b onclick=alert(1)>cat", "dog${1}"]))
    gallery = lab.pictures(profile.path, profile.roles)
    drawn = summary_html(profile, gallery) + grid_html(profile, gallery)
    assert "<b onclick" not in drawn
    assert "${1}" not in drawn
    assert "&lt;b onclick=alert(1)&gt;cat" in drawn


def test_pictures_are_shown_as_the_plan_lets_the_model_see_them(lab, tmp_path):
    profile = lab.profile(discs(tmp_path / "some.zip"))
    gallery = lab.pictures(profile.path, profile.roles)
    varied = seen_html(profile, gallery, {"image_size": 64, "augmentation": "microscope"})
    plain = seen_html(profile, gallery, {"image_size": 64, "augmentation": "none"})
    assert varied.count("data:image") == 4 * plain.count("data:image") == 16
    assert "never mirrored" in seen_html(profile, gallery, {"image_size": 64, "augmentation": "xray"})
    assert seen_html(profile, gallery, {}) == ""


def test_a_guess_is_asked_and_a_certain_zip_is_not(lab, tmp_path):
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    unsure = profile.model_copy(update={"certain": False, "choices": (*_choices("classify"), *_choices("segment"))})
    gallery = lab.pictures(profile.path, profile.roles)
    assert "Is this right?" in grid_html(unsure, gallery)
    assert "Is this right?" not in grid_html(profile, gallery)
    assert "Mark in a picture what is where" in others_html(unsure)
    assert others_html(profile) == ""


def test_pictures_of_patients_say_what_it_is_not():
    assert "Not a medical device" in medical_html(medical=True)
    assert medical_html(medical=False) == ""


def test_of_pictures_of_patients_nothing_is_kept_but_what_was_taken_in(lab, tmp_path):
    desk, kept, uploaded = Desk(Advisor(lab)), tmp_path / "kept.zip", tmp_path / "uploaded.zip"
    for file in (kept, uploaded):
        file.write_bytes(b"with names")
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    assert desk.without_traces(str(kept), str(uploaded), profile) == str(kept)
    assert kept.exists()
    taken = profile.model_copy(update={"medical": True, "path": "where it was taken in"})
    assert desk.without_traces(str(kept), str(uploaded), taken) == "where it was taken in"
    assert not kept.exists()
    assert not uploaded.exists()


def test_the_model_that_sees_learns_whichever_was_chosen_for_texts(lab, tmp_path):
    desk = Desk(Advisor(lab))
    found = desk.propose(str(shapes(tmp_path / "some.zip")), "starter-chat", "answer")
    assert found.plan["base_model"] == "vision-starter"
    assert found.plan["task"] == "classify"
    assert desk.weigh(str(tmp_path / "some.zip"), "starter-chat", "answer", {"image_size": 64}).plan["image_size"] == 64


def test_a_picture_that_is_gone_leaves_its_place(lab, tmp_path):
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    gallery = lab.pictures(profile.path, profile.roles)
    name = profile.previews[0].media[0]
    gallery.path(name).unlink()
    assert gallery.drawn(name) == b""
    assert gallery.drawn("../../../etc/passwd") == b""
    assert "no longer there" in grid_html(profile, gallery)


def _choices(task):
    return (Choice(roles={"task": task}),)


# ---- the settings ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def forms(lab):
    with gr.Blocks():
        return make_forms((TextPlan, PicturePlan), lab.plan_type, ASKED_ELSEWHERE)


def raw_of(forms, kind, **values):
    """What the inputs hold: the defaults of each form, and these values in the one that is seen."""
    found = [kind]
    for form in forms.forms:
        own = {name: form.plan.model_fields[name].default for name in form.names}
        found += list((own | (values if form is forms.of(kind) else {})).values())
    return tuple(found)


def test_the_form_that_is_seen_is_the_one_that_is_read(forms):
    assert forms.of("segment") is forms.of("classify") is forms.of("detect") is forms.forms[1]
    assert forms.of("preference") is forms.of("text") is forms.of("") is forms.forms[0]
    assert forms.read(raw_of(forms, "detect", image_size=96))["image_size"] == 96
    assert "image_size" not in forms.read(raw_of(forms, "text", epochs=2.0))
    with pytest.raises(UserError, match="Picture size"):
        forms.read(raw_of(forms, "detect", image_size=33))
    forms.read(raw_of(forms, "text"))  # what is wrong in the form that is not seen stops nobody


def test_marks_name_the_inputs_of_the_form_that_is_seen(forms):
    said = json.loads(forms.marks(raw_of(forms, "classify", image_size=33, epochs=3.0), {"epochs": 50.0}))
    (wrong,), (changed,) = said["wrong"], said["changed"]
    assert setting_of(wrong) == "image_size"
    assert setting_of(changed) == "epochs"
    assert {f"set-{wrong}", f"set-{changed}"} <= {component.elem_id for component in forms.inputs[1:]}
    assert setting_of("rank") == "rank"


def test_a_plan_fills_its_own_form_and_a_choice_that_another_lacks_is_not_put_there(forms):
    with gr.Blocks():
        forms.draw()
    filled = forms.fill({"task": "segment", "epochs": 7.0}, {})
    assert filled[forms.kind] == "segment"
    assert [filled[column].visible for column in forms.columns] == [False, True]
    assert set(filled) - {forms.kind, *forms.columns} == set(forms.forms[1].inputs)
    paged = forms.updates({"optimizer": "adamw_8bit", "epochs": 3.0})
    boxes = {component.elem_id: component for component in forms.inputs[1:]}
    own = forms.forms[1].own
    assert {boxes["set-epochs"], boxes[f"set-{own}epochs"]} <= set(paged)
    assert boxes[f"set-{own}optimizer"] not in paged


# ---- the result --------------------------------------------------------------------------------------------------------------


def row(number, label, after, confidence, *, knows=True, before="cat"):
    said = {"row": number, "media": f"{label}/{number}.png", "label": label, "before": before, "after": after, "confidence": confidence}
    return said | {"before_right": before == label, "after_right": after == label, "knows": knows}


ROWS = [
    row(1, "cat", "cat", 0.99),
    row(2, "cat", "dog", 0.60, knows=False),
    row(3, "dog", "cat", 0.95),
    row(4, "dog", "dog", 0.55, knows=False),
    row(5, "dog", "cat", 0.70),
]
TABLES = {"labels": list(LABELS), "confusion": {"after": {"cat": {"cat": 1, "dog": 1}, "dog": {"cat": 2, "dog": 1}}}, "worst": [3, 5, 2]}
FOUND = Found("better", "", (), {"accuracy": ROWS}, {"accuracy": TABLES})
GONE = Shots("run", None)


def test_the_worst_errors_come_first_and_each_filter_shows_its_own():
    def numbers(change):
        return [one["row"] for one in chosen(ROWS, change, LABELS, TABLES["worst"])]

    assert numbers("wrong") == [3, 5, 2]
    assert set(numbers("unsure")) == {2, 4}
    assert numbers("all")[:3] == [3, 5, 2]
    assert numbers("cell-1-0") == [3, 5]
    assert numbers("cell-0-1") == [2]
    assert sorted(numbers("cell-9-9")) == sorted(numbers("cell--1")) == [1, 2, 3, 4, 5]


def test_a_click_on_the_table_shows_those_pictures():
    opened, clicked = fold_html(FOUND, GONE, "all", 8), fold_html(FOUND, GONE, "cell-1-0", 8)
    assert 'data-pick="rows:cell-1-0:8"' in opened
    assert "Wrong · 3" in opened
    assert opened.count('class="look-on"') == opened.count('aria-label="wrong"') == 3
    assert "You say “dog”, it says “cat”." in clicked
    assert clicked.count('aria-label="wrong"') == 2


def test_where_nothing_is_wrong_all_are_shown():
    right = Found("better", "", (), {"accuracy": [ROWS[0]]}, {"accuracy": TABLES | {"worst": []}})
    assert 'aria-label="right"' in fold_html(right, GONE, "all", 8)
    assert "Not one of them is wrong." in fold_html(right, GONE, "wrong", 8)


def test_six_pictures_with_what_you_say_before_and_now(lab, tmp_path):
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    names = [preview.media[0] for preview in profile.previews]
    rows = [row(at, name.split("/")[0], "disc", 0.9, before="square") | {"media": name} for at, name in enumerate(names)]
    shown = looks_html(Found("better", "", (), {"accuracy": rows}), Shots("a-run", lab.pictures(profile.path, profile.roles)), 0)
    assert "Six pictures it never saw" in shown
    assert shown.count("/lab/picture?run=a-run&amp;name=") == 6
    assert "what=said" not in shown  # whole pictures have nothing to be drawn
    assert 'data-pick="others:6"' in shown
    assert looks_html(Found("better", "", ()), GONE, 0) == ""


def test_while_it_learns_marks_are_drawn_beside_what_a_person_marked(home, lab, tmp_path):
    profile = lab.profile(discs(tmp_path / "some.zip"))
    run, name = planted(home, profile), profile.previews[0].media[0]
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 1
    drawn = keep(home / "runs" / run / "artifacts", Marks(mask=mask))
    answers = (AnswerAt(share=0.0, text="nothing"), AnswerAt(share=0.5, text="50 % of it is marked", drawn=drawn))
    view = RunView(run=run, questions=(Question(prompt=name, answers=answers[1:]), Question(prompt=name, answers=answers[:1])))
    shown = looks(view, shots_of(lab, run))
    assert shown.count("<figcaption>you marked</figcaption>") == shown.count("<figcaption>at the start</figcaption>") == 1
    assert f"drawn={drawn}" in shown
    client = TestClient(served_app(home))
    found = [
        client.get("/lab/picture", params={"run": run, "name": name} | more).content for more in ({}, {"what": "said", "drawn": drawn})
    ]
    assert found[0] != found[1]
    said = np.asarray(Image.open(io.BytesIO(found[1])).convert("RGB")).astype(int)
    top, bottom = said[: said.shape[0] // 2 - 8].mean((0, 1)), said[said.shape[0] // 2 + 8 :].mean((0, 1))
    assert top[0] - top[2] > bottom[0] - bottom[2] + 20, "the upper half is washed in the colour of the class"


def test_where_it_looked_can_be_switched_on_for_whole_pictures_alone(lab, tmp_path):
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    rows = [row(1, "disc", "square", 0.9) | {"media": profile.previews[0].media[0]}]
    found = Found("better", "", (), {"accuracy": rows}, {"accuracy": TABLES})
    shown = fold_html(found, Shots("a-run", lab.pictures(profile.path, profile.roles)), "all", 8)
    assert shown.count("data-why") == shown.count("what=why") == 1
    assert "data-why" not in fold_html(found, GONE, "all", 8), "of pictures that are gone there is nothing to show"
    marked = lab.profile(discs(tmp_path / "other.zip"))
    rows = [rows[0] | {"media": marked.previews[0].media[0], "after_right": 0.4}]
    found = Found("better", "", (), {"dice": rows}, {"dice": {"labels": ["marked"]}})
    assert "data-why" not in fold_html(found, Shots("a-run", lab.pictures(marked.path, marked.roles)), "all", 8)


def test_groups_are_told_with_their_numbers_and_intervals():
    table = {"camera": [{"value": "<old>", "n": 40, "score": 0.5, "right": 20, "between": (0.35, 0.65)}]}
    shown = groups_html(Found("better", "", (), {}, {"accuracy": TABLES | {"groups": table}}))
    assert "By camera" in shown
    assert "&lt;old&gt;" in shown
    assert "20 of 40" in shown
    assert "35 to 65 %" in shown
    assert groups_html(FOUND) == ""


# ---- what is served ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(home, lab, tmp_path):
    profile = lab.profile(shapes(tmp_path / "some.zip"))
    return TestClient(served_app(home)), planted(home, profile), profile.previews[0].media[0]


def planted(home, profile):
    """A run that has learned nothing yet from these pictures."""
    run, plan = "2026-01-01-red-fox", {"task": profile.task, "dataset": profile.path, "roles": profile.roles}
    (home / "runs" / run).mkdir(parents=True)
    (home / "runs" / run / "job.json").write_text(TrainJob(run=run, plan=plan, model="").model_dump_json(), "utf-8")
    return run


def served_app(home):
    app = FastAPI()
    Served(Lab(home)).add_to(app)
    return app


def test_a_picture_of_a_run_is_served_and_kept_by_nobody(served):
    client, run, name = served
    found = client.get("/lab/picture", params={"run": run, "name": name})
    assert (found.status_code, found.headers["content-type"]) == (200, "image/webp")
    assert found.headers["cache-control"] == "no-store"
    assert Image.open(io.BytesIO(found.content)).format == "WEBP"


@pytest.mark.parametrize(
    "change",
    [{"name": "../../../../etc/passwd"}, {"run": ".."}, {"run": "nobody"}, {"what": "all"}, {"name": ""}, {"drawn": "../job.json"}],
)
def test_nothing_else_is_served(served, change):
    client, run, name = served
    assert client.get("/lab/picture", params={"run": run, "name": name} | change).status_code == 404
