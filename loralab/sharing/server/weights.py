"""Owns handing out what was learned: the adapter as a zip, or the whole model where it was made; in ranges, with its checksum.

Invariants: only what an export would hold leaves, never a path of this computer; the same deployment gives the same bytes.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import threading
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from loralab.core.digest import digest
from loralab.core.jobs import ExportJob
from loralab.runs import runs
from loralab.sharing.deployment import Deployment, adapter_of, folder_of, made_of
from loralab.sharing.server.answers import EVERY
from loralab.sharing.server.gate import Caller, refusal
from loralab.sharing.server.ranged import RangedFile
from loralab.sharing.server.site import Refusal, Site

MOMENT = (1980, 1, 1, 0, 0, 0)  # the same content gives the same zip
FORMS = ("adapter", "merged")
PAPERS = ("README.md", "plan.json")
_PACKING = threading.Lock()


async def weights(site: Site, request: Request, caller: Caller) -> Response:
    """What was learned, as a file. `form`: adapter (beside its base) or merged (the whole model, where the owner made it)."""
    form = request.query_params.get("form", "adapter")
    if form not in FORMS:
        raise Refusal(refusal(400, "bad_request", "form: adapter or merged."))
    name = request.query_params.get("deployment", "") or request.query_params.get("deployment_id", "")
    target = site.target(caller, name, EVERY)
    if target.deployment is None:
        raise Refusal(refusal(404, "model_not_found", "The bare base is not handed out here: it is its maker's."))
    path = await asyncio.to_thread(packed if form == "adapter" else merged, site.home, target.deployment)
    if path is None:
        what = "The whole model was not made for this. Ask its owner to make it, or take form=adapter."
        raise Refusal(refusal(409, "not_made", what))
    about = path.stat()
    sum_ = await asyncio.to_thread(_digest, path, about.st_mtime_ns, about.st_size)
    told = base64.b64encode(bytes.fromhex(sum_)).decode("ascii")
    headers = {"x-checksum-sha256": sum_, "repr-digest": f"sha-256=:{told}:", "x-deployment": target.deployment.id}
    ending = "".join(path.suffixes[-1:])
    return RangedFile(path, filename=f"{target.deployment.called}-{form}{ending}", headers=headers, media_type="application/octet-stream")


@lru_cache(maxsize=64)
def _digest(path: Path, _changed: int, _size: int) -> str:
    return digest(path)


def packed(home: Path, deployment: Deployment) -> Path:
    """The adapter with its card, its plan and checksums as a zip; made when it is first asked for."""
    path = folder_of(home, deployment.id) / "weights" / "adapter.zip"
    with _PACKING:
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            writing = path.with_name(f".{secrets.token_hex(4)}.writing")
            try:
                _pack(home, deployment, writing)
                os.replace(writing, path)
            finally:
                writing.unlink(missing_ok=True)
    return path


def _pack(home: Path, deployment: Deployment, path: Path) -> None:
    kept, folder = adapter_of(home, deployment.id), folder_of(home, deployment.id)
    files = [*sorted(file for file in kept.iterdir() if file.is_file()), *(folder / name for name in PAPERS)]
    sums = "".join(f"{digest(file)}  {file.name}\n" for file in files)
    with path.open("wb") as out:
        with zipfile.ZipFile(out, "w") as archive:
            for file in files:
                stored = file.suffix == ".safetensors"  # numbers hardly shrink
                with archive.open(_entry(deployment, file.name, stored=stored), "w", force_zip64=True) as into, file.open("rb") as content:
                    shutil.copyfileobj(content, into, 1 << 20)
            archive.writestr(_entry(deployment, "SHA256SUMS", stored=False), sums)
        out.flush()
        os.fsync(out.fileno())


def _entry(deployment: Deployment, name: str, *, stored: bool) -> Any:
    found = zipfile.ZipInfo(f"{deployment.id}/{name}", MOMENT)
    found.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    found.external_attr = 0o644 << 16
    return found


def merged(home: Path, deployment: Deployment) -> Path | None:
    """The newest whole model that was made of a deployment, as its zip; None where there is none."""
    for run in reversed(runs.list_runs(home)):
        job = runs.job(home, run)
        if isinstance(job, ExportJob) and job.format == "merged" and made_of(home, job, deployment):
            view = runs.view(home, run)
            result = view.ending.result if view.state == "finished" and view.ending else {}
            path = Path(str(result.get("path", "")))
            if result and path.is_file() and result.get("parity") != "differs":
                return path
    return None
