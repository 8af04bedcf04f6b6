"""The report on one page: what was measured is on it, what was not is not, and nothing in it comes from elsewhere or breaks out."""

from __future__ import annotations

import re

from loralab.core.events import Adjusted, Ended, Evaluated, Event, Incident, Measured, Previewed, RunView, Started, Stepped, fold
from loralab.core.facts import Facts
from loralab.core.records import Sample, Score
from loralab.reports.endings import endings
from loralab.reports.report_page import curve, report_html, report_markdown, traces
from tests.support.machines import laptop

SCORE = Score(
    name="label_accuracy",
    before=0.1,
    after=0.8,
    n=60,
    difference=0.7,
    low=0.6,
    high=0.8,
    verdict="better",
    words="Sorted 48 of 60.",
    label="Sorted exactly right",
    share=True,
    main=True,
)
PLAN = {"rank": 16, "learning_rate": 2e-3, "dataset": "/srv/secret/messages.csv", "base_model": "/srv/secret/starter", "optimizer": "adamw"}


def finished(*more: Event) -> RunView:
    steps = [
        Stepped(step=i, loss=5 / i, grad_norm=1, learning_rate=1e-3, tokens=100, tokens_per_second=50, memory_bytes=9, total_steps=80)
        for i in range(1, 81)
    ]
    looks = [Evaluated(split="base", loss=5, n=60), *(Evaluated(step=i, loss=6 / i, n=60) for i in (20, 40, 80))]
    final = Evaluated(step=80, split="final", loss=0.1, n=60, scores=(SCORE,), verdict="better", words="It got better. But: it forgot.")
    sample = Previewed(samples=(Sample(prompt="<script>alert(1)</script> | x", before="", after="card lost", reference="card lost"),))
    result = {"seconds": 42.0, "peak_memory_bytes": 650_000_000, "loaded_memory_bytes": 400_000_000, "tokens_per_second": 900.0}
    counts = Measured(text="Learning from 540 examples.", n_train=540, n_heldout=60)
    return fold("run-1", [Started(pid=1), counts, *looks, *steps, *more, final, sample, Ended(outcome="finished", step=80, result=result)])


