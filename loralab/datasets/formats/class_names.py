"""Owns the names of classes that a table's own notes give to numbers. Invariant: a number without a name stays what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ClassNames = dict[str, tuple[str, ...]]  # column -> names, by number


def class_names(notes: Mapping[bytes, bytes] | None) -> ClassNames:
    """The names in the notes that the `datasets` library leaves in Arrow and Parquet files; none where there are none."""
    try:
        features = json.loads((notes or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features_names(features)


def features_names(features: Any) -> ClassNames:
    """Column -> class names, of features as `datasets` writes them down (a mapping, or a list of named ones)."""
    if isinstance(features, list):
        features = {one.get("name"): one.get("type", one) for one in features if isinstance(one, dict)}
    found: ClassNames = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        names = _names(feature)
        if names:
            found[str(column)] = names
    return found


def _names(feature: Any) -> tuple[str, ...]:
    """Names of a ClassLabel, also of one in a list or a Sequence."""
    if isinstance(feature, list):
        feature = feature[0] if len(feature) == 1 else None
    if not isinstance(feature, dict):
        return ()
    names = feature.get("names")
    if feature.get("_type", "ClassLabel") == "ClassLabel" and isinstance(names, list) and all(isinstance(name, str) for name in names):
        return tuple(map(str, names))
    for inner in ("feature", "class_label"):
        if inner in feature:
            return _names(feature[inner])
    return tuple(map(str, names.values())) if isinstance(names, dict) else ()  # as a data set's card has them: {"0": "bad"}


def named(row: dict[str, Any], names: ClassNames) -> dict[str, Any]:
    """The row with its classes by name; a class that was not given (-1) is empty."""
    for column, known in names.items():
        row[column] = _name(row.get(column), known)
    return row


def _name(value: Any, known: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_name(one, known) for one in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return known[value] if 0 <= value < len(known) else None if value == -1 else value
