"""LoRALab: your laptop is your AI lab. `Lab` is the whole of it; see docs/lab.md."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, whose import a keeper need not wait for
if TYPE_CHECKING:
    from loralab.lab import Lab

__version__ = "0.2.0"
__all__ = ["Lab"]


def __getattr__(name: str) -> object:
    """`from loralab import Lab` without making every worker import the app's half."""
    if name == "Lab":
        from loralab.lab import Lab

        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
