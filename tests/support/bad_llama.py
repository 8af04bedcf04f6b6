"""Owns children that misbehave in place of the language model's: `python -m tests.support.bad_llama FAULT`. Each breaks in its own way."""

from __future__ import annotations

import os
import signal
import struct
import sys
import time

from loralab.core.child_process import receive, send

OUT, IN = sys.stdout.buffer, sys.stdin.buffer


def _raw(content: bytes) -> None:
    OUT.write(content)
    OUT.flush()


def _broken(fault: str) -> None:
    """What comes instead of the next word."""
    match fault:
        case "dies":
            os.kill(os.getpid(), signal.SIGSEGV if sys.platform != "win32" else signal.SIGTERM)
        case "hangs":
            time.sleep(600)
        case "garbage":
            _raw(b"\xff\xfe not a message at all, only noise and more noise")
        case "huge":
            _raw(struct.pack("<QQ", 2**62, 2**62))
        case "no json":
            _raw(struct.pack("<QQ", 4, 0) + b"{{{{")
        case "a list":
            _raw(struct.pack("<QQ", 2, 0) + b"[]")
        case "no value":
            _raw(struct.pack("<QQ", 2, 0) + b"{}")
        case "endless":
            send(OUT, {"value": "word "})
        case _:
            send(OUT, {"error": "RuntimeError: no"})


def main(fault: str) -> None:
    """Answer as agreed until the words are asked for."""
    if fault == "stillborn":
        raise SystemExit(3)
    send(OUT, {"version": "bad"})
    while True:
        request = receive(IN)[0]
        asked = request["do"]
        if asked in ("more", "among"):
            _broken(fault)
        else:
            send(OUT, {"value": {"chat_ids": [1, 2, 3], "tokenize": list(map(ord, request.get("text", "")))}.get(asked)})


if __name__ == "__main__":
    main(sys.argv[1])
