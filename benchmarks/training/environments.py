"""Environments of the peers: each its own, made once under a cache folder with the torch that is ours, so that versions cannot mix.

A computer whose package index has no processor-only torch names one that has (`PIP_EXTRA_INDEX_URL`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

_SAME = ("torch", "transformers", "peft", "accelerate", "trl", "datasets")  # in the versions that the project has
PACKAGES = {"huggingface": _SAME, "llamafactory": ("llamafactory",)}


class NotInstalled(Exception):
    """A peer's environment could not be made. The text is the installer's last word."""


def python(name: str, folder: Path) -> Path:
    """The interpreter of the environment `name` under `folder`, made where it is not there. Raises NotInstalled."""
    where = folder / name
    found = where / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (where / "complete").is_file():
        return found
    sys.stderr.write(f"making the environment of {name}\n")
    venv.create(where, with_pip=True, clear=True)
    limits = where / "constraints.txt"
    limits.write_text(f"torch=={version('torch')}\n", "utf-8")
    wanted = [f"{package}=={version(package)}" for package in PACKAGES[name]] if name == "huggingface" else PACKAGES[name]
    quiet = ["--quiet", "--no-compile", "--disable-pip-version-check"]
    command = [str(found), "-m", "pip", "install", *quiet, "--constraint", str(limits), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled(_last(done.stderr))
    if "+cpu" in version("torch") and name == "llamafactory":
        # an index may have torchvision for cards only: beside a torch for processors it cannot be opened, and nothing can that looks for it
        subprocess.run([str(found), "-m", "pip", "uninstall", "--yes", "--quiet", "torchvision"], check=True)
    (where / "complete").touch()
    return found


def versions(interpreter: Path) -> dict[str, str]:
    """What of the field's libraries an environment has, by name."""
    names = (*_SAME, "llamafactory")
    asked = f"import importlib.metadata as m\nfor n in {names!r}:\n try: print(n, m.version(n))\n except m.PackageNotFoundError: pass"
    said = subprocess.run([str(interpreter), "-c", asked], capture_output=True, text=True, check=True).stdout
    return dict(line.split() for line in said.splitlines())


def _last(said: str) -> str:
    """The last line of what an installer said that names an error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1] if lines else "no word")
