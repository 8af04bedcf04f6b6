"""The page for Prometheus: held against a real Prometheus and its own checker; read from run folders and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Ended, Event, Incident, Queued, Started, Stepped, append
from loralab.core.jobs import TrainJob
from loralab.lab import Lab
from loralab.telemetry import followed, grafana
from tests.conftest import until
from tests.telemetry.test_serving import answered

tool = pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not on this computer")


def step(number: int, loss: float = 2.0, total: int = 0) -> Stepped:
    about = {"tokens": 100, "tokens_per_second": 50.0, "memory_bytes": 1000}
    return Stepped.model_validate({"step": number, "loss": loss, "grad_norm": 1.0, "learning_rate": 1e-3, "total_steps": total} | about)


def write(home: Path, run: str, *events: Event, **plan: str) -> Path:
    folder = home / "runs" / run
    folder.mkdir(parents=True, exist_ok=True)
    job = TrainJob(run=run, plan={"task": "text", **plan})
    (folder / "job.json").write_text(job.model_dump_json())
    append(folder / "events.jsonl", *events)
    return folder


def numbers(page: str) -> dict[str, float]:
    """Samples by name and labels."""
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in page.splitlines() if line and line[0] != "#"}


def checked(page: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)


def test_the_page_tells_where_a_run_is_and_its_totals_only_grow(lab: Lab, home: Path) -> None:
    write(home, "a", Queued(), Started(pid=1), step(1, total=9), step(2), dataset="/secret/place/my file.csv", base_model="/secret/model")
    page = lab.metrics()
    found = numbers(page)
    assert found['loralab_step{run="a"}'] == 2
    assert found['loralab_tokens_total{run="a"}'] == 200
    assert found['loralab_run_state{run="a",state="running"}'] == 1
    assert 'data="my file.csv"' in page
    assert 'model="model"' in page
    assert "secret" not in page, "no path of this computer"
    append(home / "runs" / "a" / "events.jsonl", Started(pid=2, resumed=True), step(1, loss=float("nan")))
    after = numbers(lab.metrics())
    assert after['loralab_step{run="a"}'] == 1
    assert after['loralab_tokens_total{run="a"}'] == 300, "work done again was done"
    assert after['loralab_train_loss{run="a"}'] != after['loralab_train_loss{run="a"}'], "a loss that is no number is told as that"


def test_what_was_noticed_and_changed_is_told_in_words_at_its_moment(lab: Lab, home: Path) -> None:
    change = Adjusted(setting="learning_rate", before=1e-3, after=5e-4, reason="the loss grew", time=time.time() - 5)
    write(home, "a", Started(pid=1), Incident(code="diverged", text="The loss grew without end."), change, Ended(outcome="failed"))
    found = numbers(lab.metrics())
    words = [label for label in found if label.startswith("loralab_moment")]
    assert any("The loss grew without end." in label for label in words)
    moment = next(label for label in words if 'kind="adjusted"' in label)
    assert "Smaller corrections (learning rate 0.001 → 0.0005), because the loss grew." in moment
    assert found[moment] == pytest.approx(change.time)
    assert found['loralab_incidents_total{kind="diverged",run="a"}'] == 1


def test_the_number_of_series_is_bounded(lab: Lab, home: Path) -> None:
    many = [Incident(code="bad_row", text=f"Example {n} broke an update.") for n in range(500)]
    for run in range(followed.MOST_RUNS + 5):
        write(home, f"run-{run}", Started(pid=1), *many)
    page = lab.metrics()
    assert page.count("loralab_run_info{") == followed.MOST_RUNS
    assert page.count("loralab_moment_timestamp_seconds{") == followed.MOST_RUNS * followed.MOST_EVENTS


def test_a_run_leaves_the_page_a_day_after_its_end(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "a", Started(pid=1), step(1), Ended(outcome="finished"))
    assert 'run="a"' in lab.metrics()
    now = time.time()
    monkeypatch.setattr(followed.time, "time", lambda: now + followed.DAY + 1)
    assert 'run="a"' not in lab.metrics()


def test_a_folder_that_cannot_be_read_takes_no_other_off_the_page(lab: Lab, home: Path) -> None:
    write(home, "good", Started(pid=1), step(1))
    broken = write(home, "broken", Started(pid=1))
    (broken / "job.json").write_text("{")
    (home / "runs" / "half").mkdir()
    (write(home, "torn", Started(pid=1), step(7)) / "events.jsonl").open("ab").write(b'{"type":"step')
    page = lab.metrics()
    assert 'loralab_step{run="good"}' in page
    assert 'loralab_step{run="torn"} 7.0' in page
    assert "broken" not in page


def test_looking_writes_nothing_into_a_run(lab: Lab, home: Path) -> None:
    """Also not the ending of one whose worker is gone: that is for those who keep runs."""
    folder = write(home, "a", Started(pid=2**30), step(1))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lab.metrics()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@tool
def test_prometheus_own_checker_finds_nothing_to_say_of_the_page_and_the_rules(lab: Lab, home: Path, tmp_path: Path) -> None:
    write(home, "a", Started(pid=1), step(1), Incident(code="diverged", text='Quotes " and \\ and\nlines.'), Ended(outcome="finished"))
    answer = checked(lab.metrics())
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")
    assert checked("camelCase_total 1\n").returncode, "the checker does look"
    lab.grafana(tmp_path / "grafana", 9464)
    for command in (["check", "rules", "alerts.yml"], ["check", "config", "prometheus.yml"], ["test", "rules", "tests.yml"]):
        (tmp_path / "grafana" / "tests.yml").write_text(RULES)
        subprocess.run(["promtool", *command], cwd=tmp_path / "grafana", check=True, capture_output=True)


RULES = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'loralab_run_state{run="bad",state="failed"}', values: '0x2 1x30'}
      - {series: 'loralab_run_state{run="good",state="failed"}', values: '0x40'}
      - {series: 'loralab_run_state{run="still",state="running"}', values: '1x60'}
      - {series: 'loralab_step{run="still"}', values: '5x60'}
      - {series: 'loralab_run_state{run="moves",state="running"}', values: '1x60'}
      - {series: 'loralab_step{run="moves"}', values: '0+1x60'}
    alert_rule_test:
      - eval_time: 10m
        alertname: TrainingFailed
        exp_alerts:
          - exp_labels: {severity: warning, run: bad, state: failed}
            exp_annotations:
              summary: bad has ended without a result
              description: "Open the run: its page says what happened and what to do."
      - eval_time: 40m
        alertname: NothingMoves
        exp_alerts:
          - exp_labels: {severity: warning, run: still}
            exp_annotations:
              summary: still has made no update for a quarter of an hour
              description: "It may be judging, or waiting for a battery, a cool machine or a disk: its page says which."
"""


