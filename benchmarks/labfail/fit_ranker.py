"""Fits the ranker of advisor/diagnosis/ranker.py on LabFail and writes data/ranker.json: `python -m benchmarks.labfail.fit_ranker`

It learns from the dev cells alone, so that the held-out ones judge what is shipped; replay.py fits others without a model or a data set.
scikit-learn is needed here and nowhere in the app.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import findings
from advisor.diagnosis.findings import Finding
from advisor.diagnosis.ranker import FILE, Ranker, features, read
from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.records import HEALTHY, LabRun, corpus
from benchmarks.labfail.replay import case_of
from loralab.core.paths import write_atomic

STRENGTH = 0.1  # inverse of the penalty: few runs, many features
SEEN = 3  # runs with it that a cause must have
FOLDS = 5
TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
THRESHOLD = 0.5


@dataclass(frozen=True)
class Lesson:
    """A run whose right answer at least one rule gave, beside what it is told by."""

    run: LabRun
    case: Case
    found: tuple[Finding, ...]
    answer: str  # name of the rule

    @property
    def seen(self) -> dict[str, float]:
        return features(self.case, self.found)


def lessons(runs: Sequence[LabRun]) -> list[Lesson]:
    """What can be learned from: where no rule saw the cause there is nothing to put first."""
    made: list[Lesson] = []
    for run in runs:
        if run.cause == HEALTHY:
            continue
        case = case_of(run, run.view)
        found = findings(case)
        rules = causes()[run.cause].rules
        answers = [finding.rule for finding in found if {finding.id, finding.rule} & set(rules)]
        made += [Lesson(run, case, found, answers[0])] if answers else []
    return made


def fit(chosen: Sequence[Lesson]) -> Ranker:
    """A ranker from these lessons, its probabilities tempered on runs of models that it had not seen."""
    common = {name for name, n in Counter(lesson.answer for lesson in chosen).items() if n >= SEEN}
    kept = [lesson for lesson in chosen if lesson.answer in common]
    seen = [lesson.seen for lesson in kept]
    names = sorted({name for one in seen for name in one})
    x = np.array([[one.get(name, 0.0) for name in names] for one in seen])
    y = np.array([lesson.answer for lesson in kept])
    groups = np.array([lesson.run.model for lesson in kept])
    scaler = StandardScaler().fit(x)
    model = _model().fit(scaler.transform(x), y)
    heat = _temperature(scaler.transform(x), y, groups)
    return read(
        {
            "features": names,
            "causes": model.classes_.tolist(),
            "mean": np.asarray(scaler.mean_).tolist(),
            "spread": np.asarray(scaler.scale_).tolist(),
            "weights": (model.coef_ / heat).tolist(),
            "bias": (model.intercept_ / heat).tolist(),
            "threshold": THRESHOLD,
        }
    )


def _model() -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=2000)


def _temperature(x: Any, y: Any, groups: Any) -> float:
    """By what the scores are divided so that probabilities are honest for models never seen."""
    losses = dict.fromkeys(TEMPERATURES, 0.0)
    for train, test in GroupKFold(min(FOLDS, len(set(groups)))).split(x, y, groups):
        model = _model().fit(x[train], y[train])
        raw = model.decision_function(x[test])
        place = {name: at for at, name in enumerate(model.classes_)}
        for heat in TEMPERATURES:
            scaled = raw / heat
            logs = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)
            losses[heat] -= sum(float(logs[row, place[name]]) for row, name in enumerate(y[test]) if name in place)
    return min(losses, key=lambda heat: losses[heat])


def without(chosen: Sequence[Lesson], of: Callable[[LabRun], str]) -> dict[str, Ranker]:
    """For every value of `of` (a model, a data set) a ranker that has seen no run with it."""
    values = sorted({of(lesson.run) for lesson in chosen})
    return {value: fit([lesson for lesson in chosen if of(lesson.run) != value]) for value in values}


def written(ranker: Ranker) -> dict[str, Any]:
    """A ranker as its file holds it, in six digits."""
    numbers = {name: np.round(getattr(ranker, name), 6).tolist() for name in ("mean", "spread", "weights", "bias")}
    return {"features": ranker.features, "causes": ranker.causes, **numbers, "threshold": ranker.threshold}


def main() -> None:
    """Fit on the dev cells and write."""
    warnings.filterwarnings("ignore")
    ranker = fit(lessons([run for run in corpus() if run.part == "dev"]))
    write_atomic(FILE, json.dumps(written(ranker)) + "\n")
    sys.stdout.write(f"{len(ranker.causes)} causes, {len(ranker.features)} features, {FILE.stat().st_size / 1e3:.0f} kB\n")


if __name__ == "__main__":
    main()
