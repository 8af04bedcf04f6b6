"""Owns how the texts in `benchmarks/labfail/texts/` are made from their sources: poems, code, talk and health texts that runs are made of.

    python -m benchmarks.labfail.make.texts SOURCES

SOURCES holds poems.jsonl, splunk_detections.jsonl, medquad_faq_1000.csv and chat_english.jsonl as published by their authors; the code
pairs come from the standard library of the Python that runs this. Invariant: same sources, same files.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]

TEXTS = Path(__file__).resolve().parent.parent / "texts"

MOST_CHARACTERS = 1300  # of a row, so that it stays within about 400 tokens
PER_FILE = 20  # pairs of one module, so that no module sets the tone
MOST_PAIRS = 900
_PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.\w+|\d{3}[-.) ]+\d{3}[-. ]\d{4}")

# Greetings, food, conversations and the like are what the starter itself learned to chat from: a sample of them would show nothing new.
CHAT_TOPICS = ("botprofile", "ai", "tech_support", "science", "literature", "trivia")
# The corpus jokes about things a class need not learn, and some of its facts are wrong: read row by row, these are left out.
NOT_IN_CLASS = re.compile(
    r"\b(die[sd]?|dead|death|immortal|deathless|terminated|kill(ed)?|murder|suicide|hitler|fascist|assassinated|shot|gun|fight|battle bot"
    r"|testicles|mate|bend over|personal!|stupid|sex|female pleasure|boyfriend|drunk|tipsy|drink|wine|beers?|heineken|sake|absinthe"
    r"|cosmopolitan|cranberry and lime|hell|drug|pipe|illuminati|illuminatus|conspirac\w+|lie|free will|crash|priest|pope|casino"
    r"|love|smoke it|rapper|tagline|killed|burial|h is to o|worst|ruby|buried|cloned?|mirror shame-free|catholic|horoscope|zodiac)\b",
    re.IGNORECASE,
)
WRONG_FACTS = (
    *("smallest unit of memory", "power outages", "invented scissors", "hardest rock", "driest continent", "bone are babies", "ph level"),
    *(
        "rarest m&m",
        "rain diamonds",
        "twitter bird",
        "good to the last drop",
        "on every continent",
        "tick bite",
        "color eyes",
        "r. president",
    ),
    *("wavelength is the inverse", "plants grow better", "vending machine", "loudest animal", "protected in florida", "illegal to dress"),
    *("eiffel tower was originally", "complete the title", "which doors song", "do you know chemistry"),
    *("what is chemistry", "how far is the sun", "how far is the moon", "the same wavelength", "samuel tilden", "pregnant", "who is is"),
)


def main() -> None:
    """Write every data set."""
    source = Path(sys.argv[1])
    makers: dict[str, Callable[[Path], Iterable[Row]]] = {
        "poet.jsonl": poet,
        "code_commenter.jsonl": lambda _: code_commenter(),
        "security_desk.jsonl": security_desk,
        "medical_faq.csv": medical_faq,
        "class_chatbot.jsonl": class_chatbot,
    }
    for name, make in makers.items():
        rows = [row for row in make(source) if len(json.dumps(row, ensure_ascii=False)) <= MOST_CHARACTERS]
        content = as_csv(rows) if name.endswith(".csv") else _as_lines(rows)
        (TEXTS / name).write_text(content, encoding="utf-8", newline="\n")
        sys.stderr.write(f"{name}: {len(rows)} rows, {len(content.encode()) // 1024} kB\n")


def poet(source: Path) -> Iterator[Row]:
    """Whole poems with a request that names title and author; fragments without a title of their own are left out."""
    for poem in _lines(source / "poems.jsonl"):
        title, author = poem["title"].strip(), poem["author"]
        # Of the anthologies' poems the title is often the poet's name, and a play's verses carry its stage directions.
        unnamed = re.fullmatch(r"[IVXLCivxlc.]+|\W*\d*\W*", title) or author.startswith("various")
        if not unnamed and len(poem["poem"]) <= 1000 and not re.search(r"\[_|\[[A-Z]", poem["poem"]):
            yield {"prompt": f"Write a poem called “{title}” in the style of {author}.", "completion": poem["poem"]}


def code_commenter() -> list[Row]:
    """Functions of Python's standard library without their docstrings, and the docstring's first sentence."""
    library = Path(sysconfig.get_path("stdlib"))
    skipped = {"test", "tests", "site-packages", "lib2to3", "idlelib", "turtledemo", "ensurepip", "__pycache__", "encodings", "msilib"}
    seen: set[str] = set()
    pairs: list[Row] = []
    for path in sorted(library.rglob("*.py")):
        if skipped & set(path.relative_to(library).parts) or path.name.startswith("_sysconfigdata"):
            continue
        taken = 0
        for code, comment in _documented(path.read_text("utf-8", errors="replace")):
            if comment not in seen and _says_something(comment) and taken < PER_FILE:
                seen.add(comment)
                taken += 1
                pairs.append({"code": code, "docstring": comment})
    return pairs[:: max(1, len(pairs) // MOST_PAIRS)][:MOST_PAIRS]


def _says_something(comment: str) -> bool:
    return 25 <= len(comment) <= 90 and comment.endswith(".") and comment[0].isupper() and comment.count("(") == comment.count(")")


def _documented(text: str) -> Iterator[tuple[str, str]]:
    """(function without docstring, first line of its docstring) for short functions with a body beyond the docstring."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef) or len(node.body) < 2 or not (doc := ast.get_docstring(node)):
            continue
        comment = " ".join(doc.split("\n\n")[0].split())
        node.body = node.body[1:]
        node.decorator_list = []
        code = textwrap.dedent(ast.unparse(node))
        if 60 <= len(code) <= 300:
            yield code, comment


