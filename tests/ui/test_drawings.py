"""Pages of a run that draws: what came in is said, copies stand first and are named, and no text of a file is markup."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.testclient import TestClient

from loralab.core.events import EventLog, Previewed, Started
from loralab.core.jobs import TrainJob
from loralab.core.paths import write_atomic
from loralab.core.records import Sample
from loralab.lab import DrawPlan, PicturePlan, TextPlan
from tests.support.small_pictures import captioned
from ui.forms import make_forms
from ui.goals import choices, of_pictures
from ui.page import ASKED_ELSEWHERE
from ui.served import Served
from ui.shots import Shots, shots_of
from ui.tabs.dataset.pictures import grid_html, kind_words, seen_html, summary_html
from ui.tabs.evaluate.drawings import drawn_fold, drawn_html
from ui.tabs.evaluate.judged import Found
from ui.tabs.plan.view import seeing_html
from ui.tabs.train.view import asked_again

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = [f"drawn/{n:016x}.png" for n in range(20)]


def row(n, **change):
    about = {"row": n, "media": f"{n}.png", "prompt": f"mystyle number {n}", "drawn_before": NAMES[n], "drawn_after": NAMES[n + 1]}
    return about | {"nearest": "1.png", "alike": 0.25, "copy": False} | change


def found(rows, **table):
    return Found("better", "", (), {"look": list(rows)}, {"look": {"recalled": [], **table}})


def run_in(home, data):
    """A run that draws, planted; its id."""
    place = home / "runs" / "one"
    (place / "artifacts" / "drawn").mkdir(parents=True)
    write_atomic(place / "job.json", TrainJob(run="one", plan={"task": "draw", "dataset": str(data)}, model="").model_dump_json())
    for name in NAMES[:3]:
        (place / "artifacts" / name).write_bytes(PNG + name.encode())
    log = EventLog(place / "events.jsonl")
    log(Started(pid=1))
    for share, name in ((0.0, NAMES[0]), (0.25, NAMES[1])):
        log(Previewed(step=1, samples=(Sample(prompt="mystyle <b>a disc</b>", before="", after=name),), share=share))
    return "one"


def test_pictures_with_captions_say_that_they_teach_to_draw(lab, tmp_path):
    profile = lab.profile(captioned(tmp_path / "some.zip"))
    gallery = lab.pictures(profile.path, profile.roles)
    assert of_pictures(profile)
    assert choices(profile) == [("Draw new pictures in this style", "answer")]
    assert kind_words(profile) in summary_html(profile, gallery)
    assert "a red disc, number 0" in grid_html(profile, gallery)
    assert seen_html(profile, gallery, {"image_size": 32}) == ""


def test_the_plan_names_the_model_that_draws_and_has_a_form_of_its_own(lab):
    assert "Starter that draws" in seeing_html("drawing-starter")
    assert "Starter for pictures" in seeing_html("vision-starter")
    forms = make_forms((TextPlan, PicturePlan, DrawPlan), lab.plan_type, ASKED_ELSEWHERE)
    assert "trigger" in forms.of("draw").names
    assert "trigger" not in forms.of("classify").names


def test_the_same_words_are_shown_as_drawn_first_and_now_and_are_never_markup(lab, home, tmp_path):
    run = run_in(home, captioned(tmp_path / "some.zip"))
    shown = asked_again(lab, lab.view(run))
    assert shown.index(NAMES[0].rpartition("/")[2]) < shown.index(NAMES[1].rpartition("/")[2])
    assert "<b>a disc" not in shown
    assert "mystyle &lt;b&gt;a disc" in shown


def test_copies_stand_first_and_are_named_with_what_they_are_of():
    shots = Shots("one", None)
    rows = [row(n) for n in range(1, 9)] + [row(9, copy=True, alike=0.97)]
    drawn = drawn_html(found(rows), shots, 0)
    assert drawn.index("mystyle number 9") < drawn.index("mystyle number 1<")
    assert drawn.count("nearly a copy of yours") == 1
    assert "1 drawing of 9" in drawn
    assert "Show others" in drawn
    assert "copy" not in drawn_html(found([row(1)]), shots, 0).replace("copied", "")


def test_every_drawing_and_every_learned_caption_is_in_the_fold():
    recalled = [{"prompt": "mystyle a learned one", "drawn": NAMES[5], "nearest": "1.png", "alike": 1.0, "copy": True}]
    folded = drawn_fold(found([row(1), row(2)], recalled=recalled), Shots("one", None))
    assert "mystyle number 2" in folded
    assert "Asked for pictures it learned from" in folded
    assert "mystyle a learned one" in folded
    assert drawn_fold(found([]), Shots("one", None)) == ""


def test_drawings_are_served_by_their_names_alone(lab, home, tmp_path):
    run = run_in(home, captioned(tmp_path / "some.zip"))
    app = FastAPI()
    Served(lab).add_to(app)
    client = TestClient(app)
    address = shots_of(lab, run).drawn(NAMES[1])
    assert client.get(address).content == PNG + NAMES[1].encode()
    assert client.get(address).headers["content-type"] == "image/png"
    for name in ("drawn/../../job.json", "../job.json", "job.json", NAMES[9]):
        assert client.get("/lab/picture", params={"run": run, "name": name, "what": "drawn"}).status_code == 404
