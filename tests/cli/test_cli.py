"""The command line: one JSON object on standard output, exit codes, and a run that is left to itself."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.labfail.make.texts import TEXTS
from loralab.cli import app
from loralab.core.paths import CHECKOUT
from loralab.runs import runs
from tests.conftest import ended, until

pytestmark = pytest.mark.worker

TRAIN_KEYS = {
    "run",
    "outcome",
    "adapter",
    "base_loss",
    "adapter_loss",
    "n_heldout",
    "steps",
    "seconds",
    "tokens_per_second",
    "peak_memory_bytes",
}


@pytest.fixture
def lora(home, monkeypatch, capsys):
    """`lora("runs", "--json")` -> (exit code, standard output, standard error), in this process."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["loralab", *map(str, words)])
        try:
            code = app.main()
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def plan(tmp_path, fake):
    """Writes a plan file of the fake task."""

    def write(**settings):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"task": "fake", **settings}))
        return path

    return write


def one(text):
    """The one JSON object a command printed."""
    assert len(text.splitlines()) == 1
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not strict JSON"))


# ---- every command ---------------------------------------------------------------------------------------------------------


def test_training_tells_a_script_what_it_relies_on(lora, plan):
    code, out, err = lora("train", "--plan", plan(max_steps=4), "--json")
    report = one(out)
    assert code == 0
    assert set(report) >= TRAIN_KEYS
    assert (report["outcome"], report["steps"], report["n_heldout"]) == ("finished", 4, 8)
    assert (report["base_loss"], report["adapter_loss"]) == (5.0, 1.25)
    assert report["samples"][0]["after"] == "4"
    assert "step 4/4" in err


def test_set_changes_the_plan_and_detach_comes_back_at_once(lora, plan, home):
    code, out, _ = lora("train", "--plan", plan(step_seconds=0.1), "--set", "max_steps=30", "--set", "title=My run", "--detach", "--json")
    run = one(out)["run"]
    assert code == 0
    assert runs.view(home, run).active
    assert runs.job(home, run).plan["max_steps"] == 30
    code, out, _ = lora("stop", run, "--json")
    assert (code, one(out)["run"]) == (0, run)
    assert ended(home, run).state == "stopped"
    code, out, _ = lora("resume", run, "--json")
    report = one(out)
    assert (code, report["outcome"], report["steps"]) == (0, "finished", 30)
    assert set(report) >= TRAIN_KEYS


def test_what_waits_is_listed_moved_and_removed(lora, plan, home):
    begun = [one(lora("train", "--plan", plan(max_steps=400, step_seconds=0.05), "--detach", "--json")[1])["run"] for _ in range(3)]
    going, first, second = begun
    code, out, _ = lora("queue", "--json")
    assert code == 0
    assert [(turn["run"], turn["position"]) for turn in one(out)["queue"]] == [(going, 0), (first, 1), (second, 2)]
    code, out, _ = lora("queue", "--move", second, "--to", "1")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["now", going], ["1", second], ["2", first]]
    code, out, _ = lora("queue", "--remove", second, "--json")
    assert (code, [turn["run"] for turn in one(out)["queue"]]) == (0, [going, first])
    assert runs.view(home, second).state == "stopped"
    code, _, err = lora("queue", "--remove", second)
    assert (code, len(err.splitlines())) == (1, 1)
    code, out, _ = lora("stop", first, "--json")
    assert (code, one(out)["outcome"]) == (0, "stopped")


def test_a_run_that_fails_is_exit_code_three_and_still_one_object(lora, plan):
    code, out, err = lora("train", "--plan", plan(breaks="raise"), "--json")
    report = one(out)
    assert code == 3
    assert report["outcome"] == "failed"
    assert "told to raise" in report["problem"]["what"]
    assert "told to raise" in err


def test_a_worker_that_is_killed_is_exit_code_three(lora, plan):
    code, out, _ = lora("train", "--plan", plan(breaks="kill"))
    assert code == 3
    assert "Something ended the training" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "Name a file"),
        (["train", "no/such/file.csv"], "There is no file"),
        (["train", "customer_messages", "--set", "rank"], "--set name=value"),
        (["train", "customer_messages", "--set", "rank=0"], "rank"),
        (["train", "customer_messages", "--set", "rnak=8"], "no setting called “rnak”"),
        (["train", "--plan", "no.json"], "no plan file"),
        (["show", "nope"], "no run called"),
        (["show"], "no run yet"),
        (["stop", "nope"], "no run called"),
        (["resume", "nope"], "no run called"),
        (["queue", "--remove", "nope"], "no run called"),
        (["queue", "--move", "nope"], "not waiting"),
        (["chat"], "no run yet"),
        (["pretrain", "nothing.jsonl"], "There is no file"),
    ],
)
def test_a_persons_mistake_is_exit_code_one_and_one_line(lora, home, words, said):
    code, out, err = lora(*words)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.splitlines()) == 1
    code, out, _ = lora(*words, "--json")
    assert code == 1
    assert said in one(out)["problem"]["what"] + one(out)["problem"]["todo"]


@pytest.mark.parametrize("words", [["fly"], ["train", "--colour"], ["show", "a", "b"]])
def test_a_wrong_command_line_is_exit_code_two(lora, words):
    code, out, err = lora(*words)
    assert (code, out) == (2, "")
    assert err


