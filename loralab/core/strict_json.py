"""Values as strict JSON, and JSON that others wrote.

Invariants: NaN and Inf, which are not JSON for everyone, become null; whatever lies in a file, the worst that comes of reading it is a
ValueError.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel


def load(text: str | bytes) -> Any:
    """What a JSON text says. Raises ValueError where it is none, also where it is nested so deeply that nothing can read it."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply to be read") from error


def plain(value: Any) -> Any:
    """Records become objects, paths texts, numbers that are not finite null."""
    match value:
        case BaseModel():
            return plain(value.model_dump())
        case dict():
            return {str(name): plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return str(value)
        case _:
            return value
