"""Owns the steps of a pipeline, each a few calls of the Lab. Invariant: an export that was found to differ ends the pipeline."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loralab.core.digest import digest
from loralab.core.errors import RunFailed, UserError
from loralab.core.events import RunView
from loralab.core.paths import room, write_atomic
from loralab.core.strict_json import plain
from loralab.lab import Form, Lab, Written
from loralab.pipeline import onnx_speed
from loralab.pipeline.engine import Done, Pipeline, Step, ended_well
from loralab.pipeline.giving import PublishStep, ServeStep, taken_back

Follow = Callable[[str], RunView]
Note = Callable[[dict[str, Any]], None]


def opened(lab: Lab, written: Written, tell: Callable[[str], object], follow: Follow, *, yes: bool = False, last: str = "") -> Pipeline:
    """A recipe in a workspace. `follow(run)` waits for a run as its caller likes; `yes`: a model may be fetched, a guess taken, and the
    result sent. `last`: the step that is asked for; serving and publishing are among them where the recipe or this names them.
    """
    steps = steps_of(lab, written, tell, follow, yes=yes, last=last)
    if last and last not in steps:
        raise written.wrong(("export",), f"there is nothing for “{last}” to do; add a form to take it away in: {{format: onnx}}")
    return Pipeline(Done(lab.home, str(written.path.resolve())), steps, tell)


def steps_of(lab: Lab, written: Written, tell: Callable[[str], object], follow: Follow, *, yes: bool, last: str = "") -> dict[str, Step]:
    """The steps of a recipe, by their names."""
    recipe = written.recipe
    found: dict[str, Step] = {
        "setup": _Setup(lab, recipe.model, follow, yes=yes),
        "train": _Train(lab, written, follow, yes=yes),
        "evaluate": _Evaluate(lab, written, follow),
        "export": _Export(lab, written, follow),
    }
    if any(export.format == "onnx" for export in recipe.export):
        found["benchmark-onnx"] = _BenchmarkOnnx(lab, written, tell)
    if recipe.serve or last == "serve":
        found["serve"] = ServeStep(lab, written, follow, tell)
    if recipe.publish or last == "publish":
        found["publish"] = PublishStep(lab, written, follow, tell, yes=yes)
    return found


class _Setup:
    """The model is on this computer."""

    def __init__(self, lab: Lab, model: str, follow: Follow, *, yes: bool) -> None:
        self.lab, self.model, self.follow, self.yes = lab, model, follow, yes

    def inputs(self, done: Done) -> dict[str, str]:
        del done
        return {"the model's name": self.model}

    def there(self, made: dict[str, Any]) -> bool:
        return Path(made["folder"]).is_dir()

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        del done, begun, note
        check = self.lab.check_model(self.model, ask_hub=True)
        if not check.ok:
            raise UserError(check.words, "Choose another model.", code="bad_model")
        if not check.present:
            if not self.yes:
                raise UserError(f"{self.model} is not on this computer. {check.words}", "Add --yes to fetch it.", code="not_confirmed")
            ended_well(self.follow(self.lab.download(self.model)))
        return {"folder": str(self.lab.catalog.folder(self.model))}


class _Train:
    """An adapter, trained with the planner's plan and the settings that the recipe fixes."""

    def __init__(self, lab: Lab, written: Written, follow: Follow, *, yes: bool) -> None:
        self.lab, self.written, self.follow, self.yes = lab, written, follow, yes

    def inputs(self, done: Done) -> dict[str, str]:
        del done
        recipe = self.written.recipe
        settings = {f"the setting {name}": json.dumps(value, sort_keys=True) for name, value in recipe.plan.items()}
        about = {"the examples": _content(self._data()), "the model": recipe.model, "the columns": json.dumps(recipe.roles, sort_keys=True)}
        return about | settings

    def there(self, made: dict[str, Any]) -> bool:
        return made["run"] in self.lab.names() and Path(made["adapter"]).is_dir()

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        del done
        run = str(begun.get("run", ""))
        if run not in self.lab.names():
            run = self._begin()
        elif self.lab.view(run).state in ("stopped", "killed", "failed"):
            run = self.lab.resume(run)
        note({"run": run})
        view = ended_well(self.follow(run))
        return {"run": run, "adapter": view.trained}

    def _begin(self) -> str:
        recipe = self.written.recipe
        try:
            profile = self.lab.profile(self._data(), recipe.model, recipe.roles or None)
            settings: dict[str, Any] = {"title": recipe.name, **recipe.plan}
            proposal = self.lab.propose(profile, recipe.model, None, **settings)
        except (UserError, ValueError) as error:
            setting = next((name for name in recipe.plan if name in str(error)), "")
            raise self.written.wrong(("plan", setting), str(error).rstrip(".")) if setting else error from error
        for problem in proposal.problems:
            if problem.severity == "error":
                raise UserError(problem.what, problem.todo, code=problem.code)
        if proposal.plan.get("guessed") and not self.yes:
            raise self.written.wrong(("roles",), "which column is what is a guess; say it here, or take the guess with --yes")
        return self.lab.start(proposal)

    def _data(self) -> str:
        known = {sample.name: sample.path for sample in self.lab.samples()}
        path = self.written.data_path()
        if not path:
            raise self.written.wrong(("data",), "say which file of examples, as in “data: mine.csv”")
        if path not in known and not Path(path).exists():
            raise self.written.wrong(
                ("data",), f"there is no file {self.written.recipe.data} beside it, and no bundled data set of that name"
            )
        return known.get(path, path)


