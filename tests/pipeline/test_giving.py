"""The last steps of a pipeline: it answers on this computer, and lies in a repository of the Hub (an imitation of it)."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab, Written
from loralab.pipeline.engine import Done, Pipeline
from loralab.pipeline.steps import clean, opened

pytest_plugins = ("tests.support.publishing",)
pytestmark = pytest.mark.worker
MORE = "serve: {name: colours-now}\npublish: {repo: colours}\n"


@pytest.fixture
def way(here: SimpleNamespace, tmp_path: Path) -> Generator[SimpleNamespace]:
    """A recipe that was done up to its export, by what an earlier call wrote down."""
    job = here.lab.job(here.run)
    recipe = tmp_path / "plan.yaml"
    recipe.write_text(f"name: Colours\ndata: {Path(job.plan['dataset']).name}\nmodel: {job.model}\n{MORE}")
    (tmp_path / Path(job.plan["dataset"]).name).write_bytes(Path(job.plan["dataset"]).read_bytes())
    said: list[str] = []

    def again(*, yes: bool = True, last: str = "") -> Pipeline:
        return opened(here.lab, Written(recipe), said.append, here.lab.wait, yes=yes, last=last)

    pipeline = again()
    made: dict[str, dict[str, Any]] = {
        "setup": {"folder": job.model},
        "train": {"run": here.run, "adapter": here.lab.view(here.run).trained},
        "evaluate": {"report": str(recipe)},
        "export": {"exports": [{"export": here.export, "path": str(recipe), "format": "adapter", "variant": ""}]},
    }
    from loralab.pipeline.steps import steps_of

    steps = steps_of(here.lab, Written(recipe), said.append, here.lab.wait, yes=True)
    for name, value in made.items():
        pipeline.done.note(name, made=value, inputs=steps[name].inputs(pipeline.done))
    yield SimpleNamespace(again=again, recipe=recipe, said=said, lab=here.lab, run=here.run)
    here.lab.stop_serving()


def why(pipeline: Pipeline) -> dict[str, str]:
    return {due.step: due.why for due in pipeline.due()}


def test_it_answers_and_is_published_and_neither_is_done_twice(way, hub) -> None:
    made = way.again().run()
    assert way.lab.serving().here == made["serve"]["here"]
    assert way.lab.deployment("colours-now").run == way.run
    assert made["publish"]["private"] is True
    assert "adapter_model.safetensors" in hub.repos[made["publish"]["repo"]].files
    commits = len(hub.repos[made["publish"]["repo"]].commits)
    assert way.again().run() == made
    assert len(hub.repos[made["publish"]["repo"]].commits) == commits
    way.lab.stop_serving()
    assert why(way.again())["serve"] == "what it made is not there any more"
    way.recipe.write_text(way.recipe.read_text().replace("repo: colours", "repo: more-colours"))
    assert why(way.again())["publish"] == "where it goes changed"
    told = list(clean(way.lab, Written(way.recipe)))
    assert any("stays on the Hub" in words for words in told)
    assert way.lab.deployments() == ()
    assert way.lab.serving() is None
    assert hub.repos[made["publish"]["repo"]].files


def test_nothing_leaves_without_a_yes(way, hub) -> None:
    with pytest.raises(UserError, match="Nothing was sent"):
        way.again(yes=False).run()
    assert hub.repos == {}
    assert any("for your eyes only" in words for words in way.said)
    assert why(way.again())["publish"] == "it was broken off"
    assert way.again().run()["publish"]["repo"] in hub.repos


def test_what_a_recipe_does_not_name_is_asked_for_with_its_line(way, hub) -> None:
    way.recipe.write_text(way.recipe.read_text().replace(MORE, ""))
    assert not {"serve", "publish"} & why(way.again()).keys()
    with pytest.raises(UserError, match=r"publish: say where it goes"):
        way.again(last="publish").run("publish")
    with pytest.raises(UserError, match=r"nothing for “benchmark-onnx” to do"):
        way.again(last="benchmark-onnx")
    assert way.again(last="serve").run("serve")["serve"]["deployment"]


def test_what_was_noted_lies_in_the_workspace(way) -> None:
    done: Done = way.again().done
    assert json.loads(done.file.read_text("utf-8"))["train"]["made"]["run"] == way.run
    assert Lab(way.lab.home).home in done.file.parents