@pytest.mark.worker
@tool
def test_a_real_prometheus_reads_a_training_and_every_chart_of_the_dashboard_is_answered(lab: Lab, fake, tmp_path: Path) -> None:
    answered(lab.home)
    run = fake(max_steps=4000)
    until(lambda: lab.view(run).step > 2)
    (tmp_path / "settings.yml").write_text("global: {scrape_interval: 1s}\n")
    port, end = lab.serve_metrics()
    lab.grafana(tmp_path / "g", port)
    settings = tmp_path / "g" / "prometheus.yml"
    settings.write_text(settings.read_text().replace("5s", "1s"))
    free, stop = lab.serve_metrics()  # a port that is free a moment later
    stop()
    call = [
        "prometheus",
        f"--config.file={settings}",
        f"--storage.tsdb.path={tmp_path / 'store'}",
        f"--web.listen-address=127.0.0.1:{free}",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(call, stdout=log, stderr=log) as process:
        try:
            until(lambda: _asked(free, f'loralab_step{{run="{run}"}} > 0'))
            until(lambda: _asked(free, f'rate(loralab_tokens_total{{run="{run}"}}[10s])'))
            append(lab.home / "runs" / run / "events.jsonl", Incident(code="diverged", text="The loss grew."))
            until(lambda: _asked(free, f'loralab_moment_timestamp_seconds{{run="{run}"}} * 1000'))
            silent = [expr for expr in _expressions() if not _asked(free, expr.replace("$run", ".*").replace("[1m]", "[10s]"))]
            known = {"gpu", "measure", "verdict", "adjustments", "eval_loss", "seconds_left"}  # no card, not judged, nothing changed yet
            assert [expr for expr in silent if not any(word in expr for word in known)] == []
            assert not _asked(free, "loralab_no_such_name"), "an unknown name is not answered"
        finally:
            process.terminate()
            end()


def _expressions() -> list[str]:
    return [target["expr"] for panel in grafana.dashboard()["panels"] for target in panel["targets"]]


def _asked(port: int, expr: str) -> list[object]:
    """What Prometheus answers; nothing while it is not up. An expression that it cannot read fails the test."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expr)}", timeout=10) as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as error:
        if error.code == 400:
            raise AssertionError(error.read().decode()) from error
        return []
    except OSError:
        return []


def test_every_name_that_dashboard_and_rules_ask_for_is_on_the_page(lab: Lab) -> None:
    made = set(re.findall(r"^# TYPE (\w+)", lab.metrics(), re.MULTILINE))
    rules = (grafana.BUNDLED / "alerts.yml").read_text()
    moments = grafana.dashboard()["annotations"]["list"][0]["expr"]
    names = r"\b(?:loralab|gen_ai_(?:server|client))_\w+"
    asked = {name for text in (*_expressions(), rules, moments) for name in re.findall(names, text)}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) if name.startswith("gen_ai") else name for name in asked} <= made
    assert len(asked) > 12


def test_the_dashboard_can_be_drawn() -> None:
    """What Grafana needs: panels with numbers of their own, no two in one place, within its 24 columns, the source a variable."""
    board = grafana.dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not taken & cells
        taken |= cells
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${DS_PROMETHEUS}"}
    assert json.loads(json.dumps(board)) == board


def test_a_folder_with_other_files_a_taken_port_and_a_wrong_name_are_refused(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        lab.grafana(tmp_path, 9464)
    port, end = lab.serve_metrics()
    try:
        with pytest.raises(UserError, match="is in use"):
            lab.serve_metrics(port)
    finally:
        end()
    with pytest.raises(UserError, match="would not be read"):
        lab.keep_metrics(tmp_path / "page.txt")
    assert lab.keep_metrics(tmp_path / "page.prom").read_text().startswith("# HELP loralab_")
