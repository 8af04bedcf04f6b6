"""LoRALab: your laptop is your AI lab. `Lab` is the whole of it; see docs/lab.md."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loralab.lab import Lab

__version__ = "0.1.0"
__all__ = ["Lab"]


def __getattr__(name: str) -> Any:
    """`from loralab import Lab` without making every worker import the app's half."""
    if name == "Lab":
        from loralab.lab import Lab

        return Lab
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
