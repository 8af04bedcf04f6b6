"""A language model's own sentences: each is shown whole, and only where every number in it is in the run's evidence.

Invariants: what looks like a number and cannot be read with certainty counts as not in the evidence; whatever comes in, nothing is raised.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from advisor.assistant.evidence import EvidencePack

MIN_LETTERS, MAX_LETTERS, MAX_SENTENCES = 12, 300, 8
MAX_PENDING = 2_000  # letters waited for without a sentence's end
_END = re.compile(r"[.!?…][\"'”’)]*(?=\s)|\n")
_MARKUP = re.compile(r"[<>{}\[\]`|\\]|https?:|www\.")
_KINDS: dict[str, tuple[tuple[str, float], ...]] = {
    "share": (("%", 0.01), ("per cent", 0.01), ("percent", 0.01)),
    "time": (("seconds", 1), ("second", 1), ("minutes", 60), ("minute", 60), ("hours", 3600), ("hour", 3600), ("s", 1), ("h", 3600)),
    "size": (("bytes", 1), ("kb", 1e3), ("mb", 1e6), ("gb", 1e9)),
}
_UNITS = {unit: (kind, factor) for kind, units in _KINDS.items() for unit, factor in units}
_NUMBER = re.compile(
    r"(?<![^\s\"'“‘(])(-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
    rf"(?:[ -]?({'|'.join(map(re.escape, _UNITS))}))?(?=[.,;:!?…)\"'”’]*(?:\s|$))"
)
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORD = re.compile(rf"\b({'|'.join(_ONES)})\b")
# Amounts that are never in the evidence: parts, multiples, the numbers of other tongues; and larger ones, also inside another word
_AMOUNT = re.compile(
    r"\b(half|halves?|halved|third|quarter|fifth|tenth|doubled?|tripled?|tens|\w*fold|\w*tieth|eins|zwei|drei|vier|f(?:ü|ue)nf|sechs|sieben|"
    r"acht|neun|zehn|elf|zw(?:ö|oe)lf|zwanzig|hundert|tausend|halb|doppelt|deux|trois|quatre|cinq|sept|huit|neuf|dix|vingt|cent|mille|uno|dos|"
    r"tres|cuatro|cinco|seis|siete|ocho|nueve|diez|veinte|cien|mil|due|tre|quattro|cinque|sei|sette|otto|nove|dieci|venti)s?\b|three|seven|"
    r"eleven|twelve|dozen|twice|thrice|(?:thir|fou?r|fif|six|eigh|nine|twen)t(?:een|y)|hundred|thousand|illion"
)
_ROMAN = re.compile(r"(?<![A-Z])[IVXLCDM]{2,}(?![A-Z])")


def is_supported(sentence: str, pack: EvidencePack) -> bool:
    """Whether every number in a sentence, in digits or in words, is in the evidence."""
    if _ROMAN.search(sentence) or any(not c.isascii() and unicodedata.numeric(c, None) is not None for c in sentence):
        return False
    text, values = sentence.lower(), list(_values(pack))
    for word in re.findall(r"\S*\d\S*", f"{pack.found} fp16 bf16 fp32".lower()):  # as the rules wrote it, such as “bf16”
        word = word.strip(".,;:()")  # noqa: PLW2901
        text = re.sub(rf"(?<![\w.,-]){re.escape(word)}(?![\w%]|[.,]\d)", " ", text) if not _NUMBER.fullmatch(word) else text
    numbers = [(float(match[1].replace(",", "")), *_UNITS.get(match[2] or "", ("", 1.0))) for match in _NUMBER.finditer(text)]
    rest = _NUMBER.sub(" ", text)
    if any(character.isnumeric() for character in rest) or _AMOUNT.search(_WORD.sub(" ", rest)):
        return False
    numbers += [(float(_ONES.index(word)), "", 1.0) for word in _WORD.findall(rest)]
    return all(any(_rounds_to(value, number, kind, factor, own) for value, own in values) for number, kind, factor in numbers)


def _values(pack: EvidencePack) -> Iterator[tuple[float, str]]:
    """The numbers of the evidence, each with its kind."""
    for row in pack.rows:
        if isinstance(row.value, int | float) and math.isfinite(row.value):
            unit = row.unit.lower()
            kind, factor = _UNITS.get(unit, ("share" if not unit and isinstance(row.value, float) and abs(row.value) <= 1 else "", 1.0))
            yield row.value * factor, kind
        if row.step is not None:
            yield float(row.step), ""
    for way in pack.ways:
        yield from ((float(value), "") for value in way.settings.values() if type(value) in (int, float))


def _rounds_to(value: float, said: float, kind: str, factor: float, own: str) -> bool:
    """Whether `said` is `value` rounded to two digits or more; a bare number is in the unit of the evidence."""
    if kind and kind != own:
        return False
    value /= factor
    if value == said or math.isclose(value, said, rel_tol=1e-9):
        return True
    if value.is_integer() and abs(value) < 1000:  # counts are said as they are
        return False
    return any(math.isclose(float(f"{value:.{digits}e}"), said, rel_tol=1e-9) for digits in range(1, 12))


@dataclass
class Prose:
    """Takes a model's words as they come and gives the sentences that may be shown."""

    pack: EvidencePack
    shown: list[str] = field(default_factory=list[str])
    dropped: int = 0
    _pending: str = ""

    def feed(self, words: str) -> Iterator[str]:
        """The sentences that these words complete and that may be shown."""
        self._pending += words
        while match := _END.search(self._pending):
            sentence, self._pending = self._pending[: match.end()], self._pending[match.end() :]
            yield from self._judge(sentence)
        if len(self._pending) > MAX_PENDING:
            self.dropped, self._pending = self.dropped + 1, ""

    def finish(self) -> Iterator[str]:
        """What is left at the end, where it is a whole sentence."""
        rest, self._pending = self._pending.strip(), ""
        if rest.rstrip("\"'”’)").endswith((".", "!", "?", "…")):
            yield from self._judge(rest)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is worth waiting for: enough is shown, or the model has gone astray."""
        return len(self.shown) >= MAX_SENTENCES or self.dropped >= MAX_SENTENCES

    def _judge(self, raw: str) -> Iterator[str]:
        sentence = " ".join(raw.replace("*", "").replace("#", "").split()).lstrip("-• ")
        if not sentence or sentence in self.shown or self.is_full:
            return
        whole = MIN_LETTERS <= len(sentence) <= MAX_LETTERS and sentence.isprintable() and not _MARKUP.search(sentence)
        if whole and is_supported(sentence, self.pack):
            self.shown.append(sentence)
            yield sentence
        else:
            self.dropped += 1
