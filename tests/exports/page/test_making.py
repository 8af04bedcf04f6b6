"""Making a page: what goes into it and what never does, what its policy allows, what the gate finds, and putting it where it is wanted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loralab.core.errors import LabError, UserError
from loralab.exports import formats, job
from loralab.exports.copying import copy_out
from loralab.exports.page import assets, document, known, text
from loralab.exports.pictures import page as picture_format
from tests.support import pages, picture_runs
from tests.support.learned import Learned

TOLD: dict[str, Any] = {
    "title": "<b>Ours</b>",
    "what": "A model.",
    "version": "1",
    "warning": "",
    "answers": [("Did it learn?", "Yes", "It did.")],
    "scores": [],
    "limits": ["None."],
    "unjudged": "",
    "shown": "",
    "adapter": True,
}


def page(parts: dict[str, Path], **settings: Any) -> document.Page:
    return document.Page(TOLD, settings, parts, assets.LLAMA_CODE, ("common.js", "text.js"), "text.html.jinja")


# ---- the file --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, document.PIECE - 1, document.PIECE, document.PIECE + 1])
def test_what_is_put_into_a_page_comes_out_again(tmp_path: Path, size: int) -> None:
    part = tmp_path / "part.bin"
    part.write_bytes(np.random.default_rng(size).bytes(size))
    document.write(page({"part.bin": part}, known="</script><b>"), tmp_path / "page.html")
    (tmp_path / "room").mkdir()
    found = document.parts_into(tmp_path / "page.html", tmp_path / "room")
    assert found["part.bin"].read_bytes() == part.read_bytes()
    assert document.known_answers(tmp_path / "page.html")["known"] == "</script><b>"


def test_the_policy_allows_no_connection_and_names_every_script_by_its_checksum(tmp_path: Path) -> None:
    part = tmp_path / "part.bin"
    part.write_bytes(b"numbers")
    document.write(page({"part.bin": part}), tmp_path / "page.html")
    whole = (tmp_path / "page.html").read_text("utf-8")
    policy = whole.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    assert "default-src &#39;none&#39;" in policy
    assert "connect-src &#39;none&#39;" in policy
    assert "unsafe-inline" not in policy
    assert "&#39;unsafe-eval&#39;" not in policy
    assert policy.count("sha256-") == 4, "three scripts and a style"
    assert "&lt;b&gt;Ours&lt;/b&gt;" in whole, "what people wrote is letters"
    assert "<b>Ours" not in whole
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", whole)
    assert "cdn.jsdelivr.net" not in whole


def test_what_is_no_page_or_was_cut_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>", "utf-8")
    with pytest.raises(UserError, match="not a page that LoRALab made"):
        document.parts_into(tmp_path / "page.html", tmp_path)
    with pytest.raises(LabError, match="There are 0 pages"):
        text.place_of(tmp_path / "none")


def test_only_the_very_files_that_were_vendored_get_into_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (assets.LLAMA, assets.LLAMA_CODE, assets.ONNX, assets.ONNX_CODE, "wllama/LICENCE", "onnxruntime/LICENSE"):
        assert assets.vendored(name)
    assert assets.library(assets.LLAMA_CODE).count("llamaProgram") == 1
    assert "globalThis.onnxruntime" in assets.library(assets.ONNX_CODE)
    for name in ("SHA256SUMS", assets.LLAMA_CODE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((assets.WEB / name).read_bytes())
    monkeypatch.setattr(assets, "WEB", tmp_path)
    assert assets.library(assets.LLAMA_CODE)
    (tmp_path / assets.LLAMA_CODE).write_bytes(b"//" + (tmp_path / assets.LLAMA_CODE).read_bytes())
    with pytest.raises(LabError, match="damaged or gone"):
        assets.library(assets.LLAMA_CODE)


def test_every_colour_of_words_stands_out_from_what_lies_behind_it() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1; of lines that mark a control 3 to 1."""
    for block in re.findall(r":root \{([^}]*)\}", assets.ours("page.css")):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))
        for front, behind, least in (
            *((front, behind, 4.5) for front in ("ink", "quiet", "accent", "good", "bad") for behind in ("card", "paper")),
            ("on", "accent", 4.5),
            ("good", "soft", 4.5),
            ("ink", "soft", 4.5),
            ("quiet", "soft", 4.5),
            ("bad", "bad-soft", 4.5),
            ("warn", "warn-soft", 4.5),
        ):
            assert contrast(colours[front], colours[behind]) >= least, (front, behind)


