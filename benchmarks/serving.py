"""Owns how fast shared answers come: `python -m benchmarks.serving FOLDER [--base FOLDER] [--answers 8] [--tokens 64]`.

The same adapter on the same base, asked through our server (PyTorch with the adapter switched in, and its GGUF), through llama.cpp's own
server on the very same GGUF file, and through `transformers serve` on the merged weights where that can be started. One and four clients;
the sides take turns round by round. Prints tokens a second of all clients together, the median time to the first token, and ratios to
llama.cpp's own server.

Prediction, written before the first run: our server on the GGUF keeps 85 % or more of llama.cpp's own tokens a second (one more hop over
loopback for each piece), with both at two answers at once where four ask; PyTorch on a processor is three to six times slower; the time
to the first token of ours is longer by a few milliseconds alone, and by an answer's length with four clients, since two wait.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from loralab.core import paths
from loralab.core.events import Ended, EventLog, Saved, Started
from loralab.core.jobs import TrainJob
from loralab.core.records import Artifact
from loralab.lab import Lab
from loralab.models import fingerprint
from loralab.serve import client as chat
from loralab.tasks import parse_plan
from tests.support import tiny

RUN = "served"
ASK = "Write a few lines about the sea in autumn."
UP_SECONDS = 120.0


@dataclass
class Side:
    """One server: its address, key and model, and what was measured of it, by number of clients."""

    name: str
    address: str
    key: str
    model: str
    first: dict[int, list[float]] = field(default_factory=dict)
    speed: dict[int, list[float]] = field(default_factory=dict)


def workspace(home: Path, base: Path) -> Lab:
    """A finished run whose adapter is random: what it says does not matter here."""
    adapter = tiny.adapter_folder(home / "runs" / RUN / "artifacts" / "adapter", base, strength=0.01)
    plan = parse_plan({"dataset": str(tiny.examples_file(home / "rows.jsonl", 24)), "base_model": str(base), "rank": 4})
    paths.write_atomic(home / "runs" / RUN / "job.json", TrainJob(run=RUN, plan=plan.model_dump(), model=str(base)).model_dump_json())
    fingerprint.keep(home / "runs" / RUN, base)
    log = EventLog(home / "runs" / RUN / "events.jsonl")
    for event in (Started(pid=1), Saved(artifact=Artifact(kind="adapter", path=str(adapter))), Ended(outcome="finished")):
        log(event)
    return Lab(home)


def made(lab: Lab, form: str, variant: str = "") -> Path:
    """The folder of a finished export."""
    view = lab.wait(lab.export(RUN, form, variant))
    if view.state != "finished" or view.ending is None:
        raise SystemExit(f"{form} could not be made: {view.ending}")
    return Path(str(view.ending.result["folder"]))


@contextlib.contextmanager
def llama_server(file: Path) -> Iterator[Side]:
    """llama.cpp's own server (from the xllamacpp wheel) in a process of its own, with four slots."""
    code = (
        "import sys, time, xllamacpp as x; w = x.CommonParams(); w.model.path = sys.argv[1]; w.n_parallel = 4; w.n_ctx = 4 * 1024; "
        "w.ui = w.warmup = w.fit_params = False; w.verbosity = 0; w.n_gpu_layers = 0; w.no_extra_bufts = True; s = x.Server(w); "
        "print(s.listening_address, flush=True); time.sleep(1e6)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        said = child.stdout or ()
        address = next(line.strip() for line in said if line.startswith("http"))
        yield Side("llama.cpp's server", address, "none", "any")
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def transformers_serve(folder: Path) -> Iterator[Side | None]:
    """`transformers serve` on the merged weights; None, with the reason on standard error, where it does not start."""
    program = Path(sys.executable).with_name("transformers")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder.parent / "transformers-serve.log"
    if not program.is_file():
        sys.stderr.write("transformers serve: its program is not here.\n")
        yield None
        return
    with log.open("wb") as out:
        command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
        child = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    try:
        up = _up(f"http://127.0.0.1:{port}", child)
        if not up:
            last = (log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
            sys.stderr.write(f"transformers serve did not start: {last}\n")
        yield Side("transformers serve", f"http://127.0.0.1:{port}", "none", str(folder)) if up else None
    finally:
        child.kill()
        child.wait()


def _up(address: str, child: subprocess.Popen[bytes]) -> bool:
    limit = time.monotonic() + UP_SECONDS
    while time.monotonic() < limit and child.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"{address}/health", timeout=2, trust_env=False)
            return True
        time.sleep(0.5)
    return False


def one_answer(side: Side, tokens: int) -> tuple[float, int]:
    """Seconds to the first piece, and pieces that came."""
    body = {"model": side.model, "messages": [{"role": "user", "content": f"{ASK} {secrets.token_hex(2)}"}], "stream": True}
    body |= {"max_tokens": tokens, "temperature": 0.8, "seed": secrets.randbelow(1 << 30)}
    begun, first, pieces = time.perf_counter(), 0.0, 0
    headers = {"Authorization": f"Bearer {side.key}"}
    with httpx.stream("POST", f"{side.address}/v1/chat/completions", json=body, headers=headers, timeout=600, trust_env=False) as response:
        if response.is_error:
            raise SystemExit(f"{side.name}: {response.read()[:300]!r}")
        for line in response.iter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line[6:]).get("choices") or [{}]
                if choices[0].get("delta", {}).get("content"):
                    pieces += 1
                    first = first or time.perf_counter() - begun
    return first, pieces


