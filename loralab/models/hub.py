"""Owns what the Hugging Face Hub says of a model before anything is fetched: its files, their sizes, and whether it can be trained.

Invariants: only small facts travel, and only when a person named the model; every failure comes back as words with a next step.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Literal, TypeVar

from loralab.core.errors import LabError, Problem, Unavailable, UserError
from loralab.core.records import Record
from loralab.core.words import size
from loralab.models.catalog import close_names, hub_entry
from loralab.models.drawing import INDEX, drawing_entry, pipeline_files
from loralab.models.model_check import ModelCheck, gated_steps
from loralab.models.model_folder import obstacles, shape_of
from loralab.models.vision import vision_entry

T = TypeVar("T")
Repo = Literal["model", "dataset"]
_SPOKEN: dict[Repo, tuple[str, str]] = {
    "model": ("model", "use the bundled starter model"),
    "dataset": ("data set", "choose a file of yours"),
}
_SMALL = ("*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt", "LICENSE*")
_NOT_SMALL = ("*optimizer*", "training_args*", "trainer_state*", "onnx*", "flax*", "tf_*")
_NETWORK = {
    "ConnectError",
    "ConnectTimeout",
    "ReadTimeout",
    "TimeoutException",
    "NetworkError",
    "TransportError",
    "ConnectionError",
    "gaierror",
}


class HubFile(Record):
    """A file on the Hub. Bytes."""

    name: str
    bytes: int


class HubModel(Record):
    """A model as the Hub lists it: one revision, and the files a training needs of it."""

    hub_id: str
    revision: str  # the commit: all files are of the same state
    gated: bool = False
    files: tuple[HubFile, ...]
    pickled: bool = False  # the weights are only there in the old format
    problems: tuple[Problem, ...] = ()
    parameters: int = 0
    context: int = 0

    @property
    def bytes(self) -> int:
        """What there is to fetch."""
        return sum(f.bytes for f in self.files)


def hub_id(model: str) -> str:
    """The Hub's name of a model. Raises UserError for the bundled model and for folders."""
    entry = hub_entry(model) or vision_entry(model) or drawing_entry(model)
    if entry and not entry.hub_id:
        raise UserError("The starter model ships with LoRALab.", "There is nothing to download.", code="nothing_to_download")
    found = entry.hub_id if entry else model.strip()
    if found.count("/") != 1 or found.startswith((".", "/", "~")):
        raise UserError(
            f"“{model}” is not a model of the Hub.", "Give a name from the list or a Hub id (owner/name).", code="unknown_model"
        )
    return found


def look_up(model: str) -> HubModel:
    """Ask the Hub about a model. Raises UserError for an unknown one, Unavailable without a network."""
    from huggingface_hub import HfApi

    name = hub_id(model)
    info = asked(name, lambda: HfApi().model_info(name, files_metadata=True, timeout=15))
    every = {s.rfilename: int(s.size or 0) for s in info.siblings or []}
    if INDEX in every:
        files = tuple(HubFile(name=one, bytes=every[one]) for one in pipeline_files(every))
        return HubModel(hub_id=name, revision=info.sha or "main", gated=bool(info.gated), files=files)
    top = {name: size for name, size in every.items() if "/" not in name}
    wanted, pickled = wanted_files(set(top))
    config = info.config if isinstance(info.config, dict) else {}
    # the list of names stands for the folder as it will be: old weights are converted after the download
    names = set(wanted) | ({"model.safetensors"} if pickled else set[str]())
    found = obstacles(config, names) if config else []
    weights = getattr(info, "safetensors", None)
    return HubModel(
        hub_id=name,
        revision=info.sha or "main",
        gated=bool(info.gated),
        files=tuple(HubFile(name=n, bytes=top[n]) for n in wanted),
        pickled=pickled,
        problems=tuple(found),
        parameters=int(weights.total) if weights else 0,
        context=shape_of(config).context if config.get("max_position_embeddings") else 0,
    )