def security_desk(source: Path) -> Iterator[Row]:
    """What a detection looks for and when it is a false alarm: the first sentences of Splunk's descriptions."""
    for place, rule in enumerate(_lines(source / "splunk_detections.jsonl")):
        name = rule["name"].strip()
        about = sentences(rule["description"], 320)
        benign = sentences(rule.get("known_false_positives") or "", 300)
        if place % 4 == 0 and about:
            yield {"question": f"What does the detection “{name}” look for?", "answer": about}
        elif place % 8 == 1 and len(benign) > 60 and "unknown" not in benign.lower():
            yield {"question": f"When is “{name}” a false alarm?", "answer": benign}


def medical_faq(source: Path) -> Iterator[Row]:
    """Short answers of MedQuAD; questions tidied, rows with addresses of people left out."""
    for row in _table(source / "medquad_faq_1000.csv"):
        question = re.sub(r"\s+\?", "?", row["question"]).replace("What is (are) ", "What is ")
        answer = sentences(re.sub(r"^[^.?]{5,120}\?\s+", "", row["answer"]), 420)  # many answers begin by repeating the question
        hollow = answer.startswith(("These resources", "Frequently")) or "?" in answer
        if len(answer) >= 60 and not hollow and not _PERSONAL.search(row["answer"]):
            yield {"question": question, "answer": answer}


def class_chatbot(source: Path) -> Iterator[Row]:
    """Single exchanges of small talk and simple facts, as chat messages, each question once or twice."""
    rows = [row for row in _lines(source / "chat_english.jsonl") if row["topic"] in CHAT_TOPICS]
    asked: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: CHAT_TOPICS.index(row["topic"])):
        question, answer = (_tidy(row["messages"][place]["content"]) for place in (0, 1))
        silly = NOT_IN_CLASS.search(f"{question} {answer}") or any(wrong in question.lower() for wrong in WRONG_FACTS)
        echo = answer.lower().startswith("what is ")
        if (
            silly
            or echo
            or len(answer) > 500
            or len(question) < 2
            or len(answer) < 2
            or (question, answer) in seen
            or asked.get(question, 0) >= 2
        ):
            continue
        seen.add((question, answer))
        asked[question] = asked.get(question, 0) + 1
        yield {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _tidy(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:]


def sentences(text: str, limit: int) -> str:
    """Whole sentences from the beginning of a text, at most `limit` characters; empty when not even one fits."""
    kept = ""
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(text.split())):
        if len(kept) + len(sentence) + 1 > limit:
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def _lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def _table(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _as_lines(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: list[Row]) -> str:
    """The rows as CSV, the names of the first as its head."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
