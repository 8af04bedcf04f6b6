"""What asks for an answer is what stands before a learned one, and a learned stop stands behind it, whatever template a model came with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from advisor.rules import rules
from loralab.core.paths import DATA, STARTER
from loralab.core.records import Example, Message
from loralab.exports.gguf import tokens
from loralab.models.tokenize import TextEncoder
from tests.models.test_encode import FAMILIES, folder_of
from tests.support import spoiled

CASES = Path(__file__).parent / "templates"
TURN = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
BETWEEN = "('' if loop.last else '<|im_end|>\n')"
LAST_BARE = BETWEEN.replace("last", "last and m['role'] == 'assistant'")
REFUSED = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('whose?') }}{% endif %}"
UNKNOWN = "{{ messages[0]['content'] if messages[0]['role'] == 'system' else no.system }}"
SYSTEM = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
TAUGHT = "{% generation %}{{ m['content'] }}{% endgeneration %}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
BARE = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
MARKED = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<|im_start|>assistant\nANSWER{% else %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}" + ASK
)
# name -> template, what it is given
LACKING: dict[str, tuple[str, tuple[str, ...]]] = {
    "asks for nothing": (TURN, ("beginning",)),
    "asks for nothing, ends its file with a line": (TURN + "\n", ("beginning",)),
    "asks only for the mark": (TURN + "{% if add_generation_prompt %}<|im_start|>{% endif %}", ("beginning",)),
    "asks for another role": (TURN + "{% if add_generation_prompt %}<|im_start|>bot\n{% endif %}", ("beginning",)),
    "asks for a thought it never teaches": (TURN + ASK.replace("assistant\n", "assistant\n<think>\n"), ("beginning",)),
    "turns without an end": (TURN.replace(" + '<|im_end|>\n'", "") + ASK, ("end",)),
    "neither": (TURN.replace(" + '<|im_end|>\n'", ""), ("beginning", "end")),
    "words for roles": (BARE, ("beginning", "end")),
    "an end between turns only": (TURN.replace("'<|im_end|>\n'", BETWEEN) + ASK, ("beginning", "end")),
    "an end between answers only": (TURN.replace("'<|im_end|>\n'", LAST_BARE) + ASK, ("end",)),
    "an end of words": (TURN.replace("<|im_end|>", "[END]") + ASK, ("end",)),
    "no mark of the end among the learned": (MARKED.replace("ANSWER", TAUGHT + "\n"), ("end",)),
    "insists on a system message": (REFUSED + TURN + ASK, ("system",)),
    "takes the first for a system message": (UNKNOWN + TURN + ASK, ("system",)),
}
WHOLE = {
    "chatml": TURN + ASK,
    "cuts blanks off answers": TURN.replace("m['content']", "m['content'] | trim") + ASK,
    "a system message of its own": "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    + TURN
    + ASK,
    "marks without the end": MARKED.replace("ANSWER", TAUGHT + "<|im_end|>\n"),
    "marks, the end on a line of its own": MARKED.replace("ANSWER", TAUGHT + "\n<|im_end|>\n"),
    "marks after an empty thought": MARKED.replace("ANSWER", "<think>\n\n</think>\n\n" + TAUGHT + "<|im_end|>\n"),
    "a beginning of the text": "{{ bos_token }}" + TURN + ASK,
    "a mark of its own for the end": TURN.replace("<|im_end|>", "<|over|>") + ASK,
}
TALK = (
    Message(role="user", content="what is the colour of grass"),
    Message(role="assistant", content="it is green"),
    Message(role="user", content="and the sea"),
    Message(role="assistant", content="the sea is blue "),
)
TALKS = (TALK[:2], TALK, (Message(role="system", content="you are a model"), *TALK))


def encoder_of(folder: Path, template: str, **settings: object) -> TextEncoder:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|over|>"]
    FAMILIES["own"] = (special, template, "<|endoftext|>")
    try:
        folder_of(folder, "own")
    finally:
        del FAMILIES["own"]
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"bos_token": "<|endoftext|>"} | settings))
    return TextEncoder(folder)


def of_case(folder: Path, name: str) -> TextEncoder:
    """The starter's tokenizer with the template of a case laid over it."""
    folder.mkdir(parents=True)
    for file in ("tokenizer.json", "config.json"):
        shutil.copyfile(STARTER / file, folder / file)
    return TextEncoder(shutil.copytree(CASES / name, folder, dirs_exist_ok=True))


def assert_alike(encoder: TextEncoder, talk: tuple[Message, ...]) -> None:
    """Each answer begins where asking for it stops; the first learned token after its words is a stop."""
    row = encoder.encode(Example(row=1, messages=talk), 1000)
    asked = encoder.prompt_ids(talk[:-1])
    assert row.ids[: len(asked)] == asked
    assert row.learned[len(asked)]
    assert not row.learned[len(asked) - 1]
    learned = [text for text, is_learned in row.pieces if is_learned]
    answers = [m.content.strip() for m in talk if m.role == "assistant"]
    assert len(learned) == len(answers)
    for text, answer in zip(learned, answers, strict=True):
        before, _, after = text.partition(answer)
        assert before.replace("<think>\n\n</think>\n\n", "").strip() == ""
        first = encoder.tokenizer.encode(after.lstrip(), add_special_tokens=False).ids[0]
        assert first in encoder.stop_ids


@pytest.mark.parametrize("name", LACKING)
def test_what_a_template_lacks_is_put_in(name: str, tmp_path: Path) -> None:
    template, given = LACKING[name]
    encoder = encoder_of(tmp_path, template)
    assert encoder.chat.added == given
    for talk in TALKS[: 2 if "system" in name else 3]:
        assert_alike(encoder, talk)
    encoder.keep_template(tmp_path)  # what goes out lacks nothing
    again = TextEncoder(tmp_path)
    assert (again.chat.added, again.template_text) == ((), encoder.template_text)
    assert again.stop_ids == encoder.stop_ids


