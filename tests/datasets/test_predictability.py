"""Whether questions foretell answers: files in order and swapped ones lie far apart, and what the advisor makes of it after a run."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from advisor.rules.data.answers_mixed_up import MAX_DEVIATIONS_A_PAIR, MIN_NATS_LIKELIER, MIN_PAIRS
from benchmarks.labfail.make import data
from benchmarks.labfail.make.texts import TEXTS
from loralab.core.events import Evaluated
from loralab.core.paths import SAMPLES
from loralab.core.records import Example, Message, Score
from loralab.datasets.loading import load_examples
from loralab.datasets.predictability import LOOK, foretold
from tests.support.built_cases import case, falling, finished

Pairs = list[tuple[str, str]]
BUNDLED = (
    "table_bookings.csv",
    "class_chatbot.jsonl",
    "code_commenter.jsonl",
    "customer_messages.csv",
    "medical_faq.csv",
    "poet.jsonl",
    "security_desk.jsonl",
)


def talks(pairs: Pairs) -> list[Example]:
    return [
        Example(row=row, messages=(Message(role="user", content=asked), Message(role="assistant", content=said)))
        for row, (asked, said) in enumerate(pairs, 1)
    ]


def place_of(name: str) -> Path:
    """A sample, or one of the texts that runs are made of."""
    return next(folder / name for folder in (SAMPLES, TEXTS) if (folder / name).is_file())


def pairs_of(name: str) -> Pairs:
    """A file of the app's own, or a data set that is made."""
    if name in BUNDLED:
        talking = [e.messages for e in load_examples(place_of(name))[0] if len(e.messages) > 1]
        return [(messages[-2].content, messages[-1].content) for messages in talking]
    rows = data.rows_of(name, 240, 1)
    asked, said = data.columns(rows)
    return [(row[asked], row[said]) for row in rows]


def swapped(pairs: Pairs, share: float) -> Pairs:
    """So many answers each beside another question."""
    chosen = random.Random(3).sample(range(len(pairs)), int(share * len(pairs)))
    moved = {at: pairs[other][1] for at, other in zip(chosen, chosen[1:] + chosen[:1], strict=True)}
    return [(asked, moved.get(at, said)) for at, (asked, said) in enumerate(pairs)]


@pytest.mark.parametrize("name", [*BUNDLED, "numbers", "support"])
def test_files_in_order_and_swapped_ones_lie_far_apart(name: str) -> None:
    """Whatever they are of; also where up to a seventh of the answers stayed at home."""
    pairs = pairs_of(name)
    ordered = foretold(talks(pairs))
    assert ordered.pairs >= MIN_PAIRS
    assert ordered.above > 1.5 * MAX_DEVIATIONS_A_PAIR * ordered.pairs
    for share in (0.86, 1.0):
        found = foretold(talks(swapped(pairs, share)))
        assert found.above < MAX_DEVIATIONS_A_PAIR * found.pairs, share


def test_what_cannot_be_compared_says_so() -> None:
    """Texts without questions, one answer to everything, too few; and the same file always gives the same number."""
    texts = [Example(row=1, text="A text."), Example(row=2, text="Another."), Example(row=3, text="A third.")]
    same = talks([(f"Question {n}?", "Yes.") for n in range(40)])
    for examples in ([], texts, same, talks([("a", "b")])):
        assert foretold(examples).pairs == 0
    pairs = talks(pairs_of("numbers"))
    assert foretold(pairs) == foretold(pairs)
    assert foretold([*pairs, *pairs]).pairs == LOOK


def judged(fit: float | None, **facts: Any) -> Case:
    """A run that did well on its face, with this fit of answers to questions at its end."""
    scores = () if fit is None else (Score(name="question_fit", before=0.02, after=fit, n=64, verdict="cannot tell yet"),)
    verdict = Evaluated(step=200, split="final", loss=1.0, n=50, scores=scores, verdict="better")
    return case([*falling()[:-1], verdict, finished(200)], facts={"foretold": 1.2, "foretold_pairs": 200, **facts})


def mixed_up(one: Case) -> Finding | None:
    return next((finding for finding in diagnose(one).findings if finding.id == "R85"), None)


def test_answers_nothing_foretells_and_no_training_found_are_mixed_up() -> None:
    found = mixed_up(judged(0.01))
    assert found is not None
    assert found.alarm
    assert [evidence.value for evidence in found.evidence] == [1.2, 200, 0.01]


@pytest.mark.parametrize(
    ("fit", "facts"),
    [
        (2 * MIN_NATS_LIKELIER, {}),  # sums: no letter foretells them, and it learned to do them
        (None, {}),
        (0.01, {"foretold": 30.0}),
        (0.01, {"foretold_pairs": 0}),  # a log of a version that did not measure it
        (0.01, {"foretold_pairs": 90}),
        (0.01, {"commonest": 400}),
        (0.01, {"questions_repeated": 200}),
    ],
    ids=["it learned them", "not judged", "in order", "not measured", "few pairs", "one answer", "contradictions"],
)
def test_nothing_is_called_mixed_up_on_half_the_evidence(fit: float | None, facts: dict[str, Any]) -> None:
    assert mixed_up(judged(fit, **facts)) is None