def look_up_file(model: str, file: str) -> HubModel:
    """One file of a repository, such as a GGUF of several: its size and its state. Raises as `look_up`."""
    from huggingface_hub import HfApi

    info = asked(model, lambda: HfApi().model_info(model, files_metadata=True, timeout=15))
    sizes = {s.rfilename: int(s.size or 0) for s in info.siblings or []}
    if file not in sizes or "/" in file:
        raise UserError(f"{model} holds no file {file} any more.", "Choose another one.", code="no_file")
    files = (HubFile(name=file, bytes=sizes[file]),)
    return HubModel(hub_id=model, revision=info.sha or "main", gated=bool(info.gated), files=files)


def wanted_files(names: set[str]) -> tuple[list[str], bool]:
    """Which files of a model a training needs, small ones first, and whether the weights are only there as pickles."""
    small = sorted(n for n in names if _any(n, _SMALL) and not _any(n, _NOT_SMALL))
    weights = sorted(n for n in names if _any(n, ("model*.safetensors",)))
    if weights:
        return [n for n in small if "pytorch_model" not in n] + weights, False
    old = sorted(n for n in names if _any(n, ("pytorch_model*.bin",)))
    return small + old, bool(old)


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def check_on_hub(check: ModelCheck) -> ModelCheck:
    """A check of a model that is not here, made complete with what the Hub says. Models that are here come back as they are."""
    if check.present or (check.entry and not _asks_hub(check)) or any(p.code in ("unknown_model", "no_folder") for p in check.problems):
        return check
    try:
        found = look_up(check.name)
    except LabError as error:
        if check.entry:  # the catalogue knows enough to plan with
            return check
        return check.model_copy(update={"problems": (error.problem,), "words": str(error)})
    todo = gated_steps(found.hub_id) if found.gated else f"Download it ({size(found.bytes)})."
    problem = Problem(code="not_downloaded", what=f"{check.name} is not on this computer yet ({size(found.bytes)}).", todo=todo)
    problems = found.problems or (problem,)
    change = {"problems": problems, "words": str(problems[0]), "download_bytes": found.bytes}
    return check.model_copy(update=change | {"parameters": found.parameters or check.parameters})


def _asks_hub(check: ModelCheck) -> bool:
    """Whether a catalogue model is the Hub's to tell about: not what is bundled or comes as a package, unless asked for by its Hub id."""
    return check.entry is not None and (check.entry.source == "hub" or "/" in check.name)


def asked(name: str, question: Callable[[], T], repo: Repo = "model") -> T:
    """The Hub's answer, or its refusal in plain words."""
    from huggingface_hub import errors

    kind, instead = _SPOKEN[repo]
    page = f"datasets/{name}" if repo == "dataset" else name
    try:
        return question()
    except errors.GatedRepoError as error:
        raise Unavailable(f"The owner of {name} lets people in who accept the terms.", gated_steps(page), code="gated_model") from error
    except errors.RepositoryNotFoundError as error:
        close = close_names(name) if repo == "model" else []
        todo = (
            f"Did you mean {' or '.join(close)}?"
            if close
            else f"Check the spelling; a private {kind} needs your Hugging Face token, kept under “About this computer”."
        )
        raise UserError(f"The Hub has no {kind} {name}.", todo, code=f"unknown_{repo}") from error
    except errors.OfflineModeIsEnabled as error:
        todo = f"Remove the setting HF_HUB_OFFLINE, or {instead}."
        raise Unavailable("Downloads are switched off on this computer.", todo, code="offline") from error
    except Exception as error:
        problem = _network_problem(error, instead)
        if problem is None:
            raise
        raise Unavailable(problem.what, problem.todo, code=problem.code) from error


def _network_problem(error: BaseException, instead: str) -> Problem | None:
    """The network's part in an error, looked for in its causes too; None when it had none."""
    seen: BaseException | None = error
    while seen is not None:
        status = getattr(getattr(seen, "response", None), "status_code", 0)
        if status == 429 or status >= 500:
            return Problem(
                code="hub_busy", what=f"The Hub is busy (answer {status}).", todo="Try again in a few minutes; what is here is kept."
            )
        if _NETWORK & {c.__name__ for c in type(seen).__mro__}:
            todo = f"Check the connection and start the download again: it goes on where it was. Or {instead}."
            return Problem(code="no_network", what="The Hub could not be reached.", todo=todo)
        seen = seen.__cause__ or seen.__context__
    return None
