"""Owns finding an adapter's files in what somebody gives: a folder, a zip, or the files themselves, copied to a room of our own.

Invariants: only files of known names are taken, none is a link out of an archive, and size is bounded before a byte is unpacked.
"""

from __future__ import annotations

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from loralab.adapters.compatibility import CONFIG, PICKLE
from loralab.adapters.names import WEIGHTS
from loralab.core.errors import UserError
from loralab.core.words import size
from loralab.datasets.formats.archives import MAX_RATIO, RATIO_FROM, refusal

TAKEN = frozenset(
    {
        CONFIG,
        WEIGHTS,
        PICKLE,
        "history.json",
        "plan.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "generation_config.json",
        "trainer_state.json",
        "trainer_log.jsonl",
    }
)
SPARE = 64 << 20  # bytes left free for everything else
SMALL = 200 << 20  # a file that is no weights is not larger
MOST = 5  # names told


def gather(given: Sequence[Path], room: Path) -> None:
    """Copy the adapter's files into `room`. Raises UserError where there is no adapter, more than one, or no space for it."""
    if not given:
        raise UserError("There is nothing to import.", "Give an adapter's folder or zip.", code="no_file")
    for path in given:
        if not path.exists():
            raise UserError(f"There is no file or folder {path}.", "Check the path.", code="no_file")
    if len(given) == 1 and given[0].is_dir():
        _copy(_chosen_folder(given[0]), room)
    elif len(given) == 1 and zipfile.is_zipfile(given[0]) and given[0].name != PICKLE:
        _unpack(given[0], room)
    elif len(given) == 1 and given[0].name in (CONFIG, WEIGHTS, PICKLE):
        _copy([file for file in given[0].parent.iterdir() if file.is_file()], room)
    elif len(given) == 1:
        todo = f"Give an adapter's folder or zip: {CONFIG} and {WEIGHTS}."
        raise UserError(f"{given[0].name} is neither an adapter nor a zip file of one.", todo, code="no_adapter")
    else:
        _copy([file for file in given if file.is_file()], room)
    if not (room / CONFIG).is_file() or not any((room / name).is_file() for name in (WEIGHTS, PICKLE)):
        there = [name for name in (CONFIG, WEIGHTS) if not (room / name).is_file()]
        todo = f"Give the adapter's whole folder or zip: {CONFIG} and {WEIGHTS}."
        raise UserError(
            f"This is not a complete adapter: {' and '.join(there)} {'is' if len(there) == 1 else 'are'} missing.", todo, code="no_adapter"
        )


def _chosen_folder(folder: Path) -> list[Path]:
    """Files of the folder itself, or of the one folder in it that holds an adapter; checkpoints beside it do not count."""
    if (folder / CONFIG).is_file() or any((folder / name).is_file() for name in (WEIGHTS, PICKLE)):
        return [file for file in folder.iterdir() if file.is_file()]
    chosen = _shallowest(path.relative_to(folder).parts for path in folder.glob(f"*/**/{CONFIG}"))
    return [file for file in folder.joinpath(*chosen).iterdir() if file.is_file()] if chosen else []


def _shallowest(found: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The folder of the adapter nearest to the top. Raises UserError where several are equally near."""
    places = sorted((parts[:-1] for parts in found), key=lambda parts: (len(parts), parts))
    nearest = [parts for parts in places if len(parts) == len(places[0])] if places else []
    if len(nearest) > 1:
        names = ", ".join("/".join(parts) for parts in nearest[:MOST])
        raise UserError(f"There are {len(nearest)} adapters in it: {names}.", "Give the one you want.", code="several_adapters")
    return nearest[0] if nearest else ()


def _copy(files: Sequence[Path], room: Path) -> None:
    taken = [file for file in files if file.name in TAKEN]
    _room_for(sum(file.stat().st_size for file in taken), room)
    for file in taken:
        shutil.copyfile(file, room / file.name)


def _room_for(needed: int, room: Path) -> None:
    """Twice: here, and where it will lie."""
    free = shutil.disk_usage(room).free
    if free < 2 * needed + SPARE:
        what = f"Bringing this adapter in needs {size(2 * needed + SPARE)} and the disk has {size(free)} left."
        raise UserError(what, "Free some space, then try again.", code="disk_full")


def _unpack(path: Path, room: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {PurePosixPath(member.filename.replace("\\", "/")): member for member in archive.infolist() if not member.is_dir()}
            top = _shallowest(place.parts for place in members if place.name == CONFIG)
            wanted = [m for place, m in members.items() if place.parts[:-1] == top and place.name in TAKEN]
            for member in wanted:
                _safe(member, path.name)
            _room_for(sum(member.file_size for member in wanted), room)
            for member in wanted:
                _extract(archive, member, room / PurePosixPath(member.filename.replace("\\", "/")).name)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(f"{path.name} is damaged or not a zip archive.", "Make or download it again.", code="bad_archive") from error


def _safe(member: zipfile.ZipInfo, name: str) -> None:
    weights = PurePosixPath(member.filename).name in (WEIGHTS, PICKLE)
    swollen = member.file_size > RATIO_FROM and member.file_size > MAX_RATIO * max(1, member.compress_size)
    reason = refusal(member) or ("It is too large for what it is." if swollen or (not weights and member.file_size > SMALL) else "")
    if reason:
        raise UserError(
            f"{member.filename} in {name} is not opened: {reason[0].lower()}{reason[1:]}",
            "Do not trust this archive.",
            code="unsafe_archive",
        )


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """One file, never more than it promised."""
    left = member.file_size
    with archive.open(member) as packed, target.open("wb") as file:
        while block := packed.read(1 << 20):
            left -= len(block)
            if left < 0:
                raise UserError(
                    f"{member.filename} unpacks to more than the archive says.", "Do not trust this archive.", code="unsafe_archive"
                )
            file.write(block)
