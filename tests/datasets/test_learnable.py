"""What cannot be learned is seen before the start: answers that follow from nothing, and like questions answered by different rules."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from advisor.advisor import Advisor
from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Finding
from advisor.rules import rules
from loralab.core.facts import Facts
from loralab.datasets.learnable import learnable
from loralab.datasets.row_flags import between
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests.datasets.test_predictability import Pairs, pairs_of, swapped, talks
from tests.evaluations.test_conclusion import bundled, code, german, hashes, records, sums
from tests.evaluations.test_lookup import parity, turns
from tests.support import models

MESSAGES = bundled("customer_messages.csv")
KINDS = sorted({answer for _, answer in MESSAGES})
BACK = dict(zip(KINDS, KINDS[::-1], strict=True))
DICE = random.Random(4)
TURNED = {"billing": "orders", "orders": "billing"}
TWO = [(q, a if i < 100 else TURNED.get(a, a)) for i, (q, a) in enumerate(turns())]


def said(pairs: Pairs, rule: str) -> Finding | None:
    """What a rule says of a file before its start."""
    examples = talks(pairs)
    numbers, rows = between([(f"t{e.row}", e) for e in examples], [])
    rows["opposed"] = list(numbers.pop("opposed"))
    facts = Facts.model_validate({**numbers, "n_train": len(examples), "rows": {name: tuple(found[:20]) for name, found in rows.items()}})
    plan = TextPlan()
    return rules()[rule].find(rule, Case(plan=plan, asked=plan, facts=facts))


UNLEARNABLE = [
    pytest.param(hashes(), id="hashes"),
    pytest.param([(q, f"{DICE.getrandbits(128):032X}") for q, _ in MESSAGES[:200]], id="other codes"),
    pytest.param(swapped(pairs_of("support"), 1.0), id="long answers, shuffled"),
    pytest.param(swapped(list(MESSAGES), 1.0), id="classes, shuffled"),
    pytest.param([(q, DICE.choice(["yes", "no"])) for q, _ in turns()], id="yes and no by chance"),
    pytest.param(swapped(pairs_of("desk"), 1.0), id="few long answers, shuffled"),
]
IN_ORDER = [
    pytest.param(list(MESSAGES), id="classes"),
    pytest.param(pairs_of("numbers"), id="numbers spelt out"),
    pytest.param(pairs_of("chat"), id="chat"),
    pytest.param(pairs_of("labels"), id="many classes"),
    pytest.param(pairs_of("table_bookings.csv"), id="fields of records"),
    pytest.param(german(), id="German"),
    pytest.param(code(), id="code"),
    pytest.param(records(), id="records"),
    pytest.param(sums(), id="sums, which a model may know"),
    pytest.param(parity(), id="what must be counted"),
    pytest.param(swapped(list(MESSAGES), 0.05), id="a twentieth wrong"),
    pytest.param([(q, "the same") for q, _ in MESSAGES], id="one answer for all, which has a rule of its own"),
    pytest.param(list(MESSAGES)[:20], id="too few to tell"),
]


@pytest.mark.parametrize("pairs", UNLEARNABLE)
def test_answers_that_follow_from_nothing_are_named_before_the_start(pairs: Pairs):
    found = said(pairs, "cannot_be_foretold")
    assert found is not None
    assert found.alarm


@pytest.mark.parametrize("pairs", IN_ORDER)
def test_files_in_order_are_left_alone(pairs: Pairs):
    assert said(pairs, "cannot_be_foretold") is None
    assert said(pairs, "conventions_differ") is None


BACKWARDS = [
    pytest.param([(q, a if i < len(MESSAGES) // 2 else BACK[a]) for i, (q, a) in enumerate(MESSAGES)], id="the second half"),
    pytest.param([(q, BACK[a] if i < len(MESSAGES) // 2 else a) for i, (q, a) in enumerate(MESSAGES)], id="the first half"),
    pytest.param([(q, BACK[a] if DICE.random() < 0.5 else a) for q, a in MESSAGES], id="any half"),
    pytest.param(TWO, id="two classes"),
    pytest.param([(q, a if i < 270 else a.upper() + "!") for i, (q, a) in enumerate(MESSAGES)], id="written in another way"),
]


@pytest.mark.parametrize("pairs", BACKWARDS)
def test_contradicting_conventions_are_named_with_two_rows(pairs: Pairs):
    found = said(pairs, "conventions_differ")
    assert found is not None
    one, other = found.evidence[0].rows
    assert pairs[one - 1][1] != pairs[other - 1][1]
    assert f"{one} and {other}" in found.words


def test_a_file_sorted_by_class_is_no_contradiction():
    assert said(sorted(MESSAGES, key=lambda pair: pair[1]), "conventions_differ") is None


def test_the_two_rows_stand_side_by_side_before_a_start(lab: Lab, tmp_path: Path):
    folder = models.model_folder(lab.home / "tiny")
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "".join(f'"{q}",{a}\n' for q, a in TWO), "utf-8")
    plan = TextPlan.model_validate({"dataset": str(file), "base_model": str(folder), "roles": {"prompt": "text", "answer": "label"}})
    found = next(one for one in Advisor(lab).preflight(plan).findings if one.rule == "conventions_differ")
    lines = [one.line for one in found.evidence if one.line]
    assert len(lines) == 2
    assert {line.rpartition(" → ")[2] for line in lines} == {"billing", "orders"}


def test_the_same_file_gives_the_same_numbers():
    assert learnable(talks(list(MESSAGES))) == learnable(talks(list(MESSAGES)))
    assert learnable([]).pairs == 0
