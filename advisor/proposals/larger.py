"""Owns which model comes after the one that was too small. Invariant: it fits this computer, and nobody's permission is asked for it."""

from __future__ import annotations

from loralab.core.words import size
from loralab.lab import Lab

TIMES = 1.5  # as many weights, at least: less would hardly be noticed
LEAST = 100_000_000  # weights from which a model writes whole sentences of its own
BYTES_A_WEIGHT = 4.0  # with half-precision numbers and what training needs beside them


def larger(lab: Lab, model: str) -> str:
    """The next larger model that fits, with what is to be downloaded; empty where there is none."""
    now, free = lab.check_model(model).parameters, lab.machine().training_memory_free
    wanted = max(TIMES * now, float(LEAST))
    fit = [one for one in lab.models() if not one.gated and one.parameters >= wanted and BYTES_A_WEIGHT * one.parameters <= free]
    best = min(fit, key=lambda one: one.parameters, default=None)
    if best is None:
        return ""
    return f"{best.name}, which is on this computer" if best.present else f"{best.name} ({size(best.download_bytes)} to download)"
