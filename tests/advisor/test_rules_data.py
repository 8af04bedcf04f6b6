"""Rules for examples and templates on real files through real tokenizers: the fault put in is found with its rows before the first update,
and a healthy neighbour of it is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from advisor.diagnosis.preflight import MIN_CONFIDENCE
from loralab.core.paths import STARTER
from loralab.datasets.fixes import OPERATIONS
from loralab.datasets.samples import samples
from tests.support import spoiled, tiny
from tests.support.spoiled import Row, rows

PLAIN = tiny.TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
ENDLESS = PLAIN.replace("message.content }}<|im_end|>", "message.content.split('<')[0] }}###")  # no mark of an end comes through
FOREIGN = tiny.TEMPLATE.replace("<|im_start|>", "<|turn|>").replace("<|im_end|>", "<|over|>")
TWICE = "<|endoftext|><|endoftext|>" + tiny.TEMPLATE
STRICT = "{% if messages[0].content.startswith('Never') %}{{ raise_exception('not this one') }}{% endif %}" + tiny.TEMPLATE
DEAF = tiny.TEMPLATE.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
COUNTING = "{{ messages | length }}" + PLAIN.replace("{{ message.content }}", "{{ message.content | length }}: {{ message.content }}")


def with_system(data: list[Row]) -> list[Row]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Speak like a pirate of old."},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in data
    ]


def near(data: list[Row], share: float) -> list[Row]:
    """With copies of some rows in which one word of the answer differs, and a word of the question."""
    again = [
        {"prompt": row["prompt"].replace("Which", "What"), "completion": row["completion"].replace(".", " indeed.")}
        for row in data[: round(len(data) * share)]
    ]
    return [*data, *again]


def dressed(data: list[Row], times: int) -> list[Row]:
    """The first rows, each so many times with one word that differs: more than can be kept on one side."""
    return [{**row, "completion": f"{row['completion']} Indeed{n}."} for row in data[: len(data) // times] for n in range(times)]


def labelled(data: list[Row], wrong: int) -> list[Row]:
    """Texts sorted into two classes, the first `wrong` of them twice with both."""
    sorted_ = [{"text": row["prompt"], "label": "good" if place % 2 else "bad"} for place, row in enumerate(data)]
    return [*sorted_, *({"text": row["text"], "label": "good" if row["label"] == "bad" else "bad"} for row in sorted_[:wrong])]


def slipped(data: list[Row], by: int) -> list[Row]:
    return [{"prompt": row["prompt"], "completion": data[(place + by) % len(data)]["completion"]} for place, row in enumerate(data)]


def mixed(data: list[Row]) -> list[Row]:
    order = [(place * 37 + 11) % len(data) for place in range(len(data))]
    return [{"prompt": row["prompt"], "completion": data[at]["completion"]} for row, at in zip(data, order, strict=True)]


def some(data: list[Row], count: int, **change: Callable[[Row], str]) -> list[Row]:
    return [{**row, **{name: made(row) for name, made in change.items()}} if at < count else row for at, row in enumerate(data)]


OK = rows()
LONG = " ".join(spoiled.names(380, 5))
# rule -> (faulty rows, healthy rows, template, healthy template, settings)
CASES: dict[str, tuple[list[Row], list[Row], str | None, str | None, dict[str, Any]]] = {
    "few_examples_many_rounds": (OK, rows(1300), tiny.TEMPLATE, tiny.TEMPLATE, {"epochs": 60.0}),
    "end_not_learned": (OK, OK, ENDLESS, tiny.TEMPLATE, {}),
    "end_in_pieces": (OK, OK, FOREIGN, tiny.TEMPLATE, {}),
    "end_cut_off": (some(OK, 40, completion=lambda r: r["completion"] + LONG), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "two_beginnings": (OK, OK, TWICE, tiny.TEMPLATE, {}),
    "no_template": (OK, OK, None, tiny.TEMPLATE, {}),
    "template_refuses": (some(OK, 3, prompt=lambda r: f"Never {r['prompt']}"), OK, STRICT, STRICT, {}),
    "template_rewrites": (OK, OK, COUNTING, PLAIN, {}),
    "words_left_out": (with_system(OK), with_system(OK), DEAF, tiny.TEMPLATE, {}),
    "template_in_text": (some(OK, 40, completion=lambda r: f"[INST] {r['completion']} [/INST]"), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "conversations_as_text": (
        [{"text": f"User: {row['prompt']}\nAssistant: {row['completion']}"} for row in OK],
        [{"text": f"ROMEO: {row['prompt']}\nJULIET: {row['completion']}"} for row in OK],
        tiny.TEMPLATE,
        tiny.TEMPLATE,
        {},
    ),
    "near_copies_apart": (dressed(OK, 12), near(OK, 0.9), tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "empty_answers": (some(OK, 12, completion=lambda _: "n/a"), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "few_held_out": (OK, rows(400), tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "repeated_examples": ([*OK, *OK], OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "contradicting_answers": (labelled(OK, 40), labelled(OK, 0), tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "answers_mixed_up": (mixed(OK), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "answers_slipped": (slipped(OK, 1), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "one_answer": (some(OK, 100, completion=lambda _: "Ask somebody else."), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "garbled_letters": (
        some(OK, 20, completion=lambda r: f"cafÃ© {r['completion']}"),
        some(OK, 20, completion=lambda r: f"café Ångström {r['completion']}"),
        tiny.TEMPLATE,
        tiny.TEMPLATE,
        {},
    ),
    "mixed_scripts": (some(OK, 5, completion=lambda _: "Это совсем другой ответ."), OK, tiny.TEMPLATE, tiny.TEMPLATE, {}),
    "long_examples_dominate": (some(OK, 1, completion=lambda _: LONG * 6), OK, tiny.TEMPLATE, tiny.TEMPLATE, {"max_length": 16384}),
}


def spotted(tmp_path: Path, data: list[Row], template: str | None, settings: dict[str, Any]) -> Case:
    folder = spoiled.model(tmp_path / "model", template, bos_token="<|endoftext|>")
    return spoiled.foreseen(folder, spoiled.written(tmp_path / "a.jsonl", data), **settings)


@pytest.mark.parametrize("rule", CASES)
def test_a_fault_is_found_before_the_first_update(rule: str, tmp_path: Path) -> None:
    bad, _, template, _, settings = CASES[rule]
    found = spoiled.found(spotted(tmp_path, bad, template, settings), rule)
    assert found is not None
    assert found.evidence
    assert found.words
    assert all(fix.data in (*OPERATIONS, "add", "fix_columns", "") for fix in found.fixes)


@pytest.mark.parametrize("rule", CASES)
def test_its_healthy_neighbour_is_left_alone(rule: str, tmp_path: Path) -> None:
    _, good, _, template, settings = CASES[rule]
    case = spotted(tmp_path, good, template, settings)
    assert spoiled.found(case, rule) is None
    assert [f.id for f in diagnose(case).findings if f.severity == "error"] == []


def test_the_rows_of_a_fault_are_named(tmp_path: Path) -> None:
    bad, _, template, _, settings = CASES["template_refuses"]
    found = spoiled.found(spotted(tmp_path, bad, template, settings), "template_refuses")
    assert found is not None
    assert (found.evidence[0].value, set(found.evidence[0].rows)) == (3, {1, 2, 3})
    assert found.action == "block"
    assert found.confidence >= MIN_CONFIDENCE


def test_a_slip_is_told_apart_from_a_shuffle_and_by_how_many_rows(tmp_path: Path) -> None:
    case = spotted(tmp_path, slipped(OK, 3), tiny.TEMPLATE, {})
    assert spoiled.found(case, "answers_mixed_up") is None
    found = spoiled.found(case, "answers_slipped")
    assert found is not None
    assert "3 rows above" in found.words


def test_a_word_beyond_the_models_table_blocks(tmp_path: Path) -> None:
    data = spoiled.written(tmp_path / "a.jsonl", OK)
    found = spoiled.found(spoiled.foreseen(spoiled.model(tmp_path / "small", vocabulary=200), data), "tokens_beyond_model")
    assert found is not None
    assert found.action == "block"
    assert spoiled.found(spoiled.foreseen(spoiled.model(tmp_path / "whole"), data), "tokens_beyond_model") is None


@pytest.mark.worker
def test_nothing_is_called_an_error_in_the_bundled_data_sets() -> None:
    for sample in (one for one in samples() if one.task == "text"):
        alarms = [f for f in diagnose(spoiled.foreseen(STARTER, Path(sample.path))).findings if f.severity == "error"]
        assert alarms == [], (sample.name, alarms)
        data: list[Finding] = [f for f in diagnose(spoiled.foreseen(STARTER, Path(sample.path))).alarms if f.group in ("data", "template")]
        assert data == [], (sample.name, data)


def test_facts_of_a_file_survive_its_round_trip(tmp_path: Path) -> None:
    case = spotted(tmp_path, near(OK, 0.5), tiny.TEMPLATE, {})
    assert case.facts is not None
    assert type(case.facts).model_validate(json.loads(case.facts.model_dump_json())) == case.facts
