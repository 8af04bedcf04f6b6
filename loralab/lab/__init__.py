"""Owns the facade: everything the app, the command line, a notebook or a test can do. No torch in this process, ever.

lab = Lab()
profile = lab.profile("examples.csv")
proposal = lab.propose(profile, model="starter")
run = lab.start(proposal)
lab.wait(run)
lab.report(run)["adapter_loss"]

Invariant: naming the room opens nothing. The first thing asked of it opens the rooms behind it, which takes a second: a command's help
need not wait for any of them, and `Workspace` for most of them not.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loralab.lab.facade import *  # noqa: F403 - what the facade lists is what this room hands out
    from loralab.lab.workspace import Workspace as Workspace


def __getattr__(name: str) -> object:
    """What this room hands out under that name."""
    return getattr(import_module(f"loralab.lab.{'workspace' if name == 'Workspace' else 'facade'}"), name)
