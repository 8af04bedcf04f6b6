"""Owns telling text that is written for programs from text that is written to be read: code, settings, logs, markup.

Invariant: an ending that only programs' files have is believed; else what stands in the text decides, and neither prose nor verse nor a
play is taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_LOOKED = 1 << 16  # characters
CODE, SETTINGS, LOG = "program code", "settings: names with values", "lines that begin with a time, as in a log"
XML, SQL, LATEX = "XML: names in angle brackets around the words", "commands for a database", "LaTeX: commands around the words"
CARDS, CALENDAR = "address cards", "a calendar"
MAIL, CATALOGUE, TOKENS = "letters of a mail program", "a program's words with their translations", "words with a mark behind each"
KINDS = (CODE, SETTINGS, LOG, XML, SQL, LATEX, CARDS, CALENDAR, MAIL, CATALOGUE, TOKENS)

_CODE_ENDINGS = frozenset(
    (
        *(".py", ".js", ".ts", ".jsx", ".tsx", ".java", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".go", ".rs", ".rb", ".php", ".swift"),
        *(".kt", ".scala", ".sh", ".bat", ".ps1", ".r", ".m", ".lua", ".pl", ".css", ".scss", ".vue", ".dart", ".jl", ".hs", ".ex"),
        *(".erl", ".clj", ".lisp", ".el", ".vb", ".f90", ".asm", ".ino", ".proto", ".graphql", ".tf", ".cmake", ".make"),
    )
)
_ENDINGS = {
    **dict.fromkeys(_CODE_ENDINGS, CODE),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".env"), SETTINGS),
    ".tex": LATEX,
    ".sql": SQL,
    ".vcf": CARDS,
    ".ics": CALENDAR,
    **dict.fromkeys((".mbox", ".eml"), MAIL),
    **dict.fromkeys((".po", ".pot"), CATALOGUE),
}
_TAG = re.compile(r"</?[A-Za-z_][\w:.-]*(?:\s[^<>]*)?/?>|<!--.{0,2000}?-->|<[?!][^<>]*>", re.DOTALL)
_TIME = re.compile(
    r"\W{0,2}(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d|[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d"
    r"|\d\d:\d\d:\d\d[.,]\d{3}|\d{1,3}(?:\.\d{1,3}){3} \S+ \S+ \[|(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR)\b)"
)
_STATEMENT = re.compile(
    r"\s*(?:(?:INSERT|REPLACE) INTO|CREATE (?:TABLE|INDEX|VIEW|DATABASE)|(?:DROP|ALTER) TABLE|DELETE FROM"
    r"|SELECT\b.*\bFROM|UPDATE\b.*\bSET)\b",
    re.IGNORECASE,
)
_LETTER = re.compile(r"(?:From \S+ .*\n)?(?:[A-Z][\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*){3,}")
_MARKED = re.compile(r"\S+(?:[ \t]\S+)*[ \t](?:O|[BIESLU]-[\w-]+|[A-Z]{2,5}\$?|[.,:;])\s*$")
_NAMED = re.compile(r"\s*(?:- )?[\"']?[\w./-]{1,60}[\"']?\s*(?::(?:\s|$)|=)|\s*- \S|\s*\[+[\w.\" -]+\]+\s*$|\s*[#;]")
_INDENTED = re.compile(r"(?:  |\t)+(?:- )?[\"']?[\w./-]{1,60}[\"']?:(?:\s|$)|\s*[\w.-]+\s*=|\s*\[+[\w.\" -]+\]+\s*$")
_CODE = re.compile(
    r"\s*(?:(?:import|from|package|using|require|include)\b[^.!?]*$|#\s*(?:include|define|if|endif)\b"
    r"|(?:async )?(?:def|fn|func|function)\s+\w+\s*\(|class \w+.*[:{]$"
    r"|(?:const|let|var|val|public|private|protected|static)\s+\w+.*[;={(]$|(?:if|for|while|switch|elif|catch)\b.*[:{]$"
    r"|(?:else|try|finally|do)\s*[:{]$|return\b.*[;)\]\w]$|[\w.\[\]*]+\s*[-+*/]?=\s*\S|[\w.]+\(.*\)[;,]?$|[)\]}]+[;,)]*$|.*\{$|.*\);$|@\w+|//|/\*|#!)"
)


def written_for(text: str, suffix: str = "") -> str:
    """What the text is where it is written for programs, one of KINDS; empty where it may be meant to be read. `suffix`: of the file."""
    head = text.lstrip("\ufeff \t\r\n")[:_LOOKED]
    lines = [line for line in head.split("\n") if line.strip()]
    if not lines:
        return ""
    return _ENDINGS.get(suffix) or next((kind for kind, tells in _TELLS if tells(head, lines)), "")


def _share(pattern: re.Pattern[str], lines: Sequence[str]) -> float:
    return sum(pattern.match(line) is not None for line in lines) / len(lines)


def _is_xml(head: str, _lines: Sequence[str]) -> bool:
    tags = _TAG.findall(head) if head.startswith("<") else []
    return head.startswith("<?xml") or (len(tags) >= 4 and sum(map(len, tags)) >= 0.2 * len(head) and any(tag[1] == "/" for tag in tags))


def _is_sql(_head: str, lines: Sequence[str]) -> bool:
    ended = sum(line.rstrip().endswith((";", ",", "(")) for line in lines)
    return sum(_STATEMENT.match(line) is not None for line in lines) >= 2 and 2 * ended >= len(lines)


def _is_log(_head: str, lines: Sequence[str]) -> bool:
    return len(lines) >= 3 and _share(_TIME, lines) >= 0.5


def _is_code(_head: str, lines: Sequence[str]) -> bool:
    return len(lines) >= 3 and _share(_CODE, lines) >= 0.5


def _is_settings(_head: str, lines: Sequence[str]) -> bool:
    """A name and a colon is not enough: so do plays and interviews begin their lines."""
    return len(lines) >= 3 and _share(_NAMED, lines) >= 0.6 and _share(_INDENTED, lines) >= 0.3


_TELLS: tuple[tuple[str, Callable[[str, Sequence[str]], bool]], ...] = (
    (CARDS, lambda head, _lines: head[:40].upper().startswith("BEGIN:VCARD")),
    (CALENDAR, lambda head, _lines: head[:40].upper().startswith("BEGIN:VCALENDAR")),
    (XML, _is_xml),
    (SQL, _is_sql),
    (MAIL, lambda head, _lines: _LETTER.match(head) is not None and "\nSubject:" in head[:4000]),
    (CATALOGUE, lambda head, _lines: head.count('msgid "') > 1 and head.count('msgstr "') > 1),
    (TOKENS, lambda _head, lines: len(lines) >= 10 and _share(_MARKED, lines) >= 0.9),
    (LOG, _is_log),
    (LATEX, lambda head, _lines: "\\begin{document}" in head),
    (SETTINGS, _is_settings),
    (CODE, _is_code),
)
