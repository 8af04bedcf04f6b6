"""Values as strict JSON. Invariant: NaN and Inf, which are not JSON for everyone, become null."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel


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
