"""Owns templates as one file: a run written as one, and one that somebody gave taken into the workspace.

    NAME.yaml   the recipe alone; whoever opens it brings examples of their own
    NAME.zip    the recipe and its examples beside it

Invariants: what comes in is checked whole before it is kept, and its examples lie in the archive or come along with LoRALab: no path leads
elsewhere. What goes out holds no place of this computer, and examples of the person's only where they said so.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile

import yaml

from loralab.core.errors import UserError
from loralab.core.paths import model_name, room, write_atomic
from loralab.core.verdict import Verdict
from loralab.datasets.formats.archives import content, open_archive, refusal
from loralab.datasets.samples import sample_at, samples
from loralab.templates.recipe import Form, Recipe, Written
from loralab.templates.zoo import BUNDLED, PLACE, Template, template

MOST_BYTES, MOST_FILES = 512 << 20, 3  # of a template that comes in, unpacked
MOST_CHARACTERS = 300  # of a cell that is shown
# Settings that the planner chooses for each computer, or that a template says in its own fields.
LEFT_OUT = frozenset(
    ("title", "base_model", "dataset", "roles", "guessed", "parts", "micro_batch", "token_budget", "recompute", "offload", "precision")
) | {"checkpoint_minutes", "pause_below_battery", "pause_above_temperature", "eval_every", "attention", "engine", "seed"}
TODO = "Ask whoever made it to save it once more."


class Trained(NamedTuple):
    """What a template is made of: a run as its plan, its verdict and what was made of it say."""

    title: str
    plan: Mapping[str, Any]
    usual: Mapping[str, Any]  # the same settings of a plan that nobody chose anything of
    verdict: Verdict | None
    minutes: float
    exports: Sequence[Form]
    rows: Sequence[Mapping[str, str]]
    about: str = ""


def of_run(run: Trained, *, data: bool) -> Recipe:
    """The recipe of a run: its settings as far as they hold anywhere, and what its verdict promises. `data`: its examples are told, too."""
    source = Path(str(run.plan.get("dataset", "")))
    bundled = sample_at(source)
    settings = {name: value for name, value in run.plan.items() if name not in LEFT_OUT and value != run.usual.get(name)}
    name = re.sub(r"[^\w .,-]+", " ", run.title).strip(" .-")[:60] or "My template"
    shown = data or bundled is not None
    rows = tuple({key: cell[:MOST_CHARACTERS] for key, cell in row.items() if cell} for row in run.rows) if shown else ()
    return Recipe(
        name=name,
        about=run.about[:400],
        needs=f"A table with the columns {' and '.join(columns)}." if (columns := list(dict(run.plan.get("roles") or {}).values())) else "",
        data=bundled.name if bundled else source.name if data else "",
        roles={role: str(column) for role, column in dict(run.plan.get("roles") or {}).items()},
        rows=rows,
        model=model_name(str(run.plan.get("base_model", ""))) or "starter",
        plan=settings,
        expect=(run.verdict.usable_words if run.verdict else "")[:400],
        usable=run.verdict.usable if run.verdict else None,
        minutes=max(0.1, round(run.minutes, 1)),
        export=tuple(run.exports) or (Form(),),
    )


def as_text(recipe: Recipe) -> str:
    """The recipe as a file of it holds it."""
    said = {name: value for name, value in recipe.model_dump(mode="json").items() if value not in (None, "", [], {})}
    said.pop("benchmark", None)
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=120)


def write(recipe: Recipe, out: Path, data: Path | None = None) -> Path:
    """Write it as one file: .yaml, or with `data` .zip. An ending of another kind is replaced. Raises UserError: its data is a folder."""
    if data is None:
        target = _named(out, ".yaml")
        write_atomic(target, as_text(recipe))
        return target
    if not data.is_file():
        todo = "Save it without its examples, or put them into one zip first."
        raise UserError("Its examples are no single file any more, so they cannot travel with it.", todo, code="no_dataset")
    target, packed = _named(out, ".zip"), io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("template.yaml", as_text(recipe))
        archive.write(data, recipe.data)
    write_atomic(target, packed.getvalue())
    return target


def _named(out: Path, ending: str) -> Path:
    """With that ending; a dot in a name is no ending."""
    if out.suffix.lower() in (".yaml", ".zip"):
        return out.with_suffix(ending)
    return out.with_name(out.name + ending)


def add(source: Path, home: Path) -> Template:
    """Take a template into the workspace. Raises UserError that says what is wrong with it; nothing is kept then."""
    files = _given(source)
    with tempfile.TemporaryDirectory(dir=room(PLACE, home), prefix=".coming-") as trying:
        place = Path(trying)
        for name, raw in files.items():
            (place / name).write_bytes(raw)
        recipe = Written(place / "template.yaml").recipe
        _check(recipe, [name for name in files if name != "template.yaml"], source.name)
        target = _free(home, recipe.name)
        (place / "template.yaml").rename(place / f"{target.name}.yaml")
        shutil.copytree(place, target, dirs_exist_ok=True)
    return template(target.name, home)


def remove(name: str, home: Path) -> None:
    """Take one out of the workspace. Raises UserError: there is none of that name, or it comes along with LoRALab."""
    found = template(name, home)
    if not found.own:
        raise UserError(f"“{found.recipe.name}” comes along with LoRALab.", "Only your own can be taken away.", code="bundled")
    shutil.rmtree(Path(found.path).parent)


def _given(source: Path) -> dict[str, bytes]:
    """The recipe as template.yaml, and its examples where they came with it."""
    if not source.is_file():
        raise UserError(f"There is no file {source.name}.", "Choose a template: a .yaml or a .zip file.", code="no_file")
    raw = source.read_bytes()
    if source.suffix.lower() in (".yaml", ".yml"):
        return {"template.yaml": raw}
    if source.suffix.lower() != ".zip":
        raise UserError(f"{source.name} is no template.", "A template is a .yaml or a .zip file.", code="no_template")
    found: dict[str, bytes] = {}
    with open_archive(raw, source.name, MOST_BYTES, MOST_FILES) as archive:
        for member in archive.infolist():
            if why := refusal(member):
                raise UserError(f"{source.name}: {why}", TODO, code="unsafe_archive")
            if "/" not in member.filename.replace("\\", "/"):
                found[member.filename] = content(archive, member)
    if "template.yaml" not in found:
        raise UserError(f"{source.name} holds no template.", "Drop examples above; a template is made with “Save”.", code="no_template")
    return found


def _check(recipe: Recipe, beside: Sequence[str], name: str) -> None:
    bundled = {sample.name for sample in samples()}
    if recipe.data and recipe.data not in bundled and list(beside) != [recipe.data]:
        what = f"{name} names examples that did not come with it: {Path(recipe.data).name}."
        raise UserError(what, TODO, code="no_dataset")
    if beside and recipe.data not in beside:
        raise UserError(f"{name} holds a file that it does not speak of: {beside[0]}.", TODO, code="bad_template")


def _free(home: Path, name: str) -> Path:
    """A new folder of the workspace for a template of that name, called after it."""
    word = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:40] or "template"
    taken = {one.stem for one in (*room(PLACE, home).iterdir(), *BUNDLED.glob("*.yaml"))}
    names = (word if number == 1 else f"{word}_{number}" for number in range(1, 10_000))
    return room(PLACE, home) / next(one for one in names if one not in taken)
