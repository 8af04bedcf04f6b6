"""Owns the Serve job: hold a model, answer over loopback, let go of the memory when nobody asks.

Invariants: `server.json` (port, token, pid) is in the run folder exactly while the server answers; it is readable by its owner only;
the worker ends by itself after `idle_minutes` without a question, or when the stop file appears.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import Noted
from loralab.core.jobs import ServeJob
from loralab.core.paths import write_atomic
from loralab.models import fingerprint
from loralab.models.tokenize import TextEncoder
from loralab.runs.priority import BEHIND, step_back
from loralab.runs.run_folder import RunFolder
from loralab.serve.adapters import Adapters, job_of, voice_of
from loralab.serve.app import make_app
from loralab.serve.client import GGUF_NUMBERS
from loralab.serve.llama import serve_gguf
from loralab.serve.onnx_answers import open_onnx
from loralab.serve.speaker import Speaker

IDLE_MINUTES = 10.0
LOOK_EVERY = 0.25  # seconds between two looks at the stop file and the clock


def run(folder: RunFolder) -> dict[str, Any]:
    """Serve until idle or asked to stop."""
    asked = folder.asked(ServeJob)
    if asked.engine in ("gguf", GGUF_NUMBERS):
        step_back(BEHIND)
        why = serve_gguf(folder, asked, 60 * (asked.idle_minutes or IDLE_MINUTES))
        return {"outcome": "stopped" if why == "asked" else "finished", "what": _WORDS[why]}
    folder.emit(Noted(text="", phase="loading the model"))
    model, adapter = Path(asked.model), "" if asked.shared else asked.adapter
    if asked.shared:
        step_back(BEHIND)  # others wait for its answers, but the person's own training comes first
    opened = open_onnx if asked.engine == "onnx" else open_shared if asked.shared else open_speaker
    speaker = opened(model, asked.adapter, asked.precision, asked.repetition_penalty)
    about = {
        "name": model.name if not adapter else f"{model.name}+{Path(adapter).name}",
        "model": str(model),
        "adapter": adapter,
        "stamp": asked.stamp,
        "pid": os.getpid(),
        "created": time.time(),
    }
    token = secrets.token_urlsafe(32)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.bind(("127.0.0.1", 0))
        door.listen(64)
        note = folder.path / "server.json"
        write_atomic(note, json.dumps({"port": door.getsockname()[1], "token": token, **about}), private=True)
        folder.emit(Noted(text="Ready to answer.", phase="ready to answer"))
        try:
            why = asyncio.run(_serve(make_app(speaker, token, about), door, speaker, folder))
        finally:
            note.unlink(missing_ok=True)
            speaker.close()
    return {"outcome": "stopped" if why == "asked" else "finished", "what": _WORDS[why]}


_WORDS = {
    "asked": "The chat was closed.",
    "idle": "Nobody asked for a while, so the model was unloaded. It is loaded again with the next question.",
    "signal": "The chat was ended by the system.",
}


def open_speaker(model: Path, adapter: str, precision: str = "", penalty: float | None = None) -> Speaker:
    """Base plus adapter, ready to answer, in the precision the adapter was trained in. Raises Unavailable when a folder is gone."""
    if not (model / "config.json").is_file():
        raise Unavailable("The base model is not on this computer any more.", "Download it again.", code="not_downloaded")
    if adapter and not (Path(adapter) / "adapter_config.json").is_file():
        raise UserError("The adapter's folder is gone or incomplete.", "Train it again, or choose another run.", code="no_adapter")
    if adapter:
        fingerprint.require_same_base(Path(adapter).parent.parent, model)
    loaded = _base(model, adapter, precision)
    if adapter:
        from peft import PeftModel  # heavy: only once it is known that there is something to load

        loaded = PeftModel.from_pretrained(loaded, adapter)
    return Speaker(loaded, TextEncoder(voice_of(model, adapter)), penalty or None)


def open_shared(model: Path, adapter: str, precision: str = "", penalty: float | None = None) -> Speaker:
    """A base that is asked with the adapter's folder in each question; `adapter` is the first of them. Raises as `open_speaker`."""
    if not (model / "config.json").is_file():
        raise Unavailable("The base model is not on this computer any more.", "Download it again.", code="not_downloaded")
    loaded = _base(model, adapter, precision)
    return Speaker(loaded, TextEncoder(model), penalty or None, Adapters(loaded, model))


def _base(model: Path, adapter: str, precision: str) -> Any:
    """The base in the numbers an adapter was trained in."""
    from loralab.runtimes.base_model import device, load_base

    trained = _settings_of(adapter)
    how = {"compute": trained.get("compute", ""), "double": trained.get("double_quantisation", True)}
    return load_base(model, precision or trained.get("precision", "fp32"), device(), **how)


def _settings_of(adapter: str) -> dict[str, Any]:
    """The plan of the run that made the adapter: its numbers are kept alike, so that the chat shows the very model that was judged."""
    job = job_of(adapter)
    return job.plan if job else {}


async def _serve(app: Starlette, door: socket.socket, speaker: Speaker, folder: RunFolder) -> str:
    """Answer until there is a reason to end; returns it: asked, idle or signal."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    idle = 60 * (folder.asked(ServeJob).idle_minutes or IDLE_MINUTES)
    why = "signal"
    while not serving.done():
        if folder.stop_asked:
            why = "asked"
        elif not speaker.busy and time.monotonic() - speaker.last_used > idle:
            why = "idle"
        if why != "signal":
            speaker.closing.set()
            server.should_exit = True
            break
        await asyncio.sleep(LOOK_EVERY)
    await serving
    return why
