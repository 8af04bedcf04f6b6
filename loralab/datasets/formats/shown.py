"""Owns how a spreadsheet shows a value: 12.5 % and not 0.125, a date and not the number of days since 1900, 00123 and not 123.

Invariant: a format that is not understood leaves the value as it is. Dates come in the ISO form, numbers with English separators.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

ERRORS = frozenset(("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"))
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]\-]*)(?:-[0-9A-Fa-f]*)?\]|\[[^\]]*\]|_.|\*.')
_NUMBER = re.compile(r"[#0?,]*(?:\.[#0?]+,*)?")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # how a workbook writes what XML cannot hold
_MARK = "\ue000"  # stands for a literal while the format is taken apart


def shown(value: Any, style: str) -> Any:
    """The value as the program shows it under a number format; other values as they are. An error (#N/A) is nothing."""
    if isinstance(value, str):
        return None if value in ERRORS else _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dt.datetime | dt.date | dt.time | dt.timedelta):
        return _moment(value)
    if isinstance(value, int | float) and style and style.lower() not in ("general", "@"):
        return _number(value, style)
    return value


def _moment(value: dt.datetime | dt.date | dt.time | dt.timedelta) -> str:
    if isinstance(value, dt.timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
    if isinstance(value, dt.datetime):
        if value.time() == dt.time():
            return value.date().isoformat()
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    if isinstance(value, dt.time):
        return value.isoformat("seconds" if value.second else "minutes")
    return value.isoformat()


def _number(value: float, style: str) -> Any:
    """A number under a format such as `0.0 %`, `#,##0.00 "€"` or `00000`."""
    said: list[str] = []

    def keep(found: re.Match[str]) -> str:
        said.append(next((part for part in found.groups() if part is not None), ""))
        return _MARK

    sections = _LITERAL.sub(keep, style).split(";")
    at = 1 if value < 0 and len(sections) > 1 else 2 if value == 0 and len(sections) > 2 else 0
    literals = iter(said[sum(section.count(_MARK) for section in sections[:at]) :])
    section = sections[at]
    number = next((found for found in _NUMBER.finditer(section) if found[0].strip(",")), None)
    if number is None or re.search(r"[eE/@yhsdm]", section):
        return value
    around = (section[: number.start()], section[number.end() :])
    before, after = ("".join(next(literals) if char == _MARK else char for char in part) for part in around)
    if _NUMBER.search(after) and any(char in after for char in "#0?"):
        return value  # more than one number in it: a phone number, a fraction
    size = abs(value) if at == 1 else value
    return f"{before}{_digits(size * 100 if '%' in section else size, number[0])}{after}".strip()


def _digits(value: float, style: str) -> str:
    """As many decimals, separators and leading zeros as the format asks for."""
    whole, _, part = style.partition(".")
    grouped = "," in whole.rstrip(",")
    value /= 1000 ** (len(style) - len(style.rstrip(",")))  # commas at the end: in thousands
    part = part.rstrip(",")
    said = f"{value:,.{len(part)}f}" if grouped else f"{value:.{len(part)}f}"
    optional = len(part) - len(part.rstrip("#?"))
    for _ in range(optional):
        said = said.removesuffix("0")
    said = said.rstrip(".") if part else said
    sign, digits = ("-", said[1:]) if said.startswith("-") else ("", said)
    least = whole.count("0")
    zeros = least - len(digits.partition(".")[0]) if not grouped else 0
    return f"{sign}{'0' * max(0, zeros)}{digits}"
