"""Owns the commands for people who watch runs in other programs. Invariant: the promises of app.py; nothing is written into a run."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from loralab import lab as facade
from loralab.cli.console import Home, Json, Output, Run, newest

PORT = 9464  # what exporters of OpenTelemetry take
MARKS_S = 5.0  # between two looks for what happened


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(metrics)
    app.command("export-run")(export_run)


def metrics(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Serve the page here, on this computer only; 0: any free one.")
    ] = PORT,
    once: Annotated[bool, typer.Option("--once", help="Print the page and end.")] = False,
    textfile: Annotated[
        Path | None, typer.Option("--textfile", metavar="FILE.prom", help="Write the page for node_exporter and end.")
    ] = None,
    grafana: Annotated[
        Path | None, typer.Option("--grafana", metavar="FOLDER", help="Write dashboard, rules and settings, and end.")
    ] = None,
    marks: Annotated[
        str, typer.Option("--marks", metavar="ADDRESS", help="Also tell this Grafana what happens; its token in GRAFANA_TOKEN.")
    ] = "",
    json: Json = False,
    home: Home = None,
) -> None:
    """All runs as numbers for Prometheus, at /metrics; with --grafana the dashboard for them."""
    lab, out = facade.Lab(home), Output(json)
    if once:
        page = lab.metrics()
        out.give({"metrics": page}, page.rstrip("\n"))
    elif textfile:
        out.give({"file": str(lab.keep_metrics(textfile))}, str(textfile))
    elif grafana:
        files = [str(file) for file in lab.grafana(grafana, port or PORT)]
        out.give({"files": files}, "\n".join(files))
    else:
        _serve(lab, port, marks, out)


def _serve(lab: facade.Lab, port: int, marks: str, out: Output) -> None:
    """Until Ctrl-C."""
    tell = lab.grafana_marks(marks, os.environ.get("GRAFANA_TOKEN", "")) if marks else lambda: 0
    taken, end = lab.serve_metrics(port)
    address = f"http://127.0.0.1:{taken}/metrics"
    out.give({"address": address, "port": taken}, address)
    out.say("Press Ctrl-C to end. Trainings do not notice.")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                tell()
                time.sleep(MARKS_S)
    finally:
        end()


def export_run(
    run: Run = "last",
    form: Annotated[str, typer.Option("--format", help="csv, jsonl, tensorboard, mlflow or trackio.")] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file, or for trackers the folder. Left out: beside you, with the run's name.")
    ] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """A run's numbers as a table, or in another tracker's own form."""
    lab, speak = facade.Lab(home), Output(json)
    of = newest(lab, run)
    place = out or Path(f"{of}.{form}" if form in ("csv", "jsonl") else f"{of}-{form}")
    made = lab.export_run(of, form, place)
    speak.give({"run": of, "format": form, "path": str(made)}, str(made))