class _Evaluate:
    """The verdict, and the run's report beside the recipe."""

    def __init__(self, lab: Lab, written: Written, follow: Follow) -> None:
        self.lab, self.written, self.follow = lab, written, follow

    def inputs(self, done: Done) -> dict[str, str]:
        return {"the trained run": str(done.made("train").get("run", ""))}

    def there(self, made: dict[str, Any]) -> bool:
        return Path(made["report"]).is_file()

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        del begun, note
        run = str(done.made("train")["run"])
        if not self.lab.measured(run):
            ended_well(self.follow(self.lab.evaluate(run)))
        report, place = self.lab.report(run), _place(self.lab, self.written)
        write_atomic(place / "report.html", self.lab.report_page(run))
        write_atomic(place / "report.json", json.dumps(plain(report), ensure_ascii=False, indent=1))
        told = {name: report.get(name) for name in ("learned", "learned_words", "usable", "usable_words")}
        return {"report": str(place / "report.html"), **told}


class _Export:
    """Every form that the recipe names, each proven where its program is here."""

    def __init__(self, lab: Lab, written: Written, follow: Follow) -> None:
        self.lab, self.written, self.follow = lab, written, follow

    def inputs(self, done: Done) -> dict[str, str]:
        forms = [form.model_dump() for form in self.written.recipe.export]
        return {"the trained run": str(done.made("train").get("run", "")), "the forms": json.dumps(forms)}

    def there(self, made: dict[str, Any]) -> bool:
        return all(Path(one["path"]).exists() for one in made["exports"])

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        run, found = str(done.made("train")["run"]), dict(begun)
        for form in self.written.recipe.export:
            key = f"{form.format}:{form.variant}"
            if found.get(key, {}).get("path") and Path(found[key]["path"]).exists():
                continue
            found[key] = self._made(run, form)
            note(found)
        return {"exports": list(found.values())}

    def _made(self, run: str, form: Form) -> dict[str, Any]:
        work = self.lab.export(run, form.format, form.variant)
        ending = ended_well(self.follow(work)).ending
        told = ending.result if ending else {}
        if told.get("parity") == "differs":
            what = f"The {form.format} file does not answer as what was trained."
            raise RunFailed(what, "Do not use it. The other forms are not concerned.", code="differs")
        return {"export": work, "path": str(told["path"]), **form.model_dump(), "parity": told.get("parity", "")}


class _BenchmarkOnnx:
    """How fast each ONNX export answers here, beside how large it is."""

    def __init__(self, lab: Lab, written: Written, tell: Callable[[str], object]) -> None:
        self.lab, self.written, self.tell = lab, written, tell

    def inputs(self, done: Done) -> dict[str, str]:
        made = [one["path"] for one in done.made("export").get("exports", []) if one["format"] == "onnx"]
        return {"the ONNX exports": json.dumps(made), "how they are timed": self.written.recipe.benchmark.model_dump_json()}

    def there(self, made: dict[str, Any]) -> bool:
        return Path(made["table"]).is_file()

    def make(self, done: Done, begun: dict[str, Any], note: Note) -> dict[str, Any]:
        del begun, note
        asked = self.written.recipe.benchmark
        questions = [one.prompt for one in self.lab.view(str(done.made("train")["run"])).samples][: asked.questions]
        if not questions:
            raise UserError(
                "There is no held-out question to ask.", "Give more examples, so that some can be kept aside.", code="no_question"
            )
        made = [one for one in done.made("export")["exports"] if one["format"] == "onnx"]
        rows = [{"variant": one["variant"] or "int8", **onnx_speed.timed(_folder(one["path"]), questions, asked.tokens)} for one in made]
        for row in rows:
            self.tell("  " + "  ".join(f"{name} {value}" for name, value in row.items()))
        table = _place(self.lab, self.written) / "benchmark_onnx.json"
        write_atomic(table, json.dumps(rows, indent=1))
        return {"table": str(table), "rows": rows}


def clean(lab: Lab, written: Written) -> Iterator[str]:
    """Take back what the pipeline made: its runs and exports go to the trash, its reports and what it remembers away; each in words."""
    done = Done(lab.home, str(written.path.resolve()))
    yield from taken_back(lab, done)
    works = [str(one["export"]) for one in done.made("export").get("exports", [])]
    for run in (*works, str(done.made("train").get("run", ""))):
        if run in lab.names() and not lab.view(run).active:
            lab.delete(run)
            yield f"{run} is in the trash."
    shutil.rmtree(_place(lab, written), ignore_errors=True)
    done.file.unlink(missing_ok=True)
    yield "Nothing of it is left outside the trash."


def _place(lab: Lab, written: Written) -> Path:
    return room(written.recipe.name, room("pipelines", lab.home))


def _folder(path: str) -> Path:
    return Path(path) if Path(path).is_dir() else Path(path).parent


def _content(path: str) -> str:
    """A digest of a file, or of all files of a folder with their names."""
    place = Path(path)
    if place.is_file():
        return digest(place)
    total = hashlib.sha256()
    for file in sorted(file for file in place.rglob("*") if file.is_file()):
        total.update(f"{file.relative_to(place).as_posix()}\0{digest(file)}\n".encode())
    return total.hexdigest()
