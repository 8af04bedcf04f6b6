"""Owns where a server can be reached: this computer's addresses in the house, and a picture of an address for a telephone's camera.

Invariant: nothing is sent to find them out.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

import psutil
import segno

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ELSEWHERE = "192.0.2.1"  # an address that documentation uses: a datagram socket learns its way out without sending anything
HOUSE_WORDS = (
    "Devices in the same network can open it while this computer is awake. Anybody in that network can read along, since it is not "
    "encrypted there: it is meant for your home. A network at school or work often keeps devices apart; then nobody gets through, and "
    "Tailscale or a file on a stick is the way."
)


def in_the_house() -> tuple[str, ...]:
    """This computer's addresses (IPv4) in networks of its own, the one that leads out first."""
    found = [way] if (way := _way_out()) else []
    for name, addresses in psutil.net_if_addrs().items():
        if name.startswith(("docker", "br-", "veth", "virbr", "lo", "tailscale", "utun")):
            continue
        found += [one.address for one in addresses if one.family == socket.AF_INET]
    return tuple(dict.fromkeys(one for one in found if _at_home(one)))


def _at_home(address: str) -> bool:
    with suppress(ValueError):
        known = ipaddress.ip_address(address)
        return known.is_private and not known.is_loopback and not known.is_link_local
    return False


def _way_out() -> str:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((ELSEWHERE, 9))
        return str(probe.getsockname()[0])
    return ""


def qr_svg(text: str) -> str:
    """A QR code as SVG to stand in a page: dark on white with a quiet zone, so that cameras read it in the dark look, too."""
    return segno.make(text, error="m", micro=False).svg_inline(scale=5, border=3, dark="#000", light="#fff", omitsize=True)
