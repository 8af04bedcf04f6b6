"""Owns comparing any two judged things: runs, checkpoints, exports, also of different base models. No torch: it reads what was measured.

Invariants: only examples that both were judged on and neither was trained on; losses are compared in bits per byte, so that another
tokenizer does not win by cutting text differently; the statistics are those of the verdict.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from loralab.core.errors import UserError
from loralab.core.jobs import EvaluateExportJob, EvaluateJob, data_title, parse_job
from loralab.core.old_logs import modern_judgement
from loralab.core.paths import model_name
from loralab.core.records import Record, Score
from loralab.core.verdict import Verdict
from loralab.core.words import count, did_it_learn
from loralab.evaluations.images import versus
from loralab.evaluations.shared.answer_scores import Trait
from loralab.evaluations.shared.controls import ALLOWED, SWAPS, swapped
from loralab.evaluations.shared.paired import FEWEST, holm
from loralab.tasks import setting_label

LOSS = Trait(
    "bits_per_byte",
    "Surprise at the right answers",
    "How surprised each is by the right answers, in bits per byte of text.",
    "loss",
    "The second thinks the right answers more likely",
    "The second finds the right answers less likely",
    lower_is_better=True,
    share=False,
)
RIGHT = Trait(
    "right",
    "Right answers",
    "How often each is right, on the same examples.",
    "accuracy",
    "The second is right more often",
    "The second is right less often",
)


def judgement(folder: Path, checkpoint: str = "", export: str = "") -> dict[str, Any]:
    """What was measured on a run, example by example: the newest judging of it, its own or a later evaluation's.

    `checkpoint`, `export`: of that checkpoint or export of the run instead. Raises UserError when it has not been judged, or was judged
    before single examples were kept.
    """
    for path in sorted(_judgings(folder, checkpoint, export), key=lambda p: p.stat().st_mtime_ns, reverse=True):
        found = json.loads(path.read_text("utf-8"))
        rows = found.get("rows", {})
        if rows.get("loss") or any("media" in first for kept in rows.values() for first in kept[:1]):
            return modern_judgement(found)
    if checkpoint or export:
        what = f"{export or f'{folder.name}@{checkpoint}'} has not been measured yet."
        raise UserError(what, "Measure it first: it is done on the run's own examples.", code="not_judged")
    raise UserError(f"{folder.name} has not been judged yet.", "Let it finish, or measure it again.", code="not_judged")


def rests_on(folder: Path) -> dict[str, Any]:
    """What a run's own verdict rests on, of whichever kind of training: its `rows` and `tables`; empty where there is none."""
    path = folder / "artifacts" / "evaluation.json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {part: found[part] for part in ("rows", "tables") if part in found}


def judged(folder: Path, checkpoint: str = "", export: str = "") -> bool:
    """Whether there is such a judgement."""
    try:
        judgement(folder, checkpoint, export)
    except UserError:
        return False
    return True


def _judgings(folder: Path, checkpoint: str, export: str) -> Iterator[Path]:
    """evaluation.json of a run and of the evaluations made of it later, or those of a checkpoint or export of it."""
    wanted = (folder.name, checkpoint, export)
    for other in (folder, *folder.parent.iterdir()):
        path, job = other / "artifacts" / "evaluation.json", other / "job.json"
        own = other == folder and not (checkpoint or export)
        if path.is_file() and (own or _judges(job, wanted)):
            yield path


def _judges(path: Path, wanted: tuple[str, str, str]) -> bool:
    """Whether a job judged this run, checkpoint and export. A damaged or missing file judged nothing."""
    try:
        job = parse_job(path.read_bytes())
    except (OSError, ValidationError):
        return False
    match job:
        case EvaluateJob():
            return (job.of, job.checkpoint, "") == wanted
        case EvaluateExportJob():
            return (job.of, "", job.export) == wanted
        case _:
            return False


NOTICEABLE = 0.005  # of the first's bits per byte: an interval within that, both ways, is no difference


SAME_SHARE, SAME_LOSS = (
    0.06,
    0.02,
)  # of the answers, of the first's bits per byte: an interval within that, both ways, is practically the same
NONE_OF = 3.0  # over n: what may lie behind a difference that n answers never showed (“rule of three”, 95 %)
Outcome = Literal["same", "first", "second", "unclear"]


class BothAnswers(Record):
    """A held-out question with what each of the two answers now."""

    question: str
    reference: str
    first: str
    second: str


