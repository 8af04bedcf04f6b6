"""What other programs watch of a workspace's runs, and runs in other trackers' forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loralab.core import disk
from loralab.lab.workspace import Workspace
from loralab.telemetry import exported, grafana


class Watched(Workspace):
    """A workspace that Prometheus, Grafana and other trackers can look into."""

    def metrics(self) -> str:
        """All runs that go on or ended within a day as a page for Prometheus, in its text form."""
        from loralab.telemetry import metrics

        return metrics.page(self.home)

    def serve_metrics(self, port: int = 0) -> tuple[int, Callable[[], None]]:
        """Serve that page at /metrics, on this computer only, in a thread; its port (0: a free one), and what ends it."""
        from loralab.telemetry import metrics

        return metrics.serve(self.home, port)

    def keep_metrics(self, file: Path | str) -> Path:
        """Write that page into a file ending in .prom, whole or not at all, for node_exporter's textfile collector."""
        from loralab.telemetry import metrics

        metrics.keep(self.home, Path(file))
        return Path(file)

    def grafana(self, folder: Path | str, port: int) -> list[Path]:
        """Write Grafana's dashboard, its settings, and Prometheus' settings and rules into a new or empty folder; the files."""
        with disk.writing(Path(folder)):
            return grafana.write(Path(folder), port)

    def grafana_marks(self, address: str, token: str) -> Callable[[], int]:
        """What sends a Grafana the marks that are new at each call, in words; how many it took. Raises UserError: the token is refused."""
        from loralab.telemetry.annotations import Marks

        return Marks(self.home, address, token).tell

    def export_run(self, run: str, format: str, out: Path | str) -> Path:  # noqa: A002  (the field's own word)
        """A run's numbers for another tracker: csv or jsonl into a file; tensorboard, mlflow or trackio into a new or empty folder."""
        return exported.write(self.view(run), self.job(run), format, Path(out).absolute())