@pytest.mark.parametrize("name", WHOLE)
def test_what_lacks_nothing_stays_as_it_is(name: str, tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, WHOLE[name])
    assert (encoder.chat.added, encoder.template_text) == ((), WHOLE[name])
    for talk in TALKS:
        assert_alike(encoder, talk)


@pytest.mark.parametrize("family", FAMILIES)
def test_families_stay_as_they_are(family: str, tmp_path: Path) -> None:
    encoder = TextEncoder(folder_of(tmp_path, family))
    assert (encoder.chat.added, encoder.template_text) == ((), FAMILIES[family][1])
    assert encoder.chat.alike
    assert encoder.chat.ends == (FAMILIES[family][2],)


@pytest.mark.parametrize(("name", "given"), [("v1", ()), ("v2", ("beginning",)), ("v3", ("end",)), ("v4", ())])
def test_reported_templates_ask_as_they_teach(name: str, given: tuple[str, ...], tmp_path: Path) -> None:
    encoder = of_case(tmp_path / name, name)
    assert encoder.chat.added == given
    for talk in TALKS:
        assert_alike(encoder, talk)
    written = tokens._template(encoder)  # what a GGUF file carries
    assert "generation %}" not in written
    (tmp_path / name / "chat_template.jinja").write_text(written, "utf-8")
    assert TextEncoder(tmp_path / name).prompt_text(TALK[:3]) == encoder.prompt_text(TALK[:3])


@pytest.mark.parametrize("name", ["v2", "v3"])
def test_other_programs_read_the_completed_template_alike(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    encoder = of_case(tmp_path / name, name)
    encoder.keep_template(tmp_path / name)
    talk = [m.model_dump(include={"role", "content"}) for m in TALK]
    theirs = AutoTokenizer.from_pretrained(tmp_path / name)
    for ask, turns in ((False, talk), (True, talk[:3])):
        ours = encoder.chat.rendered(turns, ask=ask)
        assert theirs.apply_chat_template(turns, tokenize=False, add_generation_prompt=ask) == ours


def test_an_end_is_found_where_the_papers_name_none(tmp_path: Path) -> None:
    encoder = encoder_of(
        tmp_path, "{% for m in messages %}<|over|>{{ m['role'] }}: {{ m['content'] }}{% endfor %}", eos_token=None, bos_token=None
    )
    assert encoder.chat.added == ("beginning", "end")
    assert_alike(encoder, TALK)


def test_a_text_is_continued_without_the_end_its_tokenizer_adds(tmp_path: Path) -> None:
    folder_of(tmp_path, "llama3")
    file = tmp_path / "tokenizer.json"
    found = json.loads(file.read_text())
    ids = {token["content"]: token["id"] for token in found["added_tokens"]}
    marks = {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("<|begin_of_text|>", "<|eot_id|>")}
    single = [{"SpecialToken": {"id": name, "type_id": 0}} for name in marks]
    single.insert(1, {"Sequence": {"id": "A", "type_id": 0}})
    found["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}]}
    found["post_processor"]["special_tokens"] = marks
    file.write_text(json.dumps(found))
    encoder = TextEncoder(tmp_path)
    read = encoder.text_ids("the sea")
    assert read[0] == ids["<|begin_of_text|>"]
    assert encoder.encode(Example(row=1, text="the sea"), 100).ids == [*read, ids["<|eot_id|>"]]


# ---- what cannot be put right ----------------------------------------------------------------------------------------------
CLEANS = TURN.replace("m['content'] + '<|im_end|>\n'", "m['content'].split('<')[0] + '\n'") + ASK  # no mark comes through
TURNCOAT = "{% if messages[-1]['role'] == 'assistant' %}Learn:{% else %}Ask:{% endif %}" + TURN + ASK  # begins as the end will be


@pytest.mark.parametrize(("rule", "template"), [("end_not_learned", CLEANS), ("asked_otherwise", TURNCOAT)])
def test_what_cannot_be_put_right_stands_in_the_way(rule: str, template: str, tmp_path: Path) -> None:
    data = spoiled.written(tmp_path / "a.jsonl", spoiled.rows(40))
    found = spoiled.found(spoiled.foreseen(spoiled.model(tmp_path / "bad", template), data), rule)
    assert found is not None
    assert (found.action, found.severity) == ("block", "error")
    assert found.confidence >= 0.95
    whole = spoiled.foreseen(spoiled.model(tmp_path / "good", TURN + ASK), data)
    asked = {name: rule for name, rule in rules().items() if rule.tasks is None or "text" in rule.tasks}
    assert not {"end_not_learned", "asked_otherwise", "template_completed"} & {
        name for name, rule in asked.items() if rule.find(name, whole)
    }


def test_a_completed_template_is_told_and_stops_nothing(tmp_path: Path) -> None:
    data = spoiled.written(tmp_path / "a.jsonl", spoiled.rows(40))
    case = spoiled.foreseen(spoiled.model(tmp_path / "model", LACKING["neither"][0]), data)
    found = spoiled.found(case, "template_completed")
    assert found is not None
    assert (found.severity, found.action) == ("info", "inform")
    assert all(spoiled.found(case, rule) is None for rule in ("end_not_learned", "asked_otherwise"))


def test_bundled_templates_lack_nothing(tmp_path: Path) -> None:
    for name in ("chatml", "plain"):
        text = (DATA / "templates" / f"{name}.jinja").read_text("utf-8")
        assert encoder_of(tmp_path / name, text, eos_token="<|im_end|>").chat.added == ()
