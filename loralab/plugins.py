"""Owns discovery: the folder is the registry. A module without its constant fails loudly, so nothing is lost by a typo."""

from __future__ import annotations

import importlib
import os
import pkgutil
from typing import Any


def discover(package: str, constant: str) -> dict[str, Any]:
    """Import every module of `package` in name order and collect `constant` from each, keyed by module name.

    Not plug-ins: `job`, by which a worker enters a package, and modules with a leading underscore, which hold what plug-ins share.

    Modules named in LORALAB_PLUGINS (`package:module,package:module`) are added: how a test brings its fake task into a real worker.
    Raises AttributeError when a module lacks the constant.
    """
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    inside = sorted(info.name for info in pkgutil.iter_modules(root.__path__))
    names = [f"{package}.{name}" for name in inside if name != "job" and not name.startswith("_")]
    for extra in filter(None, os.environ.get("LORALAB_PLUGINS", "").split(",")):
        owner, _, module = extra.partition(":")
        if owner == package:
            names.append(module)
    for name in names:
        module = importlib.import_module(name)
        if not hasattr(module, constant):
            raise AttributeError(f"{name} is in {package} but defines no {constant}")
        found[name.rpartition(".")[2]] = getattr(module, constant)
    return found
