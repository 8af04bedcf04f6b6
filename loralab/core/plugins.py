"""Owns discovery: the folder is the registry. A module without its constant fails loudly, so nothing is lost by a typo."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any


def _modules(package: ModuleType, apart: Collection[str] = ()) -> Iterator[str]:
    """Full names of the plug-in modules in a package and its sub-packages, without what is named in `apart`."""
    for info in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{info.name}"
        if info.name == "job" or info.name.startswith("_") or info.name in apart:
            continue
        if info.ispkg:
            yield from _modules(importlib.import_module(name))
        else:
            yield name


def discover(package: str, constant: str, apart: Collection[str] = ()) -> dict[str, Any]:
    """Import every module of `package`, sub-packages included, in name order and collect `constant` from each, keyed by module name.

    Not plug-ins: `job`, by which a worker enters a package, modules with a leading underscore, and the modules and sub-packages of
    `package` named in `apart`: they hold what plug-ins share.

    Modules named in LORALAB_PLUGINS (`package:module,package:module`) are added: how a test brings its fake task into a real worker.
    Raises AttributeError when a module lacks the constant.
    """
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    names = sorted(_modules(root, apart), key=lambda name: name.rpartition(".")[2])
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