def test_a_finished_run_is_shown_and_listed(lora, plan):
    _, out, _ = lora("train", "--plan", plan(title="Shown"), "--json")
    run = one(out)["run"]
    code, out, _ = lora("runs", "--json")
    assert code == 0
    assert [(row["id"], row["title"], row["state"]) for row in one(out)["runs"]] == [(run, "Shown", "finished")]
    code, out, _ = lora("show", "--json")
    shown = one(out)
    assert (code, shown["run"], shown["plan"]["title"]) == (0, run, "Shown")
    code, out, err = lora("show", run)
    assert code == 0
    assert "fish" in out
    assert err == ""


@pytest.mark.parametrize("command", ["doctor", "models", "runs", "queue"])
def test_looking_around_works_in_an_empty_workspace(lora, command):
    code, out, _ = lora(command, "--json")
    assert code == 0
    assert one(out)
    code, out, _ = lora(command)
    assert code == 0
    assert len(out) > 5


def test_home_is_where_the_person_says(lora, plan, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    _, out, _ = lora("train", "--plan", plan(), "--json", "--home", elsewhere)
    assert (elsewhere / "runs" / one(out)["run"] / "events.jsonl").is_file()


# ---- Ctrl-C, in a real terminal ---------------------------------------------------------------------------------------------


def in_a_terminal(*words):
    """The command line as the leader of a terminal of its own; returns the process and the terminal's end to read."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "loralab", *map(str, words)]
    # a shell starts what runs in the background deaf to Ctrl-C, and children inherit that: a person's terminal is not deaf
    deaf = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, deaf)
    os.close(theirs)
    return process, ours


def read_all(ours):
    text = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 4096):
            text += piece
    return text.decode("utf-8", "replace")


def the_run(home):
    found = until(lambda: runs.list_runs(home))[0]
    until(lambda: runs.view(home, found).step >= 2)
    time.sleep(1.0)  # until the line has been drawn
    return found


def test_ctrl_c_saves_and_stops(home, plan):
    process, ours = in_a_terminal("train", "--plan", plan(max_steps=400, step_seconds=0.05))
    run = the_run(home)
    process.send_signal(signal.SIGINT)
    text = read_all(ours)
    assert process.wait(60) == 0
    assert "Saving and stopping" in text
    assert "tokens/s" in text
    assert runs.view(home, run).state == "stopped"


def test_a_second_ctrl_c_leaves_without_waiting_and_the_run_goes_on(home, plan):
    process, ours = in_a_terminal("train", "--plan", plan(breaks="hang"))
    run = the_run(home)
    process.send_signal(signal.SIGINT)
    until((home / "runs" / run / "stop").exists)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    text = read_all(ours)
    assert process.wait(60) == 0
    assert "goes on in the background" in text
    assert runs.view(home, run).active


# ---- the whole way on the starter ---------------------------------------------------------------------------------------------


def test_what_was_learned_is_exported_and_answers(lora, learned, home):
    run = learned.copy(home)
    code, out, err = lora("export", run, "--json")
    assert code == 0, err
    files = one(out)["files"]
    assert files
    assert all(Path(path).exists() for path in files)
    code, out, err = lora("chat", run, "--prompt", "What is the colour of grass?", "--json")
    assert code == 0, err
    assert one(out)["active_adapters"]
    code, out, err = lora("chat", run, "--prompt", "What is the colour of grass?", "--base", "--json")
    assert code == 0, err
    assert one(out)["active_adapters"] == []


@pytest.mark.nightly
def test_a_file_goes_in_and_an_adapter_comes_out(lora, tmp_path):
    rows = (TEXTS / "class_chatbot.jsonl").read_text("utf-8").splitlines()[:40]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(rows), "utf-8")
    code, out, _ = lora("data", file, "--json")
    profile = one(out)
    assert code == 0
    assert profile["n_kept"] + len(profile["left_out"]) == profile["n_read"] == 40
    code, out, err = lora("train", file, "--model", "starter", "--set", "max_steps=6", "--set", "max_length=128", "--json")
    report = one(out)
    assert code == 0, err
    assert report["outcome"] == "finished"
    assert report["adapter_loss"] < report["base_loss"]
    assert len(report["samples"]) == 5
    assert (Path(report["adapter"]) / "adapter_model.safetensors").is_file()
    card = (Path(report["adapter"]) / "README.md").read_text("utf-8")
    assert f"{report['adapter_loss']:.2f}" in card, "the card that lies with the adapter has this run's numbers"
    code, out, err = lora("train", "--plan", Path(report["adapter"]) / "plan.json", "--set", "max_steps=1", "--json")
    assert code == 0, err
    assert one(out)["base_loss"] == pytest.approx(report["base_loss"], abs=1e-4), "the plan that lies with it repeats the run"
    code, out, err = lora("evaluate", report["run"], "--json")
    assert code == 0, err
    judged = {score["name"]: score for score in one(out)["scores"]}
    assert judged["loss"]["n"] == report["n_heldout"]
    assert judged["loss"]["after"] == pytest.approx(report["adapter_loss"], abs=1e-3)


def test_the_demonstration_ends_in_one_object_and_in_two_columns(lora, home, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, err = lora("demo", "--set", "max_steps=4", "--json")
    told = one(out)
    assert code == 0, err
    assert set(told) >= {"run", "base_loss", "adapter_loss", "n_heldout", "samples", "adapter", "seconds", "tokens_per_second"}
    assert told["adapter_loss"] < told["base_loss"]
    assert len(told["samples"]) == 5
    assert Path(told["adapter"]).is_relative_to(home)
    assert (Path(told["adapter"]) / "adapter_config.json").is_file()
    assert err.count("before") >= 3
    assert err.count(" │ ") > 6
    assert "python launch.py" in err
