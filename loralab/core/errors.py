"""Owns the one error tree of the project and the translation of foreign exceptions into plain words.

    LabError(problem)        something a person can act on; its text is shown as it is
    ├── UserError            the person's input was not usable (CLI exit code 1)
    │   └── Offered          it is usable in another way than it was meant, once the person agrees
    ├── RunFailed            a worker ended badly (CLI exit code 3)
    └── Unavailable          an optional part, a model or the network is missing

Anything else is a bug. Errors meet people at three places only: the worker's entry, the UI's decorator, the CLI's main.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from loralab.core.masking import masked


class Problem(BaseModel):
    """What happened and what to do about it: the only error shape a person ever sees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str  # stable, snake_case: tests, advisor rules and the memory refer to it
    what: str  # one sentence: what happened
    todo: str = ""  # one sentence: what to do next
    severity: str = "error"  # error (blocks) | warning | info
    part: str = ""  # the optional part that would mend it (core/parts.py)

    def __str__(self) -> str:
        return f"{self.what} {self.todo}".strip()


class LabError(Exception):
    """An error meant for people; `str(error)` is what they read."""

    def __init__(self, what: str, todo: str = "", code: str = "lab_error", part: str = "") -> None:
        self.problem = Problem(code=code, what=what, todo=todo, part=part)
        super().__init__(str(self.problem))


class UserError(LabError):
    """The input cannot be used as it is."""


class Offered(UserError):
    """The input cannot be used as it is, and could be with these roles (role -> column): `offer` says what that is, for a button."""

    def __init__(self, what: str, todo: str, code: str, offer: str, roles: dict[str, str]) -> None:
        super().__init__(what, todo, code=code)
        self.offer, self.roles = offer, roles


class RunFailed(LabError):
    """A worker process ended without doing its job."""


class Unavailable(LabError):
    """A model, an optional package or the network is not there."""


_SIGNS: tuple[tuple[str, str, str, str], ...] = (
    # (text found in "Type: message", lower case) -> code, what, todo
    ("out of memory", "out_of_memory", "The machine ran out of memory.", "Use a smaller batch, shorter texts or a smaller model."),
    ("can't allocate memory", "out_of_memory", "The machine ran out of memory.", "Use a smaller batch, shorter texts or a smaller model."),
    ("memoryerror", "out_of_memory", "The machine ran out of memory.", "Use a smaller batch, shorter texts or a smaller model."),
    ("no space left", "disk_full", "The disk is full.", "Free some space and resume; nothing that was saved is lost."),
    (
        "gated repo",
        "gated_model",
        "This model needs its owner's permission.",
        "Accept its licence on the model's page, then sign in with a token.",
    ),
    (
        "401 client error",
        "gated_model",
        "This model needs its owner's permission.",
        "Accept its licence on the model's page, then sign in with a token.",
    ),
    ("offline mode", "not_downloaded", "This model is not on this computer yet.", "Download it first, or use the starter model."),
    ("connectionerror", "no_network", "The network could not be reached.", "Check the connection, or use the bundled starter model."),
    (
        "permission denied",
        "no_permission",
        "A file or folder may not be written.",
        "Choose another workspace folder, or change its rights.",
    ),
)


def classify(error: BaseException) -> Problem:
    """Turn any exception into a Problem. Errors of ours keep their words; known foreign ones get a next step."""
    if isinstance(error, LabError):
        return error.problem
    text = f"{type(error).__name__}: {error}"
    lowered = text.lower()
    for sign, code, what, todo in _SIGNS:
        if sign in lowered:
            return Problem(code=code, what=what, todo=todo)
    return Problem(
        code="unexpected", what=f"Something unexpected happened: {masked(text[:300])}", todo="The details are in worker.log of the run."
    )
