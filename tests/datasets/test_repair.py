"""Files of JSON and of separated values that are a little broken: the rest is read, what is broken is counted with its line."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.datasets.formats.layout import Layout
from loralab.datasets.readers import Coverage, Table, read_bytes
from tests.support.files import load

CASES = Path(__file__).parent / "cases" / "broken_pretty_json"
ROWS = [{"question": f"q {i}?", "answer": f"answer {i}."} for i in range(6)]
CHATS = [{"messages": [{"role": "user", "content": f"hi {i}"}, {"role": "assistant", "content": "yo"}]} for i in range(6)]
LINES = [json.dumps(row) for row in ROWS]
PRETTY, COMPACT = json.dumps(ROWS, indent=2), json.dumps(ROWS)


def unclosed(text: str, at: int = 2) -> str:
    """The text with an answer whose last quotation mark is missing."""
    assert f'answer {at}."' in text
    return text.replace(f'answer {at}."', f"answer {at}.")


def covered(table: Table, text: str) -> bool:
    """Whether each character is accounted for."""
    made = table.coverage
    return made is not None and made.rows + made.left_out + made.structure == len(text.removeprefix("\ufeff"))


@pytest.mark.parametrize("path", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_reported_files_lose_no_row(path: Path) -> None:
    (table,) = read_bytes(path.read_bytes(), path.name)
    assert (len(table.rows), table.left_out) == (60, [])
    assert covered(table, path.read_text("utf-8"))


def test_what_was_put_right_is_told(tmp_path: Path) -> None:
    _, loaded = load(tmp_path, "a.json", (CASES / "trailing_comma.json").read_bytes())
    assert [part.about for part in loaded.parts] == ["put right: commas too many in 1 row"]
    assert load(tmp_path, "b.json", PRETTY)[1].parts == ()


WHOLE = {
    "no comma between objects.json": PRETTY.replace("},", "}"),
    "no comma between fields.json": PRETTY.replace('"q 2?",', '"q 2?"'),
    "no last bracket.json": PRETTY[:-2],
    "two lists.json": json.dumps(ROWS[:3]) + json.dumps(ROWS[3:]),
    "script.json": f"const data = {PRETTY};",
    "archive.json": f"window.YTD.tweets.part0 = {PRETTY}",
    "double commas.json": PRETTY.replace('?",', '?",,').replace("},", "},,"),
    "numbered.jsonl": "\n".join(f"{at}. {line}" for at, line in enumerate(LINES, 1)),
    "a log.jsonl": "\n".join(f"2024-05-0{at} 10:00:00 INFO {line}" for at, line in enumerate(LINES, 1)),
    "from a chatbot.txt": f"```json\n{PRETTY}\n```",
    "marks in the middle.jsonl": "\n".join(f"\ufeff{line}" for line in LINES),
    "record separators.json": "".join(f"\x1e{line}\n" for line in LINES),
    "commas behind lines.jsonl": ",\n".join(LINES) + ",",
    "comments.jsonl": "# mine\n// also\n/* and\nthis */\n" + "\n".join(LINES),
    "list.txt": PRETTY,
    "list.csv": COMPACT,
    "lines.tsv": "\n".join(LINES),
    "table.json": "question,answer\n" + "".join(f"q {i}?,answer {i}.\n" for i in range(6)),
    "table.jsonl": "question;answer\n" + "".join(f"q {i}?;answer {i}.\n" for i in range(6)),
    "python.json": repr(ROWS),
    "python.jsonl": "\n".join(map(repr, ROWS)),
    "written twice.json": json.dumps(COMPACT),
    "written twice.jsonl": "\n".join(map(json.dumps, LINES)),
    "names bare.json": re.sub(r'"(question|answer)":', r"\1:", PRETTY),
    "written in Word.json": PRETTY.replace('"q 1?"', "“q 1?”"),
    "a list under a name, commas too many.json": json.dumps({"n": 1, "data": ROWS}, indent=1).replace("\n ]", ",\n ]"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_small_faults_cost_nothing(name: str) -> None:
    (table,) = read_bytes(WHOLE[name].encode(), name)
    assert [row.values for row in table.rows] == ROWS
    assert table.left_out == []
    assert covered(table, WHOLE[name])


ONE_BAD = {
    "pretty.json": unclosed(PRETTY),
    "compact.json": unclosed(COMPACT),
    "lines.jsonl": unclosed("\n".join(LINES)),
    "on one line.json": unclosed(" ".join(LINES)),
    "the first.json": unclosed(" ".join(LINES), 0),
    "the last.json": unclosed(PRETTY, 5),
    "under a name.json": unclosed(json.dumps({"version": 1, "data": ROWS, "n": 6}, indent=2)),
    "under a name, compact.json": unclosed(json.dumps({"version": 1, "data": ROWS, "n": 6})),
    "quotation marks within.json": PRETTY.replace("answer 2.", 'he said "yes" to me'),
    "no closing brace.json": PRETTY.replace('"answer 2."\n  }', '"answer 2."\n  '),
    "a brace too many.jsonl": "\n".join(LINES).replace('q 2?"', 'q 2?"}'),
    "rows under their numbers.json": unclosed(json.dumps({str(at): row for at, row in enumerate(ROWS)}, indent=1)),
    "a field twice.json": PRETTY.replace('"answer 2."', '"answer 2.", "question": "again"'),
    "chats.json": json.dumps(CHATS, indent=2).replace('"hi 3"', '"hi 3'),
    "chats, compact.json": json.dumps(CHATS).replace('"hi 3"', '"hi 3'),
    "chats.jsonl": "\n".join(map(json.dumps, CHATS)).replace('"hi 3"', '"hi 3'),
    "chats without indents.json": json.dumps(CHATS, indent=0).replace('"hi 3"', '"hi 3'),
    "chats without indents, the first.json": json.dumps(CHATS, indent=0).replace('"hi 0"', '"hi 0'),
}


@pytest.mark.parametrize("name", ONE_BAD)
def test_what_is_broken_costs_its_own_row_and_is_counted_with_its_line(name: str) -> None:
    text = ONE_BAD[name]
    (table,) = read_bytes(text.encode(), name)
    whole = CHATS if "chats" in name else ROWS
    assert len(table.rows) == 5
    assert all(row.values in whole for row in table.rows), "no row is invented"
    (lost,) = table.left_out
    assert lost.row not in {row.number for row in table.rows}
    line = int(re.findall(r"[Ll]ine (\d+)", lost.reason)[0])
    assert 0 < line <= text.count("\n") + 1
    assert "(“" in lost.reason, "a few of its words are shown"
    assert covered(table, text)


@pytest.mark.parametrize("suffix", ["txt", "md"])
def test_what_a_chatbot_says_around_its_rows_is_named(suffix: str) -> None:
    (table,) = read_bytes(f"Here is your data:\n\n```json\n{PRETTY}\n```\n\nI hope it helps!".encode(), f"a.{suffix}")
    assert [row.values for row in table.rows] == ROWS
    assert len(table.left_out) == 2
    assert "Here is your data" in table.left_out[0].reason
    assert "I hope it helps!" in table.left_out[1].reason


def test_the_lists_of_a_broken_file_keep_their_names() -> None:
    sound = json.dumps({"train": ROWS[:3], "test": ROWS[3:]}, indent=1)
    whole, broken = (read_bytes(text.encode(), "a.json")[0] for text in (sound, unclosed(sound, 1)))
    assert [row.values for row in broken.rows] == [row.values for row in whole.rows if row.values["question"] != "q 1?"]


def test_what_only_holds_rows_together_is_all_that_stands_between_the_pieces() -> None:
    for text in [text for name, text in [*WHOLE.items(), *ONE_BAD.items()] if "twice" not in name]:
        layout = Layout(text)
        layout.run()
        ends = [0, *(piece.end for piece in layout.pieces)]
        starts = [*(piece.start for piece in layout.pieces), len(text)]
        between = [text[end:start] for end, start in zip(ends, starts, strict=True)]
        assert not any(word in piece for piece in between for word in ("answer", "q ", "content"))
        assert sum(map(len, between)) == layout.structure
        assert all(start >= end for end, start in zip(ends, starts, strict=True))


MILLION = 1_000_000
GARBAGE = {
    "braces": "{" * MILLION,
    "lines of braces": "{\n" * (MILLION // 2),
    "brackets": "[" * MILLION,
    "nested": '{"a":' * (MILLION // 5),
    "nested on lines": '{"a":\n' * (MILLION // 6),
    "quotation marks": '"' * MILLION,
    "broken texts": '{"a": "' * (MILLION // 7),
    "comments that never end": "{/*\n" * (MILLION // 4),
    "words": "hello world\n" * (MILLION // 12),
    "digits": "1" * MILLION,
    "numbers": "[" + "1," * (MILLION // 2),
    "hashes": "#\n" * (MILLION // 2),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_million_characters_of_garbage_are_refused_in_bounded_time(name: str) -> None:
    begun = time.process_time()
    with pytest.raises(UserError, match="could not be read as JSON") as refused:
        read_bytes(GARBAGE[name].encode(), "a.json")
    assert len(str(refused.value)) < 400
    assert time.process_time() - begun < 20, "a quadratic reader needs minutes"


# ---- separated values --------------------------------------------------------------------------------------------------------

HEADER, BODY = "question,answer\n", "".join(f"q {i}?,a {i}.\n" for i in range(6))


def reasons(table: Table) -> Iterator[tuple[int, str]]:
    return ((lost.row, lost.reason) for lost in table.left_out)


@pytest.mark.parametrize(
    ("body", "rows", "lost"),
    [
        (BODY, 6, []),
        ('1,"never closed\n2,b\n3,"quoted, fine"\n4,d\n', 3, [(2, "Line 2 opens a quotation mark")]),
        ('1,"never closed\n2,"b"\n' * 3, 3, [(at, f"Line {at} opens a quotation mark") for at in (2, 4, 6)]),
        (BODY.replace("a 3", "a\0 3"), 6, []),
        (BODY + "q 7;a 7\nq 8\ta 8\n", 8, []),
        (BODY + HEADER + BODY, 12, [(8, "The names of the columns again")]),
        (BODY + "x,y,z\n,\n\nlast,one\n", 7, [(8, "The row has 3 cells"), (9, "The row is empty")]),
        ('"a\nb",c\n\n"d"x,e\n', 2, []),
        ('="00123",b\n', 1, []),
        ('"he said \\"hi\\", and left",b\n"c\\"",d\n"e","f"\n', 3, []),
    ],
)
def test_each_row_of_a_table_is_read_or_named(body: str, rows: int, lost: list[tuple[int, str]]) -> None:
    (table,) = read_bytes((HEADER + body).encode(), "a.csv")
    assert len(table.rows) == rows
    assert [(row, why[: len(begins)]) for (row, why), (_, begins) in zip(reasons(table), lost, strict=True)] == lost
    assert covered(table, (HEADER + body).replace("\0", ""))
    assert isinstance(table.coverage, Coverage)
    assert (table.coverage.left_out > 0) == bool(lost)


def test_quotation_marks_behind_backslashes_are_quotation_marks() -> None:
    (table,) = read_bytes((HEADER + '"he said \\"hi\\", and left",b\n').encode(), "a.csv")
    assert table.rows[0].values == {"question": 'he said "hi", and left', "answer": "b"}


def test_two_tables_in_one_file_are_put_under_their_own_names() -> None:
    (table,) = read_bytes(f"{HEADER}{BODY}answer,question\na 9.,q 9?\n".encode(), "a.csv")
    assert table.rows[-1].values == {"question": "q 9?", "answer": "a 9."}


@pytest.mark.parametrize("line", ['"\n', 'a,"\n', 'a,"b\n'])
def test_a_table_of_open_quotation_marks_is_read_in_bounded_time(line: str) -> None:
    begun = time.process_time()
    text = HEADER + "q,a\n" + line * 60_001
    (table,) = read_bytes(text.encode(), "a.csv")
    assert covered(table, text)
    assert time.process_time() - begun < 20
