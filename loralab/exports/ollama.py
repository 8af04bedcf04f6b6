"""Owns the folder for Ollama: a GGUF file, a Modelfile with this model's own stop tokens and settings, and a guide with its names.

Invariant: the GGUF is made and proven by the gguf format itself; no TEMPLATE is written, because Ollama reads the chat template out of the
file. Ollama is only ever called when that was asked for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core.errors import LabError, Unavailable
from loralab.datasets.loading import load_examples
from loralab.exports import Note, Source, gguf_model
from loralab.exports._files import write_papers
from loralab.models.model_folder import read_json, shape_of

CONTEXT = 4096  # tokens, where the model has room for more: what a small computer's memory holds
TEMPERATURE = 0.0  # as the run was tested: the likeliest words
PATIENCE = 1800  # seconds: Ollama copies the whole file and takes a digest of it
BY_HAND = "The files are made; try the lines in their README by hand."
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """The GGUF, then Modelfile and guide around it. Raises LabError where the GGUF does."""
    facts = gguf_model.export(source, target, note)
    note("writing the Modelfile")
    (target / "Modelfile").write_text(modelfile(source, str(facts["file"])), "utf-8")
    write_papers(source, target, merged=True, loading=_guide(source))
    return facts | {"model": gguf_model.file_name(source)}


def modelfile(source: Source, file: str) -> str:
    """The Modelfile for `file`, which lies beside it."""
    lines = [f"# {gguf_model.file_name(source)}: {source.base.reference} with what it learned in LoRALab merged in", f"FROM ./{file}", ""]
    lines += [f"PARAMETER stop {json.dumps(token, ensure_ascii=False)}" for token in _stops(source)]
    lines += [f"PARAMETER temperature {_temperature(source):g}", f"PARAMETER num_ctx {_context(source)}"]
    system = system_prompt(source)
    if system:  # three quotes end it, so none may stand in it
        inner = system.replace('"""', "'''")
        lines += ["", f'SYSTEM """{inner}"""']
    return "\n".join(lines) + "\n"


def _stops(source: Source) -> list[str]:
    """The tokens that end this model's answers, as text."""
    with TemporaryDirectory() as folder:
        encoder = gguf_model.encoder_of(source, Path(folder))
        return [str(encoder.tokenizer.id_to_token(i)) for i in sorted(encoder.stop_ids)]


def _temperature(source: Source) -> float:
    generation = source.model / "generation_config.json"
    asked = read_json(generation) if generation.is_file() else {}
    return float(asked.get("temperature") or TEMPERATURE) if asked.get("do_sample") else TEMPERATURE


def _context(source: Source) -> int:
    """What the model can read at once, at most CONTEXT, but not less than it was trained on."""
    room = shape_of(read_json(source.model / "config.json")).context
    wanted = max(CONTEXT, int(source.plan.get("max_length") or 0))
    return min(room or wanted, wanted)


def system_prompt(source: Source) -> str:
    """The instruction every example began with, where there was exactly one; empty where there was none, or the file is gone or another."""
    path = Path(str(source.plan.get("dataset", "")))
    if not path.is_absolute() or not path.exists():
        return ""
    try:
        examples, _ = load_examples(path, source.plan.get("roles"), source.plan.get("parts") or ())
    except (LabError, OSError):
        return ""
    found = {next((m.content for m in example.messages if m.role == "system"), "") for example in examples}
    return found.pop() if len(found) == 1 else ""


def _guide(source: Source) -> tuple[str, ...]:
    name = gguf_model.file_name(source)
    return (
        "In a terminal, in this folder:",
        "",
        "```sh",
        f"ollama create {name} -f Modelfile",
        f"ollama run {name}",
        "```",
        "",
        "Programs of your own ask it over HTTP:",
        "",
        "```sh",
        f"curl http://localhost:11434/api/chat -d '{_asked(name)}'",
        "```",
        "",
        "The chat template and the tokenizer are inside the GGUF file; the Modelfile adds where answers end, the temperature",
        "(0: the most likely words, as it was tested; 0.7 gives more variety) and how much it reads at once.",
        f"To take it out of Ollama again: `ollama rm {name}`.",
    )


def _asked(name: str) -> str:
    return json.dumps({"model": name, "stream": False, "messages": [{"role": "user", "content": "What can you do?"}]})


def _program() -> str:
    """Where Ollama is, empty where it is not."""
    return shutil.which("ollama") or ""


def hand_over(source: Source, folder: Path, note: Note) -> dict[str, Any]:
    """`ollama create` under this model's name. Raises Unavailable where Ollama is not installed, LabError when it refuses."""
    program = _program()
    if not program:
        what = "Ollama was not found on this computer."
        raise Unavailable(what, "Get it from ollama.com, start it once, then export again.", code="no_program")
    note("giving it to Ollama")
    name = gguf_model.file_name(source)
    command = [program, "create", name, "-f", "Modelfile"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"Ollama could not be run: {error}.", BY_HAND) from error
    if done.returncode:
        said = _COLOURS.sub("", done.stderr or done.stdout).strip().splitlines()
        last = said[-1][:300] if said else f"it ended with {done.returncode}"
        raise LabError(f"Ollama did not take it: {last}", f"Is it running? {BY_HAND}")
    return {"installed": f"ollama run {name}"}


FORMAT = replace(
    gguf_model.FORMAT,
    name="ollama",
    label="Ollama folder",
    words="A folder for Ollama: one file and its Modelfile, ready for “ollama create”.",
    export=export,
    hand_over=hand_over,
    program_here=lambda: bool(_program()),
)
