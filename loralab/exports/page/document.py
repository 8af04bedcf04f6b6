"""Owns the page as a file: its text, its policy, and the bytes of the model in it; writing it, and reading the bytes back.

Invariants: the policy names every script and style by its checksum and allows no connection (of a folder: only to where it came from);
what people and files said stands in it as letters, never as markup; bytes are written and read in pieces, never whole in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loralab.core.errors import UserError
from loralab.exports.page import assets

PIECE = 3 << 20  # bytes of a part on one line of the file; a multiple of three, so that the pieces' letters join
END = '<i id="end" hidden></i>'
_PART = re.compile(rb'^<script type="text/plain" data-part="([\w.-]+)">([A-Za-z0-9+/=]*)</script>$')


@dataclass(frozen=True)
class Page:
    """What a page is made of: what it shows, what its script must know, its parts by name, and which program computes."""

    told: Mapping[str, Any]  # for the template
    settings: Mapping[str, Any]  # for the script
    parts: Mapping[str, Path]  # name -> file; a name ending in .gz is unpacked in the browser
    code: str  # the vendored script
    scripts: tuple[str, ...]  # our own
    body: str  # the template of what is done here


def write(page: Page, path: Path) -> None:
    """Everything in one HTML file."""
    head, tail = _around(page, single=True)
    with path.open("wb") as file:
        file.write(head.encode())
        for name, part in page.parts.items():
            for piece in _pieces(part):
                file.write(b'<script type="text/plain" data-part="%s">%s</script>\n' % (name.encode(), base64.b64encode(piece)))
        file.write(tail.encode())
        file.flush()
        os.fsync(file.fileno())


def write_folder(page: Page, folder: Path) -> None:
    """index.html beside its parts, which lie in `folder` already under their names; with the two programs that serve it."""
    head, tail = _around(page, single=False)
    (folder / "index.html").write_text(head + tail, "utf-8")
    (folder / "offline.js").write_text(assets.ours("offline.js"), "utf-8")
    (folder / "serve.py").write_text((Path(__file__).parent / "serve.py").read_text("utf-8"), "utf-8")


def parts_into(path: Path, room: Path) -> dict[str, Path]:
    """The parts of a page, or of the folder of one, as files in `room`: name -> file. Raises UserError where it is no such page."""
    found = _from_folder(path) if path.is_dir() else _from_file(path, room)
    if not found or not _settings_of(path):
        raise UserError("This is not a page that LoRALab made, or it was cut short.", "Make it again.", code="damaged")
    return found


def known_answers(path: Path) -> dict[str, Any]:
    """What stands in a page for its script; empty where it is none."""
    return _settings_of(path)


def _from_folder(folder: Path) -> dict[str, Path]:
    names = _settings_of(folder).get("parts", {})
    return {name: folder / name for name in names if (folder / name).is_file()}


def _from_file(path: Path, room: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    with path.open("rb") as file:
        for line in file:
            match = _PART.match(line.rstrip(b"\r\n"))
            if match:
                name = match[1].decode()
                with (found.setdefault(name, room / name)).open("ab") as part:
                    part.write(base64.b64decode(match[2]))
    return found


def _settings_of(path: Path) -> dict[str, Any]:
    start = b'<script type="application/json" id="settings">'
    with (path / "index.html" if path.is_dir() else path).open("rb") as file:
        for line in file:
            if line.startswith(start):
                found = json.loads(line[len(start) :].partition(b"</script>")[0])
                return found if isinstance(found, dict) else {}
    return {}


def _pieces(part: Path) -> Iterator[bytes]:
    with part.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _about(part: Path) -> dict[str, int]:
    """Size and checksum (CRC-32, which a page can compute anywhere, also where browsers lend it no cryptography)."""
    crc = 0
    for piece in _pieces(part):
        crc = zlib.crc32(piece, crc)
    return {"bytes": part.stat().st_size, "crc": crc}


def _around(page: Page, *, single: bool) -> tuple[str, str]:
    """What stands before the parts and after them."""
    places = Environment(loader=FileSystemLoader(assets.OURS), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    style, guard = assets.ours("page.css"), assets.ours("guard.js")
    script = "\n".join(assets.ours(name) for name in page.scripts)
    settings = dict(page.settings) | {"parts": {name: _about(part) for name, part in page.parts.items()}, "single": single}
    code = assets.library(page.code)
    head = places.get_template(page.body).render(
        **page.told, style=_raw(style), guard=_raw(guard), policy=_policy(style, guard, code, script, single=single), single=single
    )
    told = json.dumps(settings, ensure_ascii=True).replace("<", "\\u003c")
    head = f'{head.rstrip()}\n<script type="application/json" id="settings">{told}</script>\n'
    return head, f'<script type="module">{code}</script>\n<script type="module">{script}</script>\n{END}\n</body></html>\n'


def _raw(text: str) -> Any:
    return Markup(text)  # noqa: S704 - our own file, which must stand as it is: the policy names its checksum


def _policy(style: str, guard: str, *scripts: str, single: bool) -> str:
    """The content policy: what is not in the file itself is not run, drawn or asked for."""
    named = " ".join(f"'sha256-{_sum(text)}'" for text in (guard, *scripts))
    home = "'none'" if single else "'self'"
    workers = "blob:" if single else "blob: 'self'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {named} 'wasm-unsafe-eval' blob:",
            f"worker-src {workers}",
            f"style-src 'sha256-{_sum(style)}'",
            "img-src data: blob:",
            f"connect-src {home}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _sum(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