def contrast(first: str, second: str) -> float:
    lights = sorted((light(first), light(second)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def light(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- known answers ---------------------------------------------------------------------------------------------------------


class Sure:
    """A runtime that says 1, 2, 3 to everything, and is certain of the first `sure` of them."""

    def __init__(self, sure: int) -> None:
        self.sure = sure

    def chat_ids(self, messages: Any) -> list[int]:
        return [0] * len(messages)

    def generate(self, ids: Any, limit: int) -> list[int]:
        del ids
        return [1, 2, 3][:limit]

    def tail(self, ids: list[int], start: int) -> Any:
        logits = np.zeros((len(ids) - start, 5))
        for i in range(3):
            logits[i, i + 1] = 1.0 if i < self.sure else 0.01
        return logits

    def ends(self, token: int) -> bool:
        return token == 3


@pytest.mark.parametrize(("sure", "tokens"), [(3, [1, 2]), (2, [1, 2]), (1, [1])])
def test_a_known_answer_goes_as_far_as_it_is_certain(sure: int, tokens: list[int]) -> None:
    found = known.known(Sure(sure))
    assert len(found) == known.ASKED
    assert all(one["tokens"] == tokens for one in found)


def test_a_model_that_is_certain_of_nothing_makes_no_page() -> None:
    with pytest.raises(LabError, match="unsure of every word"):
        known.known(Sure(0))


# ---- what is offered -------------------------------------------------------------------------------------------------------


def test_a_model_too_large_for_a_browser_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.exports import answering_page

    form = formats()["page"]
    source: Any = SimpleNamespace(adapter=Path("nowhere"), model=Path("nowhere"), variant="q8_0")
    monkeypatch.setattr(answering_page.gguf_model, "refuse", lambda source: None)
    monkeypatch.setattr(answering_page.gguf_model, "missing", lambda: None)
    monkeypatch.setattr(answering_page.gguf_model, "size_bytes", lambda source: 10_000_000)
    assert form.refuse(source) is None
    monkeypatch.setattr(answering_page.gguf_model, "size_bytes", lambda source: 3_000_000_000)
    problem = form.refuse(source)
    assert problem is not None
    assert problem.code == "too_large"
    assert set(formats("classify")["page"].variants) == set(picture_format.NAMES)


# ---- where it is put -------------------------------------------------------------------------------------------------------


def exported(folder: Path, **more: Any) -> dict[str, Any]:
    folder.mkdir()
    (folder / "mine.html").write_text("whole", "utf-8")
    return {"folder": str(folder), "file": "mine.html", "parity": "proven", **more}


def test_it_is_put_as_a_file_or_into_a_folder_and_nothing_else_is_touched(tmp_path: Path) -> None:
    told = exported(tmp_path / "made")
    assert copy_out(told, tmp_path / "stick" / "page.html").read_text("utf-8") == "whole"
    assert copy_out(told, tmp_path / "stick") == tmp_path / "stick" / "mine.html"
    assert sorted(path.name for path in (tmp_path / "stick").iterdir()) == ["mine.html", "page.html"]
    large = told | {"single": False}
    with pytest.raises(UserError, match="too large for one file"):
        copy_out(large, tmp_path / "page.html")
    with pytest.raises(UserError, match="something in it"):
        copy_out(large, tmp_path / "stick")
    assert (copy_out(large, tmp_path / "new") / "mine.html").read_text("utf-8") == "whole"


@pytest.mark.parametrize(("change", "words"), [({"parity": "differs"}, "does not answer as"), ({"folder": "gone"}, "not there any more")])
def test_what_is_not_proven_or_gone_is_not_handed_out(tmp_path: Path, change: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        copy_out(exported(tmp_path / "made") | change, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# ---- the gate --------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_of_an_adapter_that_cannot_be_laid_over_its_base_both_are_one(learned: Learned, tmp_path: Path) -> None:
    """And the gate finds numbers that are not the trained ones, in a page that is whole otherwise."""
    home = tmp_path / "home"
    run = learned.copy(home)
    adapter = home / "runs" / run / "artifacts" / "adapter"
    source = replace(job.open_source(home / "runs", run, str(home / "models" / "base"), str(adapter)), variant="f16")
    over, alone = tmp_path / "over", tmp_path / "alone"
    for target in (over, alone):
        target.mkdir()
    assert text.export(source, over, lambda phase: None)["adapter"] is True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text.gguf_adapter, "refuse", lambda source: "it cannot be laid over its base")
        told = text.export(source, alone, lambda phase: None)
    assert told["adapter"] is False
    (tmp_path / "room").mkdir()
    assert text.LEARNED not in document.parts_into(alone / told["file"], tmp_path / "room")
    assert document.known_answers(alone / told["file"])["adapter"] is False

    from loralab.exports._files import encoder_of
    from loralab.exports.parity.gate import trained
    from loralab.exports.parity.trained import Trained

    def looked(folder: Path) -> dict[str, bool]:
        (tmp_path / f"kept-{folder.name}").mkdir()
        encoder = encoder_of(source, tmp_path / f"kept-{folder.name}")
        return {check.name: check.ok for check in text.inside(source, folder, Trained(trained(source), encoder, source.adapter))}

    whole = looked(over)
    assert all(whole.values())
    assert {"program", "settings", "tokenizer", "weights", "adapter_weights"} <= whole.keys()
    assert all(looked(alone).values())
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    pages.changed(next(over.glob("*.html")), text.LEARNED, wrong / "page.html", resealed=True)
    assert looked(wrong)["adapter_weights"] is False


@pytest.mark.worker
def test_a_page_for_pictures_is_compared_with_what_was_trained(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="there is no onnxruntime for this Python")
    from loralab.exports.page import pictures

    made = picture_runs.made(tmp_path / "home", "classify", medical=True)
    told = made.export("page", "int8")
    folder = Path(told["folder"])
    assert told["parity"] == "proven"
    whole = (folder / told["file"]).read_text("utf-8")
    assert "Not a medical device" in whole
    assert "Drawn" not in whole, "of pictures of patients no name leaves"
    pages.changed(folder / told["file"], pictures.MODEL, folder / told["file"], resealed=True)
    assert pictures.compare(made.source("int8"), folder, lambda phase: None).outcome == "differs"
