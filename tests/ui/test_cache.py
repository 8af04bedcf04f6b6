"""The fold about downloaded models says what they take, warns over the limit, and makes room only of what LoRALab downloaded."""

from __future__ import annotations

import json
import re

from loralab.models.catalog import MARKER
from ui.settings import read_settings, remember
from ui.tabs.plan.downloaded import cache_html


def downloaded(home, name, size):
    folder = home / "models" / name
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"\0" * size)
    (folder / MARKER).write_text(json.dumps({"model": name.replace("--", "/")}), "utf-8")
    return folder


def test_over_the_limit_it_warns_and_making_room_keeps_what_is_chosen_and_what_is_yours(home, lab):
    assert "over your limit" not in cache_html(lab)
    old, chosen = downloaded(home, "a--old", 2_000_000), downloaded(home, "b--chosen", 2_000_000)
    yours = home / "models" / "yours"
    yours.mkdir()
    (yours / "model.safetensors").write_bytes(b"\0" * 100)
    assert "4.0 MB in all" in re.sub(r"<[^>]+>", "", cache_html(lab))
    remember(home, {"cache_gb": 0.001})
    assert "3.0 MB over your limit" in cache_html(lab)
    assert lab.make_room(round(read_settings(home).cache_gb * 1e9), (str(chosen),)) == ["a--old"]
    assert not old.exists()
    assert chosen.exists()
    assert yours.exists()
