"""Owns the folder for Grafana and Prometheus: the dashboard, where it is found, rules for messages.

Invariant: every expression of the dashboard asks for a name that metrics.py makes; the data source is a variable, never a fixed one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from loralab.core.errors import UserError
from loralab.core.paths import DATA

BUNDLED = DATA / "grafana"
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
WIDTH = 24  # columns of Grafana's grid
RUN = '{run=~"$run"}'


class Panel(NamedTuple):
    """A chart: what it is called, what it asks (expression, legend), its unit by Grafana's names, and its size on the grid."""

    title: str
    asks: tuple[tuple[str, str], ...]
    unit: str = "none"
    kind: str = "timeseries"
    width: int = 12
    height: int = 8


PANELS = (
    Panel("Running", (('sum(loralab_run_state{state="running"})', ""),), "none", "stat", 4, 4),
    Panel("Waiting", (("loralab_runs_waiting", ""),), "none", "stat", 4, 4),
    Panel(
        "Time left",
        ((f'loralab_seconds_left{RUN} and on (run) (loralab_run_state{{state="running"}} == 1)', "{{run}}"),),
        "s",
        "stat",
        8,
        4,
    ),
    Panel("Done", ((f"loralab_step{RUN} / loralab_steps_planned{RUN}", "{{run}}"),), "percentunit", "gauge", 8, 4),
    Panel("Loss while it learns", ((f"loralab_train_loss{RUN}", "{{run}}"),)),
    Panel("Loss on held-out examples", (('loralab_eval_loss{run=~"$run",split!="final"}', "{{run}} {{split}}"),)),
    Panel("Speed", ((f"loralab_tokens_per_second{RUN}", "{{run}}"), (f"rate(loralab_tokens_total{RUN}[1m])", "{{run}}, whole clock"))),
    Panel("Learning rate", ((f"loralab_learning_rate{RUN}", "{{run}}"),), "sci"),
    Panel("Size of the gradient", ((f"loralab_gradient_norm{RUN}", "{{run}}"),)),
    Panel("Memory", ((f"loralab_memory_bytes{RUN}", "{{run}} {{kind}}"), ("loralab_gpu_memory_bytes", "card {{gpu}}")), "bytes"),
    Panel(
        "Troubles and what was changed",
        ((f"loralab_incidents_total{RUN}", "{{run}} {{kind}}"), (f"loralab_adjustments_total{RUN}", "{{run}} {{setting}}")),
    ),
    Panel("Graphics card", (("loralab_gpu_utilization_ratio", "card {{gpu}} busy"),), "percentunit"),
    Panel(
        "Questions of others, a minute",
        (
            (
                "sum by (gen_ai_request_model, error_type) (rate(gen_ai_server_request_duration_seconds_count[5m])) * 60",
                "{{gen_ai_request_model}} {{error_type}}",
            ),
            ('loralab_serving_questions{state="waiting"}', "waiting now"),
        ),
    ),
    Panel(
        "How long others wait",
        (
            (
                "histogram_quantile(0.95, sum by (le, gen_ai_request_model) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m])))",
                "{{gen_ai_request_model}}: first word, 19 of 20",
            ),
            (
                "histogram_quantile(0.5, sum by (le, gen_ai_request_model) (rate(gen_ai_server_request_duration_seconds_bucket[5m])))",
                "{{gen_ai_request_model}}: whole answer, half of them",
            ),
        ),
        "s",
    ),
    Panel(
        "Words for others, tokens a minute",
        (
            (
                "sum by (gen_ai_request_model, gen_ai_token_type) (rate(gen_ai_client_token_usage_sum[5m])) * 60",
                "{{gen_ai_request_model}} {{gen_ai_token_type}}",
            ),
        ),
    ),
    Panel("Before and after", ((f"loralab_measure{RUN}", "{{run}} {{measure}} {{side}}"),), "none", "bargauge"),
    Panel("Verdict", ((f"loralab_verdict{RUN}", "{{run}}: {{question}}? {{answer}}"),), "none", "table"),
)


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's classic form (schemaVersion 41), ready for import and for provisioning."""
    panels, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > WIDTH:
            x, y, row_height = 0, y + row_height, 0
        panels.append(_drawn(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return {
        "uid": "loralab-runs",
        "title": "LoRALab: runs",
        "tags": ["loralab"],
        "schemaVersion": 41,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source_variable(), _run_variable()]},
        "annotations": {"list": [_moments()]},
        "panels": panels,
    }


def _drawn(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind in ("stat", "gauge", "bargauge", "table")
    targets = [
        {"refId": chr(65 + n), "expr": expr, "legendFormat": legend, "datasource": SOURCE, "instant": instant, "range": not instant}
        for n, (expr, legend) in enumerate(panel.asks)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}} if panel.kind == "timeseries" else {},
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "DS_PROMETHEUS", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _run_variable() -> dict[str, Any]:
    query = "label_values(loralab_run_info, run)"
    asked = {"query": query, "refId": "run"}
    return {"name": "run", "label": "Run", "type": "query", "datasource": SOURCE, "query": asked, "definition": query, "refresh": 2} | {
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "sort": 2,
    }


def _moments() -> dict[str, Any]:
    """Marks on every curve, in words, without a token: Grafana takes the value of a series for its time in milliseconds."""
    return {
        "name": "What happened",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": f"loralab_moment_timestamp_seconds{RUN} * 1000",
        "useValueForTime": True,
        "titleFormat": "{{words}}",
        "tagKeys": "run,kind",
        "step": "10s",
    }


def write(folder: Path, port: int) -> list[Path]:
    """Put all of it into a folder, with the port in it that Prometheus is to ask. Raises UserError where there are other files."""
    if folder.exists() and not (folder / "dashboards" / "loralab.json").is_file() and any(folder.iterdir()):
        raise UserError(f"The folder {folder.name} holds other files.", "Choose a new or an empty folder.", code="not_empty")
    shutil.copytree(BUNDLED, folder, dirs_exist_ok=True)
    (folder / "dashboards").mkdir(exist_ok=True)
    (folder / "dashboards" / "loralab.json").write_text(json.dumps(dashboard(), indent=1) + "\n", "utf-8")
    asked = folder / "prometheus.yml"
    asked.write_text(asked.read_text("utf-8").replace("127.0.0.1:9464", f"127.0.0.1:{port}"), "utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())
