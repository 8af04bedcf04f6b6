"""Owns what tests of hostile input share: how many tries, the beginnings of files, any JSON, the names of all settings."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from loralab.tasks import tasks

MANY = settings(max_examples=120, deadline=None, suppress_health_check=[*HealthCheck])  # pyright: ignore[reportArgumentType]
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])  # pyright: ignore[reportArgumentType]
SUFFIXES = ("", ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".xlsx", ".parquet", ".zip", ".gz", ".xz", ".bz2", ".odd")
BEGINNINGS = (
    b"",
    b"PK\x03\x04",
    b"PAR1",
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\x00",
    b"BZh9",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b"\xd0\xcf\x11\xe0",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SETTINGS = sorted({name for task in tasks().values() for name in task.plan.model_fields})