def test_the_page_holds_what_was_measured_and_needs_nothing_else() -> None:
    page = report_html(finished(), PLAN, laptop(), "Messages")
    for found in (
        "It got better. But: it forgot.",
        "Sorted exactly right",
        "+70 %",
        "+60 % to +80 %",
        "42 s",
        "650 MB of 16 GB, 4 % of it",
        "38 %",
        "540",
        "messages.csv",
        "starter",
        "adamw",
        "The example says: card lost",
    ):
        assert found in page, found
    assert page.count("<polyline") == 2  # what never changed (here the learning rate) is not drawn
    assert not re.search(r"(src|href)=", page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "/srv/secret" not in page


def test_the_same_as_markdown() -> None:
    text = report_markdown(finished(), PLAN, laptop(), "Messages")
    assert text.startswith("# Messages\n")
    assert "| Sorted exactly right | 10 % | 80 % | +70 % | +60 % to +80 % | 60 | better |" in text
    assert "| 0 | – | – | 5.000 | – | – |" in text
    assert "\\| x" in text  # a bar in a prompt does not break out of its line


def test_what_happened_is_told_in_order() -> None:
    lost = Incident(step=7, code="out_of_memory", text="Memory ran out.", time=10)
    less = Adjusted(step=7, setting="token_budget", before=2048, after=1024, reason="It works with less at once.", time=11)
    text = report_markdown(finished(less, lost), PLAN, laptop(), "Messages")
    assert text.index("Memory ran out.") < text.index("Fewer tokens at once (2,048 → 1,024). It works with less at once.")


def test_a_run_that_was_never_judged_claims_nothing() -> None:
    view = fold("run-1", [Started(pid=1), Ended(outcome="failed", what="The disk is full.", todo="Free some space.")])
    page = report_html(view, {}, laptop(), "Messages")
    assert "This run was not judged on held-out examples." in page
    assert "The disk is full. Free some space." in page
    assert "<polyline" not in page
    assert curve(view) == []
    assert report_markdown(view, {}, laptop(), "x")


def test_numbers_that_broke_do_not_break_the_curve() -> None:
    broken = Stepped(step=81, loss=float("nan"), grad_norm=1, learning_rate=1e-3, tokens=1, tokens_per_second=1, memory_bytes=1)
    points = " ".join(line.points for line in curve(finished(broken)))
    assert "nan" not in points
    assert "inf" not in points


def test_the_learning_rate_and_the_gradient_are_drawn_where_they_moved() -> None:
    moved = [
        Stepped(step=i, loss=1, grad_norm=1 / i, learning_rate=1e-3 / i, tokens=1, tokens_per_second=5, memory_bytes=1)
        for i in range(81, 90)
    ]
    found = {trace.label: (trace.low, trace.high) for trace in traces(finished(*moved))}
    assert found["learning rate"] == ("1.1e-05", "0.001")
    assert set(found) == {"learning rate", "length of the gradient", "tokens per second"}
    assert "the example says: card lost" in report_markdown(finished(), PLAN, laptop(), "Messages")


def test_the_loss_table_says_when_and_with_how_much_memory() -> None:
    view = finished()
    steps = tuple(one.model_copy(update={"time": 100.0 + one.step}) for one in view.steps)
    looks = tuple(Evaluated(step=step, loss=6 / step, n=60) for step in (3, 37, 80))
    timed = view.model_copy(update={"started": 100.0, "steps": steps, "evaluations": looks})
    rows = {line.split()[1]: line for line in report_markdown(timed, PLAN, laptop(), "x").splitlines() if re.match(r"\| \d+ \| ", line)}
    assert rows["80"] == "| 80 | 1 min 20 s | 0.062 | 0.075 | 0.001 | 9 bytes |"
    assert rows["1"].split(" | ")[3] == "–", "nobody looked then"
    assert {"3", "37", "80"} <= rows.keys(), "every look has its row"
    assert len(rows) <= 25


def test_every_setting_stands_there_once_whichever_kind_of_training_has_it() -> None:
    plan = PLAN | {"task": "classify", "image_size": 96, "probe_rounds": 20, "roles": {"a": "b"}, "title": "secret"}
    text = report_markdown(finished(), plan, laptop(), "x")
    settings = text[text.index("## Settings") :]
    assert settings.count("adamw") == 1
    assert "| 96 |" in settings
    assert "| 20 |" in settings
    assert "secret" not in settings


def ended(scores: tuple[Score, ...] = (), **facts: object) -> tuple[str, ...]:
    told = Measured(text="", n_train=10, n_heldout=2, facts=Facts.model_validate({"n_train": 10, "stops": 1, **facts}))
    return endings(fold("run-1", [Started(pid=1), told, Evaluated(split="final", loss=1, n=2, scores=scores)]))


def test_how_answers_end_is_told_as_it_was() -> None:
    assert ended() == ("The model has 1 mark to end an answer with. Every answer ends with one, and it was learned with the answer.",)
    assert "3 examples of 10 did not end with one" in ended(unended=3)[0]
    assert any("filled up with the same mark" in line for line in ended(pads_with_stop=True))
    assert any("One was added" in line for line in ended(template_added=("end",)))
    assert any("1 example loses the end" in line for line in ended(cut=1))
    assert "nothing in them ends an answer" in ended(plain=True)[0]
    assert "not told where to stop" in ended(stops=0)[0]
    assert ended(unit="pixels") == ()
    assert endings(fold("run-1", [Started(pid=1)])) == ()
    score = SCORE.model_copy(update={"name": "ends_turn", "before": 0.25, "after": 1.0, "n": 40})
    assert ended((score,))[-1] == "Of its answers to 40 questions it never saw, 100 % ended by themselves; before, 25 %."
