"""Owns a GGUF file that answers by itself: llama.cpp's own server inside the worker, behind a token, on loopback.

Invariants: as of every worker: its note is there exactly while it answers, it ends when it is asked to, or when nobody asks for a while.
It writes two answers at once and reads what waits in the same passes.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import httpx

from loralab.core import parts
from loralab.core.events import Noted
from loralab.core.jobs import ServeJob
from loralab.core.paths import write_atomic
from loralab.models.gguf.header import read
from loralab.runs.run_folder import RunFolder
from loralab.serve.client import GGUF_NUMBERS

AT_ONCE = 2  # answers; each has a part of the context
CONTEXT = 4096  # tokens at most, for each
SMALL_BYTES = 200_000_000  # of a file: smaller models fall into loops, as with PyTorch
MILD_PENALTY, MEMORY = 1.1, 64
LOOK_EVERY = 0.5  # seconds


def serve_gguf(folder: RunFolder, asked: ServeJob, idle: float) -> str:
    """Answer until there is a reason to end; returns it: asked or idle. Raises Unavailable without llama.cpp."""
    folder.emit(Noted(text="", phase="loading the model"))
    token = secrets.token_urlsafe(32)
    server = _opened(Path(asked.model), token, numbers=asked.engine == GGUF_NUMBERS)
    address = str(server.listening_address)
    about = {"model": asked.model, "adapter": "", "stamp": asked.stamp, "pid": os.getpid()}
    note = folder.path / "server.json"
    write_atomic(note, json.dumps({"port": int(address.rpartition(":")[2]), "token": token, **about}), private=True)
    folder.emit(Noted(text="Ready to answer.", phase="ready to answer"))
    try:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30.0, trust_env=False) as web:
            return _until_idle(folder, web, idle)
    finally:
        note.unlink(missing_ok=True)


def _until_idle(folder: RunFolder, web: httpx.Client, idle: float) -> str:
    last, then = "", time.monotonic()
    while not folder.stop_asked:
        slots = web.get("/slots").json()
        now = json.dumps([[slot.get("id_task"), slot.get("is_processing")] for slot in slots])
        if now != last or any(slot.get("is_processing") for slot in slots):
            last, then = now, time.monotonic()
        if time.monotonic() - then > idle:
            return "idle"
        time.sleep(LOOK_EVERY)
    return "asked"


def _opened(file: Path, token: str, *, numbers: bool = False) -> Any:
    try:
        library: Any = importlib.import_module("xllamacpp")  # an optional part
    except ImportError as error:
        raise parts.unavailable("llama_cpp", "There is nothing on this computer that can run a GGUF file.") from error
    wish = library.CommonParams()
    wish.model.path = str(file)
    wish.n_ctx, wish.n_parallel = AT_ONCE * CONTEXT, AT_ONCE
    wish.api_keys = [token]
    wish.endpoint_slots = True
    wish.no_extra_bufts = wish.no_op_offload = wish.no_kv_offload = True
    wish.warmup = wish.fit_params = wish.ui = False
    wish.cache_ram_mib, wish.n_gpu_layers, wish.verbosity = 0, 0, 1
    if file.stat().st_size < SMALL_BYTES:
        wish.sampling.penalty_repeat, wish.sampling.penalty_last_n = MILD_PENALTY, MEMORY
    if numbers:
        _reads_only(library, wish, file)
    return library.Server(wish)


def _reads_only(library: Any, wish: Any, file: Path) -> None:
    """It turns texts into numbers: the mean over a text's tokens, each text in one pass."""
    context = min(CONTEXT, int(read(file).own("context_length", CONTEXT)))
    wish.embedding, wish.pooling_type = True, library.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    wish.n_ctx = wish.n_batch = wish.n_ubatch = context
    wish.n_parallel = 1