def measure(side: Side, clients: int, answers: int, tokens: int) -> None:
    """`answers` answers, `clients` at a time."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(lambda _: one_answer(side, tokens), range(answers)))
    spent = time.perf_counter() - begun
    side.first.setdefault(clients, []).extend(first for first, _ in told if first)
    side.speed.setdefault(clients, []).append(sum(pieces for _, pieces in told) / spent)


def table(sides: list[Side]) -> None:
    """What was measured; ratios are to llama.cpp's own server."""
    sys.stdout.write("| server | clients | pieces a second | of llama.cpp's | first piece, median s |\n|---|--:|--:|--:|--:|\n")
    by_llama = next(side for side in sides if side.name.startswith("llama"))
    for side in sides:
        for clients in sorted(side.speed):
            speed = statistics.median(side.speed[clients])
            ratio = speed / statistics.median(by_llama.speed[clients])
            first = statistics.median(side.first[clients]) if side.first[clients] else float("nan")
            sys.stdout.write(f"| {side.name} | {clients} | {speed:.1f} | {ratio:.2f} | {first:.3f} |\n")


def main() -> None:
    """Everything, in one folder that may be deleted afterwards."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--base", type=Path, default=paths.STARTER)
    reader.add_argument("--answers", type=int, default=8)
    reader.add_argument("--tokens", type=int, default=64)
    reader.add_argument("--rounds", type=int, default=3)
    given = reader.parse_args()
    home = given.folder.resolve()
    shutil.rmtree(home / "runs" / RUN, ignore_errors=True)
    lab = workspace(home, given.base)
    file = next(made(lab, "gguf", "f16").glob("*.gguf"))
    merged = made(lab, "merged")
    ours = {form: lab.deploy(RUN, format=form) for form in ("safetensors", "gguf")}
    server = lab.serve()
    with llama_server(file) as theirs, transformers_serve(merged) as serving:
        sides = [Side(f"ours, {form}", server.here, lab.owner_key(), one.id) for form, one in ours.items()]
        sides += [theirs, *([serving] if serving else [])]
        try:
            for side in sides:
                one_answer(side, 2)  # loads the model
            for _ in range(given.rounds):
                for clients in (1, 4):
                    for side in sides:
                        measure(side, clients, given.answers, given.tokens)
            table(sides)
        finally:
            lab.stop_serving()
            chat.release(home)


if __name__ == "__main__":
    main()
