"""A language model is fetched only after its size was told, whole or not at all, by the real worker from an imitation of the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.assistant import models, offers
from advisor.cli import commands
from loralab.cli import app
from loralab.lab import Lab
from loralab.runs import runs
from tests.conftest import until
from tests.support.fake_hub import fake_hub

pytestmark = pytest.mark.worker

SMALL = offers.OFFERS[0]
GGUF = b"GGUF" + bytes(range(256)) * 8000  # 2 MB


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The imitation, with the hub library of this process and of the workers pointed at it."""
    from huggingface_hub import constants

    with fake_hub({SMALL.hub_id: {SMALL.file: GGUF, "other.gguf": GGUF, "README.md": b"card"}}) as found:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield found


def fetched(lab: Lab) -> Any:
    run = offers.fetch(lab, SMALL)
    return until(lambda: not runs.view(lab.home, run).active and runs.view(lab.home, run), 90)


def test_the_file_that_was_offered_comes_whole_and_alone(web: Any, lab: Lab) -> None:
    view = fetched(lab)
    assert view.state == "finished", view.ending
    place = models.models_dir(lab.home) / SMALL.file
    assert place.read_bytes() == GGUF
    assert [path.name for path in (lab.home / "models").iterdir()] == ["advisor"], "nothing is left of the download"
    assert not any("other.gguf" in asked for asked, _ in web.asked)
    assert lab.models(), "the catalogue of base models does not stumble over it"
    asked = len(web.asked)
    assert fetched(lab).state == "finished"
    assert len(web.asked) == asked, "and is not fetched again"


def test_what_is_no_model_is_not_kept(web: Any, lab: Lab) -> None:
    web.models[SMALL.hub_id][SMALL.file] = b"<html>sign in</html>"
    view = fetched(lab)
    assert view.state == "failed"
    assert "not a GGUF file" in view.ending.what
    assert not (models.models_dir(lab.home) / SMALL.file).exists()


def test_the_size_is_told_before_and_no_means_no(web: Any, home: Path, lab: Lab) -> None:
    if not any(
        command.name == "voice" or command.callback.__name__ == "voice" for command in app.app.registered_commands if command.callback
    ):
        commands.register(app.app)
    assert offers.question(lab, SMALL) == f"Download {SMALL.file} from {SMALL.hub_id} (2.0 MB, licence Apache-2.0)?"
    before = [asked for asked, _ in web.asked if "/resolve/" in asked]
    done = CliRunner().invoke(app.app, ["voice", "--download", "small", "--home", str(home)], input="n\n")
    assert done.exit_code == 0, done.output
    assert [asked for asked, _ in web.asked if "/resolve/" in asked] == before
    assert not (models.models_dir(home) / SMALL.file).exists()


def test_without_a_network_the_question_still_names_a_size(lab: Lab) -> None:
    assert "about 1.1 GB" in offers.question(lab, SMALL)
