"""A program that says what Tailscale's says, word for word where that matters; what it serves stands in a file beside it.

`FAKE_TAILSCALE`: ok | not_running | signed_out | no_name | consent | denied | port_taken | ports_taken | slow | garbage | refused
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

HOST = "here.tail1234.ts.net"
CONSENT = "https://login.tailscale.com/f/serve?node=nABC123"


def put_on_path(folder: Path) -> Path:
    """The program in a folder of its own; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "tailscale"
    program.write_text(f"#!{sys.executable}\n{Path(__file__).read_text('utf-8')}\nmain(sys.argv[1:])\n", "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def served(folder: Path) -> dict[str, dict[str, str]]:
    """What it serves now: port -> where it leads, and how."""
    path = folder / "served.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def main(arguments: list[str]) -> None:
    """One command."""
    folder, scene = Path(sys.argv[0]).parent, os.environ.get("FAKE_TAILSCALE", "ok")
    with (folder / "asked.log").open("a", encoding="utf-8") as log:
        log.write(" ".join(arguments) + "\n")
    if scene == "slow":
        time.sleep(60)
    if arguments[:1] == ["status"]:
        _status(scene)
    elif arguments[:2] == ["serve", "status"]:
        _serve_status(folder, scene)
    elif arguments[:1] in (["serve"], ["funnel"]):
        _serve(folder, scene, arguments)


def _status(scene: str) -> None:
    if scene == "garbage":
        sys.stdout.write("# Health check:\n#     - not JSON at all\n")
        return
    state = {"not_running": "Stopped", "signed_out": "NeedsLogin"}.get(scene, "Running")
    name = "" if scene == "no_name" else f"{HOST}."
    sys.stdout.write(json.dumps({"Version": "1.90.1", "BackendState": state, "Self": {"DNSName": name, "HostName": "here"}}))


def _serve_status(folder: Path, scene: str) -> None:
    web = {f"{HOST}:{port}": {"Handlers": {"/": {"Proxy": entry["to"]}}} for port, entry in served(folder).items()}
    taken = {"port_taken": ["443"], "ports_taken": ["443", "8443", "10000"]}.get(scene, [])
    web |= {f"{HOST}:{port}": {"Handlers": {"/": {"Text": "somebody's own"}}} for port in taken}
    tcp = {name.rpartition(":")[2]: {"HTTPS": True} for name in web}
    sys.stdout.write(json.dumps({"TCP": tcp, "Web": web} if web else {}))


def _serve(folder: Path, scene: str, arguments: list[str]) -> None:
    port = next(one.partition("=")[2] for one in arguments if one.startswith("--https="))
    known = served(folder)
    if arguments[-1] == "off":
        if port not in known:
            sys.stderr.write("error: failed to remove web serve: handler does not exist\n")
            sys.exit(1)
        del known[port]
        (folder / "served.json").write_text(json.dumps(known), "utf-8")
        return
    if scene == "consent":
        sys.stdout.write(f"Serve is not enabled on your tailnet.\nTo enable, visit:\n\n         {CONSENT}\n\n")
        sys.stdout.flush()
        time.sleep(60)
    if scene == "denied":
        sys.stderr.write("sending serve config: Access denied: serve config denied\n\nUse 'sudo tailscale serve --bg'.\n")
        sys.stderr.write("To not require root, use 'sudo tailscale set --operator=$USER' once.\n")
        sys.exit(1)
    if scene == "refused":
        sys.stderr.write("error: the moon is in the wrong place\n")
        sys.exit(1)
    known[port] = {"to": arguments[-1], "how": arguments[0]}
    (folder / "served.json").write_text(json.dumps(known), "utf-8")
    sys.stdout.write(f"Available within your tailnet:\n\nhttps://{HOST}/\n|-- proxy {arguments[-1]}\n")
