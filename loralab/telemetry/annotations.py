"""Owns marks in a Grafana by its own interface, for people with a token; without one the dashboard draws the same from Prometheus.

Invariant: a moment is told once; a Grafana that does not answer is asked again later and holds up nothing; the token is in no message.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from loralab.core.errors import UserError
from loralab.telemetry.followed import Following
from loralab.telemetry.words import of_moment

SECONDS = 10.0  # for an answer


class Marks:
    """Tells a Grafana what has happened to the runs of a workspace since it was last asked to."""

    def __init__(self, home: Path, address: str, token: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise UserError("This is not the address of a Grafana.", "It begins with http:// or https://.", code="bad_address")
        self._followed = Following(home)
        self._told: set[tuple[str, float, str]] = set()
        self._client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS)

    def tell(self) -> int:
        """Send what is new; how many marks were taken. Raises UserError where the token is not taken; a silent Grafana is asked again."""
        sent = 0
        for run in self._followed():
            for event in run.told:
                mark = (run.run, event.time, of_moment(event))
                if mark in self._told:
                    continue
                if not self._sent(mark, event.type):
                    return sent
                self._told.add(mark)
                sent += 1
        return sent

    def _sent(self, mark: tuple[str, float, str], kind: str) -> bool:
        run, when, words = mark
        said = {"time": round(when * 1000), "text": words, "tags": ["loralab", f"run:{run}", f"kind:{kind}"]}
        try:
            answer = self._client.post("/api/annotations", json=said)
        except httpx.HTTPError:
            return False
        if answer.status_code in (401, 403):
            what = "Grafana does not let this token write annotations."
            raise UserError(what, "Make a service account with the role Editor in Grafana, and take its token.", code="token_refused")
        return answer.is_success
