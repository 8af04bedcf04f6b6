"""Owns the whole model as one plain PyTorch file: a dict of name -> tensor, nothing that could run when it is opened.

Invariant: it is read back with `weights_only=True` and every tensor is the merged model's, bit for bit.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from loralab.core.errors import LabError
from loralab.exports import Format, Note, Source, Trial, merged
from loralab.exports._files import TOKENIZER, write_papers
from loralab.exports.parity.folders import pt_inside
from loralab.runtimes.fresh import Folder

FILE = "model.pt"
BESIDE = ("config.json", "generation_config.json", *TOKENIZER)


def needs_bytes(source: Source) -> int:
    """The merged model and the file made of it."""
    return 2 * merged.needs_bytes(source)


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge as the merged format does, pack into one file, compare. Raises LabError when what is read back is something else."""
    with TemporaryDirectory(dir=target) as folder:
        room = Path(folder)
        facts = merged.export(source, room, note)
        note("packing it into one file")
        tensors = _pack(room, target / FILE, facts["dtype"])
        for name in BESIDE:
            if (room / name).is_file():
                shutil.copyfile(room / name, target / name)
    write_papers(source, target, merged=True, loading=_guide())
    return facts | {"file": FILE, "file_bytes": (target / FILE).stat().st_size, "tensors": tensors}


def _pack(folder: Path, path: Path, precision: str) -> int:
    """The model's tensors under the names the model itself gives them; returns how many."""
    import torch

    from loralab.runtimes.base_model import load_base

    tensors = dict(load_base(folder, precision, torch.device("cpu")).state_dict())
    torch.save(tensors, path)
    again = torch.load(path, weights_only=True, mmap=True)
    if list(again) != list(tensors) or not all(torch.equal(again[name], tensor) for name, tensor in tensors.items()):
        raise LabError("The file that was written is not what was meant.", "Check the disk, then export again.", code="pt_differs")
    return len(tensors)


def _guide() -> tuple[str, ...]:
    return (
        f"`{FILE}` is a dict of tensors; `config.json` says what model they belong to. With this folder as the current one:",
        "",
        "```python",
        "import torch",
        "from transformers import AutoConfig, AutoModelForCausalLM",
        "",
        f'tensors = torch.load("{FILE}", weights_only=True, mmap=True)',
        'model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained("."))',
        "model.load_state_dict(tensors)",
        "```",
        "",
        "Where you can choose, take the safetensors folder instead: it opens faster and in more programs.",
    )


def _opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The file, loaded as its guide says, handed on as a folder, and that by transformers in a fresh process."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tensors = torch.load(folder / FILE, weights_only=True, mmap=True)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).to(next(iter(tensors.values())).dtype)
    model.load_state_dict(tensors)
    model.save_pretrained(room)
    for name in BESIDE[1:]:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, room / name)
    return Folder(room)


def _inside(source: Source, folder: Path, trained: Any) -> Any:
    return pt_inside(source, folder, trained, merged.kind_of(source))


FORMAT = Format(
    name="pt",
    label="One PyTorch file (.pt)",
    words="Large; a plain dict of tensors for programs that ask for a .pt file.",
    refuse=merged.refuse,
    needs_bytes=needs_bytes,
    export=export,
    zipped=False,
    trial=Trial(open=_opened, inside=_inside, kind=merged.kind_of),
)
