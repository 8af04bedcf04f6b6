"""The Share tab as a person uses it in a real browser, over run folders as workers leave them; one small export is really made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Ended, EventLog, Noted, Saved, Started
from loralab.core.jobs import ExportJob
from loralab.core.records import Artifact
from tests.conftest import until
from tests.support import gguf_models, tiny
from tests.support.judged_runs import write_run
from tests.ui.test_browser import DRIVEN, SOON, Window, app, browser, window

__all__ = ["app", "browser", "window"]
pytestmark = [*DRIVEN, pytest.mark.browser, pytest.mark.nightly]

CHECK = {"name": "chat_ids", "ok": True, "words": "8 of 8 conversations are read the same.", "numbers": {}, "bound": {}, "told_only": False}
HARM = "<img src=x onerror=\"document.title='taken'\">"


def trained(home: Path, name: str, outcome: str = "finished") -> str:
    """A run on a tiny real base with a real adapter."""
    write_run(home, name, None, outcome=outcome)
    base = home / "models" / "base"
    if not base.is_dir():
        tiny.model_folder(base)
    tiny.adapter_folder(home / "runs" / name / "artifacts" / "adapter", base)
    path = home / "runs" / name / "job.json"
    job = json.loads(path.read_text())
    job["plan"]["base_model"] = str(base)
    path.write_text(json.dumps(job | {"options": {"model": str(base)}}))
    return name


def exported(home: Path, run: str, parity: dict[str, Any], ended: Ended | None = None, **more: Any) -> Path:
    """An export of `run` for Ollama as its worker leaves it; returns its folder."""
    folder = home / "exports" / run / "ollama-q4_k_m"
    folder.mkdir(parents=True)
    (folder / "parity.json").write_text(json.dumps(parity), "utf-8")
    (folder / "README.md").write_text("# It\n\n## How to load it\n\n```sh\nollama run it\n```\n\n## Limits\n", "utf-8")
    work = home / "runs" / f"{run}-away"
    work.mkdir(parents=True)
    options = {"of": run, "format": "ollama", "variant": "q4_k_m"}
    (work / "job.json").write_text(ExportJob.model_validate({"run": work.name, **options}).model_dump_json(), "utf-8")
    result = {**options, "path": str(folder), "folder": str(folder), "bytes": 5_800_000, **more}
    log = EventLog(work / "events.jsonl")
    for event in (Started(pid=1), Noted(text="", phase="writing"), Saved(artifact=Artifact(kind="export", path=str(folder)))):
        log(event)
    log(ended or Ended(outcome="finished", result=result))
    return folder


def choose(shown: Window, run: str) -> None:
    shown.page.locator("#runs [aria-current]").wait_for(state="attached", timeout=SOON)
    shown.page.evaluate("run => document.querySelector(`#runs [data-pick='${run}']`).click()", run)
    shown.page.locator(f"#runs [data-pick='{run}'][aria-current]").wait_for(state="attached", timeout=SOON)
    shown.tab("Share")


def test_a_small_export_is_made_taken_and_found_again(window, home):
    run = trained(home, "whole-run")
    shown = window()
    choose(shown, run)
    shown.page.get_by_label("Keep it").check()
    shown.sees("#way-words", "pass it on")
    shown.sees("#cost", "are free")
    shown.page.get_by_role("button", name="Make it").click()
    shown.sees("#made-card", "It is here")
    with shown.page.expect_download(timeout=SOON) as download:
        shown.page.get_by_text("Download the zip").click()
    assert Path(download.value.path()).read_bytes()[:2] == b"PK"
    with shown.page.expect_download(timeout=SOON) as download:
        shown.page.get_by_role("button", name="Save the run's report").click()
    assert Path(download.value.path()).read_bytes().startswith(b"<!")
    shown.page.get_by_label("In llama.cpp").check()
    shown.page.locator("#made").wait_for(state="hidden", timeout=SOON)
    shown.page.get_by_label("In Python").check()  # the same form as before: it is there
    shown.sees("#guide", "PeftModel.from_pretrained")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_what_was_found_is_said_in_its_colour(window, home, width, height):
    proven = exported(home, trained(home, "good-run"), {"outcome": "proven", "words": f"7 checks passed. {HARM}", "checks": [CHECK]})
    exported(
        home,
        trained(home, "odd-run"),
        {
            "outcome": "differs",
            "words": "It stops too late.",
            "why": "a lost stop token",
            "todo": "Make it again.",
            "checks": [CHECK | {"ok": False}],
        },
    )
    exported(home, trained(home, "blind-run"), {"outcome": "untried", "words": "llama.cpp is not installed.", "checks": []})
    shown = window(width, height)
    choose(shown, "good-run")
    shown.page.get_by_label("In Ollama").check()
    shown.sees("#made-card .verdict.good", "Proven")
    shown.sees("#made-card .path", str(proven))
    shown.sees("#made-then", "list of models in Ollama's window")
    assert not shown.page.locator("#guide").is_visible(), "lines for a terminal are folded away"
    shown.page.locator("#lines > button").click()
    shown.sees("#guide", "ollama run it")
    shown.page.locator("#made-card summary").click()
    shown.sees("#made-card .checked", "8 of 8 conversations")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    choose(shown, "odd-run")
    shown.sees("#made-card .verdict.error", "Probably: a lost stop token")
    shown.sees("#made-card h2", "not to be relied on")
    assert not shown.page.locator("#guide").is_visible(), "nobody is shown how to use what is not to be used"
    choose(shown, "blind-run")
    shown.sees("#made-card .verdict.warning", "Not proven")
    assert shown.page.locator("#made-card .good").count() == 0
    assert shown.page.title() == "LoRALab"


def test_every_obstacle_is_a_sentence(window, home):
    trained(home, "early-run", "stopped")
    write_run(home, "empty-run", None, outcome="failed", adapter=False)
    hurt = Ended(outcome="failed", what="The disk ran full.", todo="Free some space.")
    exported(home, trained(home, "full-run"), {"outcome": "untried"}, hurt)
    lost = json.loads((home / "runs" / "early-run" / "job.json").read_text())
    trained(home, "lost-run")
    (home / "runs" / "lost-run" / "job.json").write_text(json.dumps(lost | {"run": "lost-run", "options": {"model": str(home / "gone")}}))
    shown = window()
    choose(shown, "early-run")
    shown.sees("#place", "was stopped early")
    choose(shown, "empty-run")
    shown.sees("#place", "left nothing to take away")
    choose(shown, "full-run")
    shown.page.get_by_label("In Ollama").check()
    shown.sees("#making", "The disk ran full.")
    choose(shown, "lost-run")
    shown.sees("#cost", "The base model is not on this computer any more.")
    make = shown.page.get_by_role("button", name="Make it")
    until(make.is_disabled)
    shown.page.get_by_label("Keep it").check()  # what was learned can still be kept
    shown.sees("#cost", "are free")
    until(make.is_enabled)


def test_an_adapter_from_elsewhere_is_dropped_and_becomes_a_run(window, home, tmp_path):
    run = trained(home, "whole-run")
    base = home / "models" / "base"
    tiny.adapter_folder(tmp_path / "given" / "my-lora", base)
    archive = shutil.make_archive(str(tmp_path / "my-lora"), "zip", tmp_path / "given")
    wide = gguf_models.adapter_folder(tmp_path / "wide", gguf_models.model_folder(tmp_path / "wide-base", hidden_size=128))
    shown = window()
    choose(shown, run)
    shown.page.locator("#bring-in").get_by_text("Import an adapter").click()
    shown.page.locator("#drop-adapter input[type=file]").set_input_files([wide / "adapter_config.json", wide / "adapter_model.safetensors"])
    shown.sees("#drop-adapter", "adapter_model")
    shown.page.locator("#import-base input").fill(str(base))
    shown.page.locator("#import-base input").press("Tab")
    shown.page.get_by_role("button", name="Import it").click()
    shown.sees(".said.here", "does not fit the base model “base”")
    assert len(list((home / "runs").iterdir())) == 1, "nothing is left of what did not fit"

    shown = window()
    choose(shown, run)
    shown.page.locator("#bring-in").get_by_text("Import an adapter").click()
    shown.page.locator("#drop-adapter input[type=file]").set_input_files(archive)
    shown.sees("#drop-adapter", "my-lora")
    shown.page.get_by_role("button", name="Import it").click()
    shown.sees("#brought", "“my-lora” is here, made with PEFT")
    shown.sees("#runs [aria-current]", "my-lora")
    shown.page.get_by_label("Keep it").check()
    shown.sees("#cost", "are free")
