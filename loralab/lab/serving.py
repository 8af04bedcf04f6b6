"""Entry point of the sharing server: `python -m loralab.lab.serving HOME PORT [house]`. It answers until it is asked to end.

Invariants: it listens on this computer, and in the house only where that was asked for; its note says where it is exactly while it lives;
what it opened beyond the house is closed when its time is over. No torch in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from filelock import FileLock, Timeout

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.lab.facade import Lab
from loralab.sharing import running, tailscale
from loralab.sharing.addresses import LOOPBACK, in_the_house
from loralab.sharing.server.app import make_app
from loralab.sharing.server.patience import Patient
from loralab.sharing.server.site import Site

TEND_S = 20.0  # between two looks whether a way in from beyond the house is to be closed
COUNT_S = 2.0  # between two writings of what was answered
TAKEN = 3  # exit code: the port is not free


class Desk(Lab):
    """The facade as the server's programs use it."""

    def teach(self, examples: Path, model: str, settings: dict[str, Any], title: str) -> str:
        """Read examples, propose what is not fixed, and start; the run's id. Raises LabError where the app would refuse."""
        base = model or "starter"
        profile = self.profile(examples, base)
        changes: dict[str, Any] = settings | ({"title": title} if title else {})
        if odd := changes.keys() & {"model", "profile", "priors", "dataset", "base_model"}:
            raise UserError(f"{', '.join(sorted(odd))} is not a setting here.", "Name the model beside the settings.", code="bad_setting")
        proposal = self.propose(profile, base, None, **changes)
        for problem in proposal.problems:
            if problem.severity == "error":
                raise UserError(problem.what, problem.todo, code=problem.code)
        return self.start(proposal)


def main(home: str, port: int, *, house: bool) -> int:
    """Serve one workspace."""
    place = Path(home)
    room = paths.room("sharing", place)
    lock = FileLock(room / ".server.lock")
    try:
        lock.acquire(timeout=running.END_SECONDS)
    except Timeout:
        return TAKEN
    names = in_the_house() if house else ()
    doors: list[socket.socket] = []
    try:
        for address in (LOOPBACK[0], *names):
            door = _door(address, port)
            port = door.getsockname()[1]
            doors.append(door)
    except OSError as error:
        logging.getLogger("loralab.sharing").error("port %s: %s", port, error)  # noqa: TRY400 - a taken port is no bug
        return TAKEN
    try:
        asyncio.run(_serve(place, room, doors, names))
    finally:
        (room / running.NOTE).unlink(missing_ok=True)
        for door in doors:
            door.close()
        lock.release()
    return 0


def _door(address: str, port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # there it would let two programs share a port
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((address, port))
    door.listen(128)
    return door


async def _serve(home: Path, room: Path, doors: list[socket.socket], names: tuple[str, ...]) -> None:
    port = doors[0].getsockname()[1]
    site = Site(home, Desk(home), running.owner_key(home))
    house = (*names, *((f"{socket.gethostname().lower()}.local",) if names else ()))
    app = make_app(site, house)
    how: dict[str, Any] = {"log_level": "warning", "access_log": False, "lifespan": "off", "server_header": False, "date_header": False}
    limits: dict[str, Any] = {"timeout_graceful_shutdown": 3, "limit_concurrency": 256, "h11_max_incomplete_event_size": 64 << 10}
    server = uvicorn.Server(uvicorn.Config(app, http=Patient, proxy_headers=False, timeout_keep_alive=30, **how, **limits))
    born = psutil.Process().create_time()
    note = running.Serving(port=port, pid=os.getpid(), born=born, house=tuple(f"http://{name}:{port}" for name in names))
    paths.write_atomic(room / running.NOTE, note.model_dump_json(), private=True)
    tending = [asyncio.create_task(_tend(home, port)), asyncio.create_task(_count(site))]
    try:
        await server.serve(sockets=doors)
    finally:
        for task in tending:
            task.cancel()
        with contextlib.suppress(OSError):
            site.counts.keep()


async def _tend(home: Path, port: int) -> None:
    """Close what leads in from beyond the house and should not: to a port that is no longer ours, or longer than was said."""
    while True:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(tailscale.tidy, home, port)
        await asyncio.sleep(TEND_S)


async def _count(site: Site) -> None:
    """Write down what was answered, for the page that Prometheus reads. A full disk costs the numbers, never an answer."""
    while True:
        with contextlib.suppress(OSError):
            site.counts.keep()
        await asyncio.sleep(COUNT_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), house="house" in sys.argv[3:]))
