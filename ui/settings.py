"""Owns what the screen remembers between visits (settings.json in the workspace).

Invariant: a lost or damaged file means defaults, not an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from loralab.core.paths import write_atomic
from ui.errors import LOG


class Settings(BaseModel):
    """The last choices. Unknown fields of another version are kept out of the way."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = "starter"
    theme: Literal["auto", "light", "dark"] = "auto"
    run: str = ""
    put_off: tuple[str, ...] = ()  # endings of runs whose greeting was answered with “Not now”
    cache_gb: float = 50.0  # downloaded models may take this much


def read_settings(home: Path) -> Settings:
    """The settings of this workspace."""
    path = home / "settings.json"
    if not path.exists():
        return Settings()
    try:
        return Settings.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        LOG.warning("settings.json could not be read, defaults are used: %s", error)
        return Settings()


def remember(home: Path, changes: dict[str, Any]) -> None:
    """Change some settings; the file is replaced as a whole."""
    settings = Settings.model_validate({**read_settings(home).model_dump(), **changes})
    write_atomic(home / "settings.json", settings.model_dump_json(indent=2))