class Comparison(Record):
    """The second against the first: a sentence, scores (`before` is the first, `after` the second) and bits per byte by example."""

    words: str
    scores: tuple[Score, ...]
    rows: tuple[dict[str, Any], ...]
    outcome: Outcome = "unclear"
    answers: tuple[BothAnswers, ...] = ()
    whole: bool = True  # answers are right or wrong, or neither is said; False: pictures that are right in part

    def told(self, first: str, second: str) -> tuple[str, str]:
        """Which is better, in a word or two and in a sentence, by the names people know the two by."""
        main = self.scores[0]
        counted = [f"{round(value * main.n)} of {main.n}" for value in (main.before, main.after)]
        right = f"“{first}” has {counted[0]} right, “{second}” {counted[1]}."
        if not self.whole:
            right = f"“{first}”: {100 * main.before:.0f} %, “{second}”: {100 * main.after:.0f} %. {main.help}"
        likely = {
            "same": f"Both expect the right answers equally well, on {count(main.n, 'answer')}.",
            "unclear": f"On {count(main.n, 'answer')}, what one seems to expect better could be chance.",
        }.get(self.outcome, f"It expects the right answers better, on {count(main.n, 'answer')}.")
        equal = self.whole and counted[0] == counted[1]
        said = likely if not main.share else f"Both have {counted[0]} right." if equal else right
        more = "Only more examples to test on could show a difference."
        match self.outcome:
            case "same":
                return "Practically the same", said
            case "first" | "second":
                return f"“{first if self.outcome == 'first' else second}” is better", said
            case "unclear":
                return "Cannot tell which is better", f"{said} {more if equal else 'That could be chance.'}" if main.share else said


class Controls(Record):
    """What came out where there was nothing to find. `shuffled` is the run on shuffled answers, empty while there is none."""

    swaps: int
    false_better: int
    false_worse: int
    shuffled: str = ""
    shuffled_learned: str = ""  # whether that run is said to have learned: yes | no | unknown
    words: str = ""

    @property
    def swaps_pass(self) -> bool:
        """Whether no more of the swapped judgings found a difference than may by chance."""
        return max(self.false_better, self.false_worse) <= ALLOWED * self.swaps


def controls(found: dict[str, Any], shuffled: str, verdict: Verdict | None) -> Controls:
    """Judge a judgement: with its sides swapped at random, and beside the verdict of its run on shuffled answers."""
    _, pictures = versus.main_rows(found)
    swaps = versus.SWAPS if pictures else SWAPS
    better, worse = versus.swapped(pictures) if pictures else swapped(found["rows"]["loss"])
    words = f"With before and after swapped at random it was called better in {better} and worse in {worse} of {swaps} trials"
    words += f" (at most {ALLOWED * swaps:.0f} are expected)."
    learned = verdict.learned if verdict else ""
    if verdict:
        passed = "as it must be" if learned != "yes" else "which it must not be: do not trust the verdict on this data"
        words += f" Trained on shuffled answers, the answer to “Did it learn?” is “{did_it_learn(verdict)}”, {passed}."
    return Controls(swaps=swaps, false_better=better, false_worse=worse, shuffled=shuffled, shuffled_learned=learned, words=words)


