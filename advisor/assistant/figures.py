"""Owns the numbers in a sentence: finding each one, however it is written, and whether the evidence bears it out.

Invariant: what cannot be read as a number with certainty and still looks like one counts as not borne out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from advisor.diagnosis.findings import Evidence

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS: dict[str, float] = {word: float(n) for n, word in enumerate(_ONES.split())} | {w: 10.0 * n for n, w in enumerate(_TENS.split(), 2)}
_SCALES: dict[str, float] = {"hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9}
# Amounts that are no plain number, and numbers of other tongues: never borne out
_LOOSE = re.compile(
    r"\b(half|halves|halved|halving|third|thirds|quarter|quarters|fifth|fifths|tenth|tenths|hundredth\w*|"
    r"thousandth\w*|percentile|dozens?|scores? of|twice|thrice|doubl\w*|tripl\w*|quadrupl\w*|quintupl\w*|\w*fold|"
    r"hundreds|thousands|millions|billions|trillions?|couple|pair|tens|nought|naught|nil|zilch|second|fourth|sixth|"
    r"seventh|eighth|ninth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|"
    r"nineteenth|(?:twen|thir|for|fif|six|seven|eigh|nine)tieth|googol|gross of|eins|zwei|drei|vier|funf|fuenf|sechs|"
    r"sieben|acht|neun|zehn|elf|zwolf|zwoelf|zwanzig|hundert|tausend|deux|trois|quatre|cinq|sept|huit|neuf|dix|vingt|"
    r"cent|mille|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|veinte|cien|mil|due|tre|quattro|cinque|sei|"
    r"sette|otto|nove|dieci|venti)\b"
)
_FIRST = re.compile(r"^(at )?first\b|\bat first\b")
_ONE = re.compile(r"\b(this|that|which|no|any|every|each|another|the) one\b")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join([*_WORDS, *_SCALES])})(?:[ -](?:and )?(?:{'|'.join([*_WORDS, *_SCALES, 'point'])}))*\b")
_UNIT = (
    r"(?:\s?(%|percent\b|per cent\b|percentage points?\b|pct\b|[kmgt]i?b\b|bytes?\b|seconds?\b|secs?\b|s\b|minutes?\b|"
    r"mins?\b|hours?\b|hrs?\b|h\b|days?\b|ms\b|thousand\b|million\b|billion\b|k\b|m\b|bn?\b|updates?\b|steps?\b|"
    r"examples?\b|rows?\b|tokens?\b|epochs?\b|rounds?\b|looks?\b|times\b|x\b|nats?\b))?"
)
_DIGITS = re.compile(r"-?\d(?:[\d.,' ]*\d)?(?:e[+-]?\d+)?" + _UNIT)
_COMPOUND = re.compile(
    r"\d\s*[/:^×*x]\s*-?\d|\d\s*(?:out of|in|of)\s+\d|\d\s?[x×](?![a-z])|\d\s*[-–—]\s*\d|\d%\d|[~<>=]\s*-?\d\S*\s*[~<>=]"
)
_TOKEN = re.compile(r"[\w.+-]*\d[\w.+-]*")
_QUANTITY = re.compile(r"\b(learning rate|loss|memory|token|example|update|step|epoch|round|rank|time|warm-up|speed|batch|alpha|length)")
# Inside another word a number was put there to be read
_HIDDEN = re.compile(
    r"three|four|five|seven|eleven|twelve|thirteen|fifteen|eighteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|illion|twice|thrice|dozen"
)
_ROUND_NUMBER = re.compile(r"(?<![\d.,])(\d+(?:\.\d+)?) (thousand|million|billion)\b")
_GROUPED = re.compile(r"\d{1,3}(?:[ ,']\d{3})+(?:\.\d+)?")

_UNREADABLE = "\x00"
LEAD = 40  # characters before a number and behind it that are looked at
# Words that may stand behind a number without giving it a meaning of its own
_SMALL_WORDS = (
    "and or but to at on in of for with by from after before during when while which that is was were as so than then per "
    "held-out heldout training loss rate learning more less lower higher has had it this the a an did does are be over "
    "until up down now here only made done planned learned"
)
_AFTER = frozenset(_SMALL_WORDS.split())

_TIMES: dict[str, float] = {
    "ms": 1e-3,
    "s": 1,
    "sec": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "day": 86400,
}
_BYTES: dict[str, float] = {"byte": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_PERCENT = ("%", "percent", "per cent", "percentage point", "pct")
_MANY: dict[str, float] = {"thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "b": 1e9, "bn": 1e9}
_KINDS = {"update": ("update", "step"), "example": ("example", "row"), "token": ("token",), "epoch": ("epoch", "round"), "look": ("look",)}
_COUNTED = {word: kind for kind, words in _KINDS.items() for word in words}


@dataclass(frozen=True)
class Figure:
    """A number as a sentence says it: its value in the unit named, and that unit; NaN where it cannot be read."""

    value: float
    unit: str = ""
    noun: str = ""  # the word behind it, where that is neither a unit nor a small word
    subject: str = ""  # the quantity named last before it
    lead: str = ""  # what stands right before it, and behind it
    tail: str = ""


def figures(sentence: str, known: Iterable[str] = ()) -> list[Figure]:
    """Every number in a sentence. `known`: words with digits in them that are no numbers (fp16), lower case."""
    text = sentence.lower().replace("−", "-").replace("–", "-").replace("\u2011", "-")
    for word in sorted(known, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(word)}(?!\w|\.\d)", " ", text)
    found: list[Figure] = []
    if _COMPOUND.search(text) or _LOOSE.search(_FIRST.sub(" ", text)) or re.search(r"\bfirst\b", _FIRST.sub(" ", text)):
        found.append(Figure(math.nan))
    text = _ROUND_NUMBER.sub(lambda m: f"{float(m.group(1)) * _SCALES[m.group(2)]:.15g}", text)
    text = _NUMBER_WORD.sub(lambda m: _digits(m.group()), _ONE.sub(" ", text))
    found += [Figure(math.nan)] * (text.count(_UNREADABLE) + len(_HIDDEN.findall(text)))
    for token in _TOKEN.findall(text):
        if re.search(r"[a-z_]", re.sub(r"(?<=\d)(e[+-]?\d+|%|[kmgt]i?b|ms|[smhkx])?$", "", token.rstrip(".-+"))) and not _dashed(token):
            found.append(Figure(math.nan))  # a digit inside a word
    return found + [_read(m) for m in _DIGITS.finditer(text)]


def _dashed(token: str) -> bool:
    """“40-step”: a number and a word, each read by itself."""
    return bool(re.fullmatch(r"\d+(?:\.\d+)?-[a-z]+", token))


def _digits(words: str) -> str:
    value = _spoken(words)
    return f"{value:.15g}" if math.isfinite(value) else _UNREADABLE


def _spoken(text: str) -> float:
    """Value of number words; NaN for what is not built as numbers are (“ten four”)."""
    total, current, last = 0.0, 0.0, math.inf
    for word in re.split(r"[ -]+", text):
        if word == "and":
            continue
        if word in _SCALES and current:
            scale = _SCALES[word]
            current, total, last = (current * scale, total, 100.0) if scale == 100 else (0.0, total + current * scale, math.inf)
        elif word in _WORDS and (last is math.inf or last == 100 or (20 <= last <= 90 and 0 < _WORDS[word] < 10)):
            current, last = current + _WORDS[word], _WORDS[word]
        else:
            return math.nan
    return total + current


def _read(match: re.Match[str]) -> Figure:
    unit = (match.group(1) or "").rstrip(".")
    raw = match.group()[: len(match.group()) - len(match.group(1) or "")].strip()
    sign = -1.0 if raw.startswith("-") else 1.0
    raw = raw.lstrip("-")
    if _GROUPED.fullmatch(raw):
        raw = re.sub(r"[ ,']", "", raw)
    elif re.fullmatch(r"\d+,\d+", raw):
        raw = raw.replace(",", ".")
    try:
        lead = match.string[max(0, match.start() - LEAD) : match.start()]
        tail = match.string[match.end() : match.end() + LEAD]
        return Figure(sign * float(raw), unit, "" if unit else _noun(match), _subject(match), lead, tail)
    except ValueError:
        return Figure(math.nan, unit)


def _subject(match: re.Match[str]) -> str:
    named = _QUANTITY.findall(match.string[: match.start()])
    return named[-1] if named else ""


def quantities(text: str) -> list[str]:
    """The quantities that a text names."""
    return _QUANTITY.findall(text)


def _noun(match: re.Match[str]) -> str:
    after = re.match(r"[ -]([a-z][a-z-]*)", match.string[match.end() :])
    return after.group(1) if after and after.group(1) not in _AFTER else ""


# ---- whether the evidence bears it out ---------------------------------------------------------------------------------------
def supported(figure: Figure, evidence: Iterable[Evidence]) -> bool:
    """Whether a number is in the evidence, after rounding to two places that matter or more."""
    if not math.isfinite(figure.value):
        return False
    return any(_bears(one, figure) for one in evidence)


def _bears(one: Evidence, figure: Figure) -> bool:
    unit = figure.unit.removesuffix("s") if len(figure.unit) > 2 else figure.unit
    if one.step is not None and not figure.noun and figure.value == one.step and (unit in ("update", "step") or _at_update(figure)):
        return True
    if not isinstance(one.value, int | float) or isinstance(one.value, bool) or not math.isfinite(one.value):
        return False
    if figure.noun and figure.noun.removesuffix("s") not in f"{one.what} {one.unit}".lower():
        return False
    if unit in ("", "nat", *_PERCENT) and figure.subject and figure.subject not in _named(one):
        return False
    value = _in_unit(one, float(one.value), unit)
    return math.isfinite(value) and _rounds(value, figure.value)


def _at_update(figure: Figure) -> bool:
    return figure.unit == "" and figure.subject in ("", "update", "step")


def _named(one: Evidence) -> str:
    """What a piece of evidence is about; updates are also called steps, and epochs rounds."""
    words = f"{one.what} {one.unit}".lower()
    return words + (" step" if "update" in words else "") + (" epoch" if "round" in words else "")


def _in_unit(one: Evidence, value: float, unit: str) -> float:
    """The evidence's value in the unit a sentence speaks of; NaN where it is of another kind."""
    own, found = one.unit.lower().removesuffix("s"), math.nan
    if unit in _PERCENT:
        share = own == "" and abs(value) <= 1 and isinstance(one.value, float)
        found = value if own in _PERCENT else 100 * value if share else math.nan
    elif unit in _TIMES:
        found = value * _TIMES[own] / _TIMES[unit] if own in _TIMES else math.nan
    elif unit in _BYTES:
        found = value * _BYTES[own] / _BYTES[unit] if own in _BYTES else math.nan
    elif unit in _MANY:
        found = value / _MANY[unit]
    elif unit in _COUNTED:
        kind = _COUNTED.get(own.split(" ")[-1], "") or next((kind for word, kind in _COUNTED.items() if word in one.what.lower()), "")
        found = value if kind == _COUNTED[unit] else math.nan
    elif unit in ("", "nat") and own not in _PERCENT and own not in _BYTES:
        found = value
    return found


def _rounds(value: float, said: float) -> bool:
    """Whether `said` is `value` rounded to two significant digits or more; whole numbers below 1,000 are not rounded."""
    if said >= 0:
        value = abs(value)
    if value == said:
        return True
    if value == int(value) and abs(value) < 1000:
        return False
    return any(math.isclose(float(f"{value:.{digits}e}"), said, rel_tol=1e-9) for digits in range(1, 12))
