"""Owns the page that Prometheus reads: each run's numbers as gauges and counters, made from the run folders when it is asked for.

Invariants: names are in base units, counters end in _total; a label holds no text of a person's examples and no path; the number of
series is bounded by what followed.py shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from loralab.core.errors import UserError
from loralab.machine.gpu import readings
from loralab.telemetry import serving
from loralab.telemetry.followed import Followed, Following
from loralab.telemetry.words import of_moment

STATES = ("waiting", "running", "finished", "stopped", "failed", "killed")
ABOUT = ("run", "kind", "title", "task", "model", "data")
# name -> what it is, where it is found; None where a run has no such number yet
CURVES: dict[str, tuple[str, Callable[[Followed], float | None]]] = {
    "loralab_train_loss": ("Loss of the newest update, in nats per learned token.", lambda run: run.newest and run.newest.loss),
    "loralab_gradient_norm": ("Norm of the newest gradient, before clipping.", lambda run: run.newest and run.newest.grad_norm),
    "loralab_learning_rate": ("Learning rate of the newest update.", lambda run: run.newest and run.newest.learning_rate),
    "loralab_tokens_per_second": (
        "Speed of the newest update (pixels for pictures).",
        lambda run: run.newest and run.newest.tokens_per_second,
    ),
    "loralab_step": ("Updates made.", lambda run: run.newest and run.newest.step),
    "loralab_steps_planned": ("Updates planned.", lambda run: run.newest and run.newest.total_steps),
    "loralab_epoch": ("Rounds through the examples.", lambda run: run.newest and run.newest.epoch),
    "loralab_seconds_left": ("Seconds that are left, as far as can be said.", lambda run: run.newest and run.newest.seconds_left),
    "loralab_trainable_weights": ("Weights that learn.", lambda run: run.trained or None),
    "loralab_started_timestamp_seconds": ("When it began.", lambda run: run.started or None),
    "loralab_ended_timestamp_seconds": ("When it ended.", lambda run: run.ended or None),
}


class Runs(Collector):
    """Collects from the run folders of a workspace each time it is asked."""

    def __init__(self, home: Path) -> None:
        self._home, self._followed = home, Following(home)

    def collect(self) -> Iterator[Metric]:
        """Every family, also one without a sample, so that a chart finds its name before the first run."""
        runs = self._followed()
        yield from _curves(runs)
        yield from _states(runs)
        yield from _judged(runs)
        yield from _counted(runs)
        yield _told(runs)
        yield from _cards()
        yield from serving.families(self._home)


def _family(name: str, help_text: str, labels: Iterable[str], samples: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=list(labels))
    for values, number in samples:
        family.add_metric(list(values), number)
    return family


def _curves(runs: list[Followed]) -> Iterator[Metric]:
    for name, (help_text, ask) in CURVES.items():
        asked = ((run.run, ask(run)) for run in runs)
        yield _family(name, help_text, ["run"], [((run,), float(value)) for run, value in asked if value is not None])
    looks = [((run.run, split), loss) for run in runs for split, loss in run.looks.items()]
    yield _family("loralab_eval_loss", "Held-out loss: of the base, of the newest look, of the verdict.", ["run", "split"], looks)
    now = [((run.run, "process"), float(run.newest.memory_bytes)) for run in runs if run.newest]
    peak = [((run.run, "process_peak"), float(run.peak_bytes)) for run in runs if run.peak_bytes]
    yield _family("loralab_memory_bytes", "Memory of the training.", ["run", "kind"], now + peak)


def _states(runs: list[Followed]) -> Iterator[Metric]:
    about = [(tuple(run.labels[name] for name in ABOUT), 1.0) for run in runs]
    yield _family("loralab_run_info", "What a run is.", ABOUT, about)
    states = [((run.run, state), float(run.state == state)) for run in runs for state in STATES]
    yield _family("loralab_run_state", "1 for the state a run is in.", ["run", "state"], states)
    waiting = sum(run.state == "waiting" for run in runs)
    yield _family("loralab_runs_waiting", "Runs that wait for their turn.", [], [((), float(waiting))])


def _judged(runs: list[Followed]) -> Iterator[Metric]:
    told = [(run, run.verdict) for run in runs if run.verdict]
    answers = [((run.run, "learned", verdict.learned), 1.0) for run, verdict in told]
    answers += [((run.run, "usable", verdict.usable), 1.0) for run, verdict in told]
    yield _family("loralab_verdict", "Whether it learned and whether it can be used.", ["run", "question", "answer"], answers)
    sides = [((run.run, score.name, side), getattr(score, side)) for run in runs for score in run.scores for side in ("before", "after")]
    yield _family("loralab_measure", "A measure on held-out examples, before and after.", ["run", "measure", "side"], sides)


def _counted(runs: list[Followed]) -> Iterator[Metric]:
    tokens = CounterMetricFamily("loralab_tokens", "Tokens read (pixels for pictures), over all attempts.", labels=["run"])
    incidents = CounterMetricFamily("loralab_incidents", "Troubles that were noticed.", labels=["run", "kind"])
    adjusted = CounterMetricFamily("loralab_adjustments", "Settings changed while it ran.", labels=["run", "setting"])
    saves = CounterMetricFamily("loralab_saves", "Copies, adapters and exports written.", labels=["run"])
    for run in runs:
        tokens.add_metric([run.run], run.tokens)
        saves.add_metric([run.run], run.saves)
        for kind, count in run.incidents.items():
            incidents.add_metric([run.run, kind], count)
        for setting, count in run.adjustments.items():
            adjusted.add_metric([run.run, setting], count)
    yield from (tokens, incidents, adjusted, saves)


def _told(runs: list[Followed]) -> Metric:
    """What happened, in words, each at its moment: what a dashboard draws as marks on its curves."""
    moments = [((run.run, event.type, of_moment(event)), event.time) for run in runs for event in run.told]
    return _family("loralab_moment_timestamp_seconds", "When something happened to a run, with what.", ["run", "kind", "words"], moments)


def _cards() -> Iterator[Metric]:
    cards = readings()
    used = [((str(card.index),), float(card.used_bytes)) for card in cards]
    yield _family("loralab_gpu_memory_bytes", "Memory of a graphics card that is in use.", ["gpu"], used)
    busy = [((str(card.index),), card.busy) for card in cards if card.busy is not None]
    yield _family("loralab_gpu_utilization_ratio", "How busy a graphics card is.", ["gpu"], busy)
    heat = [((str(card.index),), card.celsius) for card in cards if card.celsius is not None]
    yield _family("loralab_gpu_temperature_celsius", "How hot a graphics card is.", ["gpu"], heat)


def registry(home: Path) -> CollectorRegistry:
    """What Prometheus' own library asks."""
    asked = CollectorRegistry(auto_describe=False)
    asked.register(Runs(home))
    return asked


def page(home: Path) -> str:
    """The page as it is now."""
    return generate_latest(registry(home)).decode()


def serve(home: Path, port: int) -> tuple[int, Callable[[], None]]:
    """Serve the page on this computer only; the port it has (0 asks for a free one), and what ends it. Raises UserError."""
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry(home))
    except OSError as error:
        raise UserError(f"Port {port} is in use.", "Choose another number.", code="port_taken") from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_address[1]), end


def keep(home: Path, file: Path) -> None:
    """Write the page for node_exporter's textfile collector, whole or not at all. Raises UserError."""
    if file.suffix != ".prom":
        raise UserError(f"{file.name} would not be read.", "Give the file a name that ends in .prom.", code="bad_name")
    try:
        write_to_textfile(str(file), registry(home))
    except OSError as error:
        raise UserError(f"{file.name} could not be written: {error.strerror}.", "Choose another folder.", code="not_written") from error
