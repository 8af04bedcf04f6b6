"""Preflight: what is known before the first update, what stands in the way of a start, how it is overruled; data that are put right."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from advisor.advisor import Advisor
from advisor.diagnosis import preflight
from loralab.cli import app
from loralab.core.errors import UserError
from loralab.core.records import Example, Message
from loralab.datasets import fixes, run_facts
from loralab.datasets.fixes import OPERATIONS, DataFix, Reading
from loralab.datasets.loading import load_examples
from loralab.lab import Lab, what_is_learned
from loralab.models.tokenize import TextEncoder
from loralab.planning import examined
from loralab.tasks.text import TextPlan
from tests.advisor.test_rules_data import DEAF, LONG, OK, STRICT, near, slipped, some, with_system
from tests.support import models, spoiled, tiny
from tests.support.spoiled import rows


def planned(tmp_path: Path, data: list[spoiled.Row], template: str = tiny.TEMPLATE, **settings: object) -> TextPlan:
    folder = spoiled.model(tmp_path / "model", template)
    file = spoiled.written(tmp_path / "a.jsonl", data)
    return TextPlan.model_validate(models.plan(file).model_dump() | {"base_model": str(folder), "max_length": 512} | settings)


def chat(data: list[spoiled.Row], named: int) -> list[spoiled.Row]:
    """The same as talks between two people, who call each other by name in the first `named` of them."""
    talks: list[spoiled.Row] = []
    for at, row in enumerate(data):
        asked, told = ("Thank you, Ben. ", ", Ann") if at < named else ("", "")
        said = [{"speaker": "Ann Lee", "text": f"{asked}{row['prompt']}"}, {"speaker": "Ben Okoro", "text": f"{row['completion']}{told}"}]
        talks.append({"dialogue": said})
    return talks


def put_right(operation: str, plan: TextPlan, folder: Path, home: Path) -> DataFix:
    return fixes.apply(operation, Path(plan.dataset), Reading(plan.max_length, plan.learn_from, plan.roles), folder, home)


def test_what_is_certain_to_go_wrong_is_not_begun_unless_it_is_wanted(tmp_path, lab: Lab, monkeypatch) -> None:
    begun: list[object] = []
    monkeypatch.setattr(Lab, "start", lambda self, plan: begun.append(plan) or "run")
    plan = planned(tmp_path, some(OK, 3, prompt=lambda r: f"Never {r['prompt']}"), STRICT)
    advisor = Advisor(lab)
    with pytest.raises(UserError, match="refuses some conversations") as told:
        advisor.start(plan)
    assert told.value.problem.code == "preflight_template_refuses"
    assert not begun
    fixed = put_right("drop_refused", plan, tmp_path / "model", lab.home)
    assert preflight.blocking(advisor.preflight(plan.model_copy(update={"dataset": fixed.path}))) is None


def test_nothing_stands_in_the_way_of_a_healthy_plan(tmp_path, lab: Lab) -> None:
    assert preflight.blocking(Advisor(lab).preflight(planned(tmp_path, OK))) is None


def test_a_file_is_read_again_only_when_something_changed(tmp_path, lab: Lab, monkeypatch) -> None:
    reads: list[object] = []
    read = examined.load_examples
    monkeypatch.setattr(examined, "load_examples", lambda *given, **how: reads.append(given) or read(*given, **how))
    advisor, plan = Advisor(lab), planned(tmp_path, OK)
    advisor.preflight(plan)
    advisor.preflight(plan.model_copy(update={"learning_rate": 1e-3}))
    assert len(reads) == 1
    advisor.preflight(plan.model_copy(update={"max_length": 64}))
    assert len(reads) == 2
    spoiled.written(Path(plan.dataset), rows(130))
    advisor.preflight(plan)
    assert len(reads) == 3


def test_a_large_file_is_looked_at_in_part_and_counted_as_a_whole(tmp_path) -> None:
    plan = planned(tmp_path, rows(3000) * 2)
    encoder = TextEncoder(tmp_path / "model")
    examples, _ = load_examples(Path(plan.dataset))
    begun = time.monotonic()
    found = run_facts.of_plan(plan, encoder, examples, 1000)
    assert time.monotonic() - begun < 20
    assert found.looked == 1000
    assert abs(found.n_train + found.n_heldout - 6000) < 60


def test_the_command_says_what_it_sees_and_ends_with_one_where_it_blocks(tmp_path, lab: Lab, monkeypatch, capsys) -> None:
    from advisor.cli import check, commands

    commands.register(app.app)
    plan = planned(tmp_path, some(OK, 3, prompt=lambda r: f"Never {r['prompt']}"), STRICT)
    file = tmp_path / "plan.json"
    file.write_text(plan.model_dump_json(), "utf-8")
    monkeypatch.setattr("sys.argv", ["loralab", "check", "--plan", str(file), "--json"])
    with pytest.raises(SystemExit) as end:
        app.main(app.Ways(check.begin, check.propose))
    assert end.value.code == 1
    assert json.loads(capsys.readouterr().out)["blocked_by"] == "R57"


FAULTY: dict[str, tuple[list[spoiled.Row], str, dict[str, object], int]] = {  # operation -> data, template, settings, examples concerned
    "deduplicate": ([*OK, *OK[:30]], tiny.TEMPLATE, {}, 30),
    "drop_near_copies": (near(OK, 0.25), tiny.TEMPLATE, {}, 30),
    "drop_empty": (some(OK, 7, completion=lambda _: "N/A"), tiny.TEMPLATE, {}, 7),
    "drop_too_long": (some(OK, 4, completion=lambda _: LONG), tiny.TEMPLATE, {}, 4),
    "split_long": (
        [{"text": f"{LONG} {row['prompt']}" if at < 5 else row["prompt"]} for at, row in enumerate(OK)],
        tiny.TEMPLATE,
        {"max_length": 128},
        15,
    ),
    "drop_contradicting": ([*OK, {**OK[0], "completion": "Nobody."}, OK[0]], tiny.TEMPLATE, {}, 1),
    "drop_refused": (some(OK, 3, prompt=lambda r: f"Never {r['prompt']}"), STRICT, {}, 3),
    "drop_garbled": (some(OK, 6, completion=lambda _: "cafÃ©"), tiny.TEMPLATE, {}, 6),
    "drop_odd_script": (some(OK, 5, completion=lambda _: "Это другой ответ."), tiny.TEMPLATE, {}, 5),
    "strip_marks": (some(OK, 9, completion=lambda r: f"[INST] {r['completion']}"), tiny.TEMPLATE, {}, 9),
    "restructure": ([{"text": f"Q: {row['prompt']}\nA: {row['completion']}"} for row in OK], tiny.TEMPLATE, {}, 120),
    "fold_system": (with_system(OK), DEAF, {}, 120),
    "realign": (slipped(OK, 2), tiny.TEMPLATE, {}, 120),
    "balance": (some(OK, 100, completion=lambda _: "Yes."), tiny.TEMPLATE, {}, 97),
    "pseudonymise": (chat(OK, 11), tiny.TEMPLATE, {}, 11),
}


def test_names_in_a_chat_are_told_and_can_be_replaced(tmp_path, home, lab: Lab) -> None:
    def names_found(data: list[spoiled.Row]) -> list[str]:
        plan = planned(tmp_path, data, roles={"messages": "dialogue", "assistant": "Ben Okoro"})
        found = preflight.preflight(lab, plan, what_is_learned(plan, tmp_path / "model")[1]).findings
        return [fix.data for finding in found if finding.rule == "names_of_people" for fix in finding.fixes]

    assert names_found(chat(OK, 0)) == []
    assert names_found(chat(OK, 5)) == ["pseudonymise"]
    plan = planned(tmp_path, chat(OK, 5), roles={"messages": "dialogue", "assistant": "Ben Okoro"})
    written = Path(put_right("pseudonymise", plan, tmp_path / "model", home).path).read_text("utf-8")
    assert "Okoro" not in written
    assert '"Thank you, Person B. ' in written
    assert written.count("Person A") == 5


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "sample"])  # of more than a file here holds: test_large
def test_data_are_put_right_in_a_file_of_their_own(operation: str, tmp_path, home) -> None:
    data, template, settings, concerned = FAULTY[operation]
    plan = planned(tmp_path, data, template, **settings)
    before = Path(plan.dataset).read_bytes()
    folder = tmp_path / "model"
    done = put_right(operation, plan, folder, home)
    assert done.concerned == concerned
    assert Path(plan.dataset).read_bytes() == before
    assert Path(done.path).parent == home / "datasets"
    written = [json.loads(line) for line in Path(done.path).read_text("utf-8").splitlines()]
    assert {row["made_by"] for row in written} == {operation}
    assert all(row["from_file"] == "a.jsonl" and row["from_row"] >= 1 for row in written)
    again, found = load_examples(Path(done.path))
    assert (len(again), found.certain) == (done.after, True)  # nobody is asked which column is what in a file of ours
    if operation != "realign":
        with pytest.raises(UserError, match="nothing to change"):
            put_right(operation, plan.model_copy(update={"dataset": done.path}), folder, home)


def test_realigned_answers_belong_to_their_questions_again(tmp_path, home) -> None:
    def belonging(path: str) -> float:
        run_facts = spoiled.foreseen(tmp_path / "model", Path(path)).facts
        assert run_facts is not None
        return run_facts.own_ties / run_facts.ties

    plan = planned(tmp_path, OK)
    healthy = belonging(plan.dataset)
    plan = planned(tmp_path, slipped(OK, 2))
    assert belonging(plan.dataset) < 0.1 * healthy
    done = put_right("realign", plan, tmp_path / "model", home)
    assert belonging(done.path) > 0.95 * healthy


def test_classes_among_the_conversations_are_no_answers_to_move() -> None:
    """The slip was counted over conversations alone, and what is labelled keeps its class."""
    question, label = spoiled.rows(12), Message(role="assistant", content="good")
    asked = [Message(role="user", content=str(row["prompt"])) for row in question]
    said = [Message(role="assistant", content=f"{row['completion']} {row['prompt']}") for row in question]
    examples: list[Example] = []
    for at, prompt in enumerate(asked):
        examples.append(Example(row=2 * at + 1, messages=(prompt, said[at - 2])))
        examples.append(Example(row=2 * at + 2, messages=(Message(role="user", content=f"a {at}"), label), label="good"))
    found = fixes.realign(examples, Reading(), None)  # type: ignore[arg-type]
    talks = [e for e in found if e.label is None]
    assert len(talks) == 10
    assert all(e.messages[0].content in e.messages[1].content for e in talks)
    assert [e for e in found if e.label] == [e for e in examples if e.label]


def test_where_nothing_is_wrong_nothing_is_written(tmp_path, home) -> None:
    plan = planned(tmp_path, OK)
    with pytest.raises(UserError, match="nothing to change"):
        put_right("deduplicate", plan, tmp_path / "model", home)
    assert not list((home / "datasets").glob("*-deduplicate-*")) if (home / "datasets").is_dir() else True


def test_guessed_columns_and_strange_speakers_are_told(tmp_path, lab: Lab) -> None:
    plan = planned(tmp_path, OK)
    _, profile = what_is_learned(plan, tmp_path / "model")
    healthy = preflight.preflight(lab, plan, profile)
    assert not {"roles_unclear", "examples_changed"} & {finding.rule for finding in healthy.findings}
    guessed = preflight.preflight(lab, plan, profile.model_copy(update={"certain": False}))
    assert "roles_unclear" in {finding.rule for finding in guessed.findings}
    talk = [{"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]} for row in OK]
    lost = [
        {"messages": [{"role": "narrator", "content": row["prompt"]}, *row["messages"][1:]]}
        for row in [{**row, "prompt": row["messages"][0]["content"]} for row in talk[:30]]
    ]
    strange = preflight.preflight(lab, planned(tmp_path, [*talk[30:], *lost]))
    found = next(finding for finding in strange.findings if finding.rule == "roles_unclear")
    assert found.evidence[1].value == 30


def test_a_file_that_changed_since_it_was_looked_at_is_told(tmp_path, lab: Lab) -> None:
    plan = planned(tmp_path, OK)
    _, before = what_is_learned(plan, tmp_path / "model")
    spoiled.written(Path(plan.dataset), rows(130))
    assert "examples_changed" in {finding.rule for finding in preflight.preflight(lab, plan, before).findings}


def test_a_way_out_of_what_blocks_is_offered_only_where_it_leads_out(tmp_path, lab: Lab) -> None:
    """Both were tried: one conversation of three kinds is refused and can be left out; a template that takes none leaves nothing."""
    some_refused = planned(tmp_path, some(OK, 3, prompt=lambda r: f"Never {r['prompt']}"), STRICT)
    found = preflight.blocking(preflight.preflight(lab, some_refused))
    assert found is not None
    assert "drop_refused" in {fix.data for fix in found.fixes}
    all_refused = planned(tmp_path, OK, "{{ raise_exception('never') }}")
    found = preflight.blocking(preflight.preflight(lab, all_refused))
    assert found is not None
    assert [fix.data for fix in found.fixes] == [""]


def test_what_is_no_language_is_asked_about_before_a_start(tmp_path, lab: Lab) -> None:
    ids = [{"prompt": f"Number {at}?", "completion": f"x{at * 7919 % 10007:05d}-a{at}f <{at}b/>"} for at in range(60)]
    found = {f.rule: f for f in preflight.preflight(lab, planned(tmp_path, ids)).findings}
    assert found["structure_not_language"].severity == "warning"
    objects = [{"prompt": f"Order {at}?", "completion": json.dumps({"item": f"lamp {at}", "to": "Bern"})} for at in range(60)]
    plan = planned(tmp_path, objects)
    found = {f.rule: f for f in preflight.preflight(lab, plan).findings}
    assert found["structure_not_language"].severity == "info"
    assert preflight.blocking(preflight.preflight(lab, plan)) is None
    assert "structure_not_language" not in {f.rule for f in preflight.preflight(lab, planned(tmp_path, OK)).findings}