def compare(first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    """The second judgement against the first. Raises UserError when they share too few examples."""
    if versus.main_rows(first)[1] or versus.main_rows(second)[1]:
        return _compare_pictures(first, second)
    others = _others(first, second)
    pairs = [pair for pair in _paired(first["rows"]["loss"], second["rows"]["loss"]) if pair[0]["row"] not in others]
    _require_enough(len(pairs))
    bits = [[_bits(row) for row in side] for side in zip(*pairs, strict=True)]
    scores = [_noticeable(LOSS.score(bits[0], bits[1], [float(a.get("bytes", a["tokens"])) for a, _ in pairs]))]
    for name in first["rows"].keys() & second["rows"].keys():
        shared = [pair for pair in _paired(first["rows"][name], second["rows"][name]) if pair[0]["row"] not in others]
        if len(shared) >= FEWEST and "after_right" in shared[0][0]:
            scores.append(RIGHT.score(*([float(row["after_right"]) for row in side] for side in zip(*shared, strict=True))))
    scores = [score.model_copy(update={"p": p}) for score, p in zip(scores, holm([s.p for s in scores]), strict=True)]
    main = max(scores, key=lambda s: (s.group == "accuracy", s.n))
    rows = [
        {"row": a["row"], "first": x / math.log(2), "second": y / math.log(2)}
        for (a, _), x, y in zip(pairs, *_per_byte(pairs), strict=True)
    ]
    ordered = tuple(sorted(scores, key=lambda s: s is not main))
    return Comparison(
        words=main.words, scores=ordered, rows=tuple(rows), outcome=outcome(main), answers=tuple(_answers(first, second, others))
    )


def _require_enough(n: int) -> None:
    if n < FEWEST:
        what = f"The two were judged on different examples; they share {n}."
        raise UserError(what, "Train both on the same file with the same seed and held-out share.", code="nothing_shared")


def _compare_pictures(first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    """Two runs on pictures, picture by picture; those on which they differ come first."""
    (name, one), (other_name, other) = versus.main_rows(first), versus.main_rows(second)
    if name != other_name:
        what = "The two learned different things, so nothing can be held against each other."
        raise UserError(what, "Choose a run of the same kind.", code="nothing_shared")
    pairs = versus.shared(one, other)
    _require_enough(len(pairs))
    scores = versus.versus(name, pairs)
    main = scores[0]
    apart = [score.model_copy(update={"p": p}) for score, p in zip(scores, holm([score.p for score in scores]), strict=True)]
    ranked = sorted(pairs, key=lambda pair: -abs(float(pair[1]["after_right"]) - float(pair[0]["after_right"])))
    answers = tuple(BothAnswers(question=a["media"], reference=a["label"], first=a["after"], second=b["after"]) for a, b in ranked)
    return Comparison(words=main.words, scores=tuple(apart), rows=(), outcome=outcome(main), answers=answers, whole=name == "accuracy")


def outcome(main: Score) -> Outcome:
    """Which of the two is better: neither, where all of the interval is too small to matter, and it was looked at often enough."""
    low, high = main.low, main.high
    if main.share:
        low, high = min(low, -NONE_OF / main.n), max(high, NONE_OF / main.n)
    most = SAME_SHARE if main.share else SAME_LOSS * abs(main.before)
    if math.isfinite(low + high) and max(abs(low), abs(high)) <= most:
        return "same"
    decided: dict[str, Outcome] = {"better": "second", "worse": "first"}
    return decided.get(main.verdict, "unclear")


def _answers(first: dict[str, Any], second: dict[str, Any], others: set[int]) -> Iterator[BothAnswers]:
    for one, other in _paired(first["rows"].get("answers", ()), second["rows"].get("answers", ())):
        if one["row"] not in others and "after" in one and "after" in other:  # an export is measured without its answers
            yield BothAnswers(question=one["question"], reference=one["reference"], first=one["after"], second=other["after"])


def different_settings(first: dict[str, Any], second: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """What two plans have different, in words: the setting, its value in the first and in the second."""
    names = [name for name in (*first, *(name for name in second if name not in first)) if name not in ("title", "task")]
    shown = [(name, _shown(name, first.get(name)), _shown(name, second.get(name))) for name in names]
    return tuple((setting_label(name), one, other) for name, one, other in shown if one != other)


def _shown(name: str, value: Any) -> str:
    match value:
        case None | "" | () | [] | {}:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{key}: {part}" for key, part in value.items())
        case _:
            return data_title(str(value)) if name == "dataset" else model_name(str(value)) if name == "base_model" else str(value)


def _noticeable(score: Score) -> Score:
    """Rounding an export to sixteen bits shifts every example a hair the same way: certain, and nothing anybody will ever notice."""
    if max(abs(score.low), abs(score.high)) > NOTICEABLE * abs(score.before):
        return score
    words = f"{LOSS.label}: no noticeable difference ({score.before:.3f} → {score.after:.3f} bits per byte, {count(score.n, 'answer')})."
    return score.model_copy(update={"verdict": "no difference seen", "words": words, "p": 1.0})


def _paired(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of both that are about the same example."""
    known = {row["row"]: row for row in second}
    return [(row, known[row["row"]]) for row in first if row["row"] in known]


def _others(first: dict[str, Any], second: dict[str, Any]) -> set[int]:
    """Rows that have the same number and are other examples: another file, or a file that was changed in between."""
    asked = [{row["row"]: (row["question"], row["reference"]) for row in side["rows"].get("answers", ())} for side in (first, second)]
    return {row for row in asked[0].keys() & asked[1].keys() if asked[0][row] != asked[1][row]}


def _bits(row: dict[str, Any]) -> float:
    return row["after_loss"] * row["tokens"] / math.log(2)


def _per_byte(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[list[float], list[float]]:
    sides = [
        [row["after_loss"] * row["tokens"] / max(1, row.get("bytes", row["tokens"])) for row in side] for side in zip(*pairs, strict=True)
    ]
    return sides[0], sides[1]
