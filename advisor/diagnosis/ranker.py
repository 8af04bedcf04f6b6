"""Owns the ranker: which of several causes that rules have named is the likeliest, learned from trainings whose cause was known.

A multinomial logistic regression, fitted by benchmarks/labfail/fit_ranker.py; its coefficients lie in data/ranker.json, to be read, and are
applied here with numpy. Invariants: it only orders what a rule has seen and never adds a cause; where it is not sure it leaves the rules'
own order; nothing it looks at tells which model or which data set it is; without the file everything works without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import ALARM, CLOSE, Finding
from loralab.core.paths import DATA

FILE = DATA / "ranker.json"
LEAST = 0.01  # beyond CLOSE, so that rounding does not decide
SURE = 2.0  # times as likely as the next: then it is no longer “could be either”

_INCIDENTS = ("diverged", "non_finite", "bad_row", "nothing_to_learn", "out_of_memory", "killed_for_memory", "disk_full", "rolled_back")
_ENDINGS = ("corrupt_weights", "does_not_fit", "out_of_memory", "diverged", "non_finite", "nothing_to_learn")
_SCORES = ("loss", "question_fit", "forgetting")


@dataclass(frozen=True)
class Ranker:
    """Coefficients: a row per cause (the name of its rule), a column per feature."""

    features: tuple[str, ...]
    causes: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    threshold: float  # probability below which it leaves the order as it is

    def chances(self, case: Case, findings: Sequence[Finding]) -> dict[str, float]:
        """Probability of each cause it knows, by the name of its rule."""
        seen = features(case, findings)
        x = (np.array([seen.get(name, 0.0) for name in self.features]) - self.mean) / self.spread
        raw = self.weights @ x + self.bias
        shares = np.exp(raw - raw.max())
        return dict(zip(self.causes, (shares / shares.sum()).tolist(), strict=True))

    def order(self, case: Case, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The findings with the alarms among them in the order of their probability, and confidences that say so."""
        alarms = [finding for finding in findings if finding.alarm]
        if len(alarms) < 2:
            return tuple(findings)
        known = self.chances(case, findings)
        whole = sum(known.get(finding.rule, 0.0) for finding in alarms)
        share = {finding.rule: known.get(finding.rule, 0.0) / whole if whole else 0.0 for finding in alarms}
        if max(share.values()) < self.threshold:
            return tuple(findings)
        ordered = sorted(alarms, key=lambda finding: -share[finding.rule])  # stable: what is even stays as the rules had it
        return (*_falling(ordered, share), *(finding for finding in findings if not finding.alarm))


def _falling(ordered: Sequence[Finding], share: dict[str, float]) -> list[Finding]:
    """Confidences that never rise from one to the next, and fall clearly where the next is far less likely."""
    found = [ordered[0]]
    for finding in ordered[1:]:
        above = found[-1]
        limit = above.confidence - (CLOSE + LEAST if share[above.rule] > SURE * share[finding.rule] else 0.0)
        found.append(finding.model_copy(update={"confidence": min(finding.confidence, max(ALARM, limit))}))
    return found


def features(case: Case, findings: Sequence[Finding]) -> dict[str, float]:
    """What the ranker looks at: which rules spoke and how surely, and the run's curves and settings in numbers without a scale."""
    rules = {f"rule {finding.rule}": finding.confidence for finding in findings}
    seen = rules | _settings(case) | _curves(case) | _examples(case)
    return {name: value for name, value in seen.items() if math.isfinite(value)}


def _settings(case: Case) -> dict[str, float]:
    plan = case.asked
    return {
        "rate": math.log10(plan.learning_rate * plan.alpha / plan.rank),
        "scale": math.log2(plan.alpha / plan.rank),
        "rank": math.log2(plan.rank),
        "batch": math.log2(plan.effective_batch),
        "warmup": plan.warmup,
        "epochs": math.log2(plan.epochs),
        "fp16": plan.precision == "fp16",
        "every part": plan.targets == "all-linear",
        "questions too": plan.learn_from == "everything",
        "decay": plan.weight_decay,
    }


def _curves(case: Case) -> dict[str, float]:
    signals = case.signals
    level = abs(signals.base) if signals.base else math.nan
    told = {incident.code for incident in signals.view.incidents}
    scores = {f"{name} gained": score.difference for name in _SCORES if (score := signals.score(name))}
    return scores | {
        "updates": math.log10(1 + len(signals.steps)),
        "gain": (signals.base - signals.best) / level,
        "lost again": math.log1p(max(0.0, signals.last / signals.best - 1)) if signals.best > 0 else math.nan,
        "gap": signals.gap / level,
        "end of training": signals.train_slope,
        "end of held-out": signals.heldout_slope,
        "rises": min(signals.rises, 5),
        "after best": min(signals.since_best, 10),
        "clipped": signals.clipped(case.asked.max_grad_norm),
        "spikes": min(len(signals.spikes), 5),
        "low": signals.last_loss / level,
        **{f"incident {code}": code in told for code in _INCIDENTS},
        **{f"ended {code}": signals.code == code for code in _ENDINGS},
    }


def _examples(case: Case) -> dict[str, float]:
    facts = case.facts
    if facts is None:
        return {"no facts": 1.0}
    n = max(1, facts.n_train)
    counted = {name: getattr(facts, name) / n for name in ("cut", "unended", "empty", "repeated", "begun_twice", "questions_repeated")}
    return counted | {
        "unlearned": facts.unlearned / (n + facts.unlearned),
        "shared": facts.shared / max(1, facts.n_heldout),
        "few": facts.n_train < 50,
        "hardly held out": facts.n_heldout < 16,
    }


@lru_cache(maxsize=1)
def fitted(path: Path = FILE) -> Ranker | None:
    """The ranker that comes with the app; None where there is none."""
    return read(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def read(written: dict[str, Any]) -> Ranker:
    """A ranker from its file."""
    return Ranker(
        tuple(written["features"]),
        tuple(written["causes"]),
        np.array(written["mean"]),
        np.array(written["spread"]),
        np.array(written["weights"]),
        np.array(written["bias"]),
        float(written["threshold"]),
    )
