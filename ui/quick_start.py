"""Owns a quick and quiet import of Gradio. Invariant: with or without the shortcut the app behaves the same; only start-up differs.

Gradio rewrites its type stubs each time it is imported, which takes about a second. Nothing at run time reads them.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

_SLOW_MODULE = "gradio.component_meta"
_SLOW_FUNCTION = "create_or_modify_pyi"


class _WithoutStubs(importlib.abc.Loader):
    """Runs the module as it is, then replaces the stub writer; a version without that function is left alone."""

    def __init__(self, real: importlib.abc.Loader) -> None:
        self.real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.real.exec_module(module)
        if hasattr(module, _SLOW_FUNCTION):
            setattr(module, _SLOW_FUNCTION, _write_no_stubs)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _SLOW_MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WithoutStubs(spec.loader)
        return spec


def _write_no_stubs(component_class: type, class_name: str, events: Sequence[object]) -> None:
    """Stands in for Gradio's stub writer."""


def prepare_gradio() -> None:
    """Switch off Gradio's usage reports and its stub writer; harmless when Gradio is loaded already."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    if _SLOW_MODULE not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
