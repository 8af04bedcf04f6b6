"""Owns how sqlite-utils is opened: when the index is first asked, and without pandas.

sqlite-utils looks for pandas when it is imported. Nothing here uses it, and it takes longer to open than all else that a command does.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def over(connection: sqlite3.Connection) -> Database:
    """The tables behind an open connection."""
    hide = not {"pandas", "sqlite_utils"} & sys.modules.keys()
    if hide:
        sys.modules["pandas"] = None  # pyright: ignore[reportArgumentType]  (Python's own way to say that there is no such module)
    try:
        from sqlite_utils import Database
    finally:
        if hide:
            del sys.modules["pandas"]
    return Database(connection)
