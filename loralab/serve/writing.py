"""Owns opening a writer: an endpoint that speaks as OpenAI’s does, a GGUF in llama.cpp, or a model that is loaded here. No torch.

Invariants: what it may be used for is said before it is asked; nothing is fetched; a key is read from the environment and never written
down.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.jobs import Writer
from loralab.core.records import Record
from loralab.models.catalog import ModelEntry
from loralab.models.gguf.header import read
from loralab.runtimes.speech.local_model import LocalModel
from loralab.serve.client import ChatServer

KEY = "LORALAB_WRITER_KEY"  # environment variable with the endpoint's key
TEMPERATURE = 0.8
SECONDS = 120.0  # for one answer
RETRIES = 2
_MAKERS = (
    (
        ("gpt-4", "gpt-5", "chatgpt", "openai/"),
        "OpenAI’s terms do not allow using what it writes to make models that compete with its own.",
    ),
    (("claude", "anthropic"), "Anthropic’s terms do not allow using what it writes to make models that compete with its own."),
    (("gemini", "palm"), "Google’s terms for Gemini do not allow using what it writes to make models that compete with its own."),
    (
        ("llama",),
        "Llama’s licence wants “Llama” in the name of a model that was trained on what it writes, and “Built with Llama” beside it.",
    ),
    (("gemma",), "Gemma’s terms of use go along with models that were trained on what it writes."),
)
_UNKNOWN = "Its licence is not known here: look at the terms of whoever made it before you share what you train on its words."
Speak = Callable[[str, int], str]


class Terms(Record):
    """What a person has to know before a writer is asked."""

    writer: Writer  # with its licence, as far as it is known
    words: str
    leaves: bool  # what it is shown goes to another computer


def terms(writer: Writer, entries: Iterable[ModelEntry] = ()) -> Terms:
    """The terms of a writer. Raises UserError where it is not there."""
    licence = writer.licence
    if writer.kind == "gguf":
        licence = licence or str(read(Path(writer.name)).values.get("general.license") or "")
    elif writer.kind == "model":
        entry = next((one for one in entries if one.name == writer.name), None)
        if entry is not None and not entry.present:
            raise UserError(
                f"{entry.title} is not on this computer.", "Get it on the Plan page first, or take another writer.", code="not_downloaded"
            )
        licence = licence or (entry.licence if entry else "")
    elif not writer.url.startswith(("http://", "https://")):
        raise UserError("The address of the endpoint is missing.", "It looks like http://127.0.0.1:11434/v1.", code="no_url")
    away = writer.kind == "endpoint" and not _is_here(writer.url)
    where = (
        f"What it is shown leaves this computer and goes to {urlsplit(writer.url).hostname}." if away else "Nothing leaves this computer."
    )
    said = next((words for names, words in _MAKERS if any(name in writer.name.casefold() for name in names)), "")
    known = f"Its licence: {licence}." if licence else "" if said else _UNKNOWN
    words = " ".join(filter(None, (f"{writer.label}.", known, said, where, "What it writes is marked as written by it, in every row.")))
    return Terms(writer=writer.model_copy(update={"licence": licence or "not known"}), words=words, leaves=away)


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def opened(writer: Writer, home: Path, folder: str, seed: int = 0) -> Generator[Speak, None, None]:
    """The writer, ready to be asked. Raises LabError where it cannot be opened or does not answer."""
    if writer.kind == "endpoint":
        with _client(writer) as client:
            yield lambda prompt, most: _asked(client, writer, prompt, most, seed)
    elif writer.kind == "gguf":
        model = LocalModel(Path(writer.name), patience=SECONDS)
        try:
            yield lambda prompt, most: "".join(model.speak([{"role": "user", "content": prompt}], most))
        finally:
            model.close()
    else:
        yield lambda prompt, most: _served(home, folder, prompt, most)


def _client(writer: Writer) -> httpx.Client:
    key = os.environ.get(KEY, "")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=writer.url.rstrip("/") + "/", headers=headers, timeout=SECONDS, trust_env=not _is_here(writer.url))


def _asked(client: httpx.Client, writer: Writer, prompt: str, most: int, seed: int) -> str:
    """One answer of an endpoint. A break in the line is tried again; what it says no to is said in its own words."""
    asked = {
        "model": writer.name,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": most,
        "temperature": TEMPERATURE,
        "seed": seed,
    }
    for attempt in range(RETRIES + 1):
        try:
            response = client.post("chat/completions", json=asked)
        except httpx.TransportError as error:
            if attempt == RETRIES:
                todo = "See that its program runs, then go on: what was written is kept."
                raise Unavailable(f"The writer at {writer.url} does not answer.", todo, code="writer_gone") from error
            continue
        if response.status_code >= 500 and attempt < RETRIES:
            continue
        return _content(response, writer)
    raise AssertionError


def _content(response: httpx.Response, writer: Writer) -> str:
    try:
        said = response.json()
        if response.status_code == 200:
            return str(said["choices"][0]["message"]["content"] or "")
        problem = said.get("error", said)
        words = str(problem.get("message", problem) if isinstance(problem, dict) else problem)[:200]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        words = f"it answered with code {response.status_code} and nothing that can be read"
    todo = "Check its address, the model’s name and, where it needs one, its key."
    raise LabError(f"The writer at {writer.url} said no: {words}.", todo, code="writer_refused")


def _served(home: Path, folder: str, prompt: str, most: int) -> str:
    """An answer of a model that is loaded here; one whose process was let go meanwhile is loaded again."""
    for attempt in range(RETRIES + 1):
        try:
            return ChatServer.open(home, folder).ask([{"role": "user", "content": prompt}], temperature=TEMPERATURE, max_tokens=most)
        except LabError as error:
            if error.problem.code != "chat_gone" or attempt == RETRIES:
                raise
    raise AssertionError
