"""A quick start: what a command's help, the catalogue and the first page open, and what they leave closed.

Modules are looked at, not seconds: a busy machine says nothing about a start. benchmarks/start_up.py says what they cost.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from loralab.core.paths import CHECKOUT

# Each takes longer to open than all of what is asked for here.
SLOW = {"gguf", "gradio", "httpx", "huggingface_hub", "jinja2", "numpy", "pandas", "pyarrow", "sqlite_utils", "tokenizers", "torch"}


def opened(home, *words):
    """What Python says with these words, and the names of the modules it opens for that."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        cwd=CHECKOUT,
        env=os.environ | {"LORALAB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, set(re.findall(r"(?m)^import time: +\d+ \| +\d+ \| +([\w.]+)$", done.stderr))


def tops(names):
    return {name.partition(".")[0] for name in names}


def test_a_help_text_opens_no_room(home):
    said, names = opened(home, "-m", "loralab", "--help")
    assert "models" in said
    assert "typer" in names
    assert tops(names) & (SLOW | {"filelock", "psutil"}) == set()
    ours = {".".join(name.split(".")[:2]) for name in names if name.startswith(("loralab.", "advisor."))}
    assert ours == {"loralab.cli", "loralab.core", "loralab.lab", "loralab.setup", "advisor.cli", "advisor.proposals"}
    assert names & {"loralab.core.events", "loralab.core.records", "loralab.lab.results"} == set()


def test_the_catalogue_opens_no_more_than_it_needs(home):
    said, names = opened(home, "-m", "loralab", "models")
    assert "starter" in said
    assert "loralab.models.catalog" in names
    assert tops(names) & SLOW == set()
    assert names & {"loralab.lab.results", "advisor.advisor"} == set()


def test_the_first_page_needs_nothing_that_is_installed(home):
    # -S: without what is installed
    _, names = opened(home, "-S", "-c", "import launch, loralab.setup.splash")
    assert "loralab.setup.splash" in names
    assert {name for name in names if name.startswith("loralab.core.")} <= {
        "loralab.core.lock",
        "loralab.core.paths",
        "loralab.core.version",
    }
