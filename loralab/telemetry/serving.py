"""Owns the part of the page that tells of answers given to others, under OpenTelemetry's names for generative AI.

Invariant: read from what the sharing server writes down; labels are a model's name, a kind, a status, and nothing of who asked or what.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from loralab.core import served
from loralab.core.served import Asked, Spread

LABELS = ["gen_ai_request_model", "gen_ai_operation_name", "error_type"]
GONE = 3 * served.BEAT  # seconds without a word after which the server is gone
TIMES = (
    ("gen_ai_server_request_duration_seconds", "From a question's coming in to the end of its answer.", "duration", served.DURATION),
    ("gen_ai_server_time_to_first_token_seconds", "From a question's coming in to the first piece of its answer.", "first", served.FIRST),
    ("gen_ai_server_time_per_output_token_seconds", "For each further token of an answer.", "each", served.EACH),
)


def families(home: Path) -> Iterator[Metric]:
    """Every family, also without a sample."""
    told = served.read(home)
    for name, words, part, bounds in TIMES:
        family = HistogramMetricFamily(name, words, labels=LABELS)
        for one in told.asked:
            _add(family, _labels(one), getattr(one, part), bounds)
        yield family
    tokens = HistogramMetricFamily(
        "gen_ai_client_token_usage", "Tokens of a question and of its answer.", labels=[*LABELS, "gen_ai_token_type"]
    )
    for one in told.asked:
        _add(tokens, [*_labels(one), "input"], one.read, served.TOKENS)
        _add(tokens, [*_labels(one), "output"], one.written, served.TOKENS)
    yield tokens
    up = time.time() - told.time < GONE
    yield _gauge("loralab_serving_up", "Whether the sharing server is there.", {"": float(up)})
    now = {"writing": float(told.writing * up), "waiting": float(told.waiting * up)}
    yield _gauge("loralab_serving_questions", "Questions that are answered and that wait, at this moment.", now, "state")


def _labels(one: Asked) -> list[str]:
    return [one.model, one.operation, one.error]


def _add(family: HistogramMetricFamily, labels: list[str], spread: Spread, bounds: tuple[float, ...]) -> None:
    if len(spread.counts) != len(bounds) + 1:
        return
    names = [*(str(bound) for bound in bounds), "+Inf"]
    family.add_metric(labels, buckets=list(zip(names, accumulate(map(float, spread.counts)), strict=True)), sum_value=spread.total)


def _gauge(name: str, words: str, values: dict[str, float], label: str = "") -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label] if label else [])
    for value, number in values.items():
        family.add_metric([value] if label else [], number)
    return family
