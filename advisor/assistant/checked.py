"""Owns what of a model's words may be shown: whole sentences whose every number, citation and claim the evidence bears out.

Invariants: a sentence is shown whole or not at all; a doubt drops it; whatever comes in, of any size and any letters, nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from advisor.assistant import claims, figures, relations, relevance, retold
from advisor.assistant.evidence import Pack, tidy
from advisor.diagnosis.findings import Evidence

LONGEST, SHORTEST = 300, 12  # characters of a sentence
MOST = 8  # sentences
PENDING = 2_000  # characters waited for without a sentence's end
_ALLOWED = re.compile(r"[A-Za-z0-9 .,;:'\"()\[\]%/+\-“”‘’–—…!?]*")
_END = re.compile(r"[.!?…][\"'”’)\]]*(?:\s+\[[^\]\n]{0,40}\])*[.]?(?=\s|$)|\n")
_CITED = re.compile(r"[\[(]\s*((?:E\d{1,3}\s*(?:,|and|;)?\s*)+)[\])]")
_BARE = re.compile(r"\bE\s?\d+\b", re.IGNORECASE)
_SMALL_WORDS = (
    "this that these those with from into over under than then when while which were was been have has had there their they "
    "them what also very just only about after before during because since until each every some same such most more less "
    "here where both does did said says shows show shown means mean"
)
_SMALL = frozenset(_SMALL_WORDS.split())
SAID = "said before"
KNOWN_WORDS = ("fp16", "bf16", "fp32", "nf4", "int8")  # words with digits in them that are no numbers
GROUNDED = 0.5  # share of a sentence's words that the evidence must know, where it cites nothing


@dataclass
class Checked:
    """Takes a model's words as they come and gives the sentences that may be shown."""

    pack: Pack
    told: str = ""  # what stands there already, in the rules' words
    wanted: frozenset[str] = frozenset()  # words one of which must be in a sentence
    waiting: str = ""
    shown: list[str] = field(default_factory=list[str])
    dropped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])  # sentence and why, for tests and the curious
    known: int = 0  # sentences that were right, and stood there already or were not asked for
    repeats: int = 0  # sentences it wrote a second time
    _seen: set[str] = field(default_factory=set[str])

    def feed(self, piece: str) -> Iterator[str]:
        """The sentences that a piece completes and that may be shown."""
        self.waiting += piece
        while match := next((m for m in _END.finditer(self.waiting) if m.end() < len(self.waiting) or m.group() == "\n"), None):
            sentence, self.waiting = self.waiting[: match.end()], self.waiting[match.end() :]
            yield from self._judge(sentence)
        if len(self.waiting) > PENDING:
            self.dropped.append((self.waiting[:LONGEST], "no end of a sentence"))
            self.waiting = ""

    def finish(self) -> Iterator[str]:
        """What is left at the end, where it is a whole sentence."""
        rest, self.waiting = self.waiting, ""
        if rest.strip().rstrip("\"'”’)]").endswith((".", "!", "?")) or re.search(r"[.!?]\s*\[[^\]]*\]\s*$", rest):
            yield from self._judge(rest)
        elif rest.strip():
            self.dropped.append((rest[:LONGEST], "cut off"))

    def _judge(self, raw: str) -> Iterator[str]:
        sentence = re.sub(r"[ \t]+", " ", re.sub(r"[*#]+", "", raw)).strip().lstrip("-• ").strip()
        if not sentence:
            return
        why = refused(sentence, self.pack)
        text = bare(sentence)
        if sentence in self._seen:
            self.repeats += 1
        self._seen.add(sentence)
        if not why and retold.says_again(text, "\n".join([self.told, *map(bare, self.shown)])):
            why = SAID
            self.known += 1
        if not why and not relevance.is_about(text, self.wanted):
            why = "not what was asked"
            self.known += 1
        if not why and len(self.shown) >= MOST:
            why = "too much"
        if why:
            self.dropped.append((sentence[:LONGEST], why))
            return
        self.shown.append(sentence)
        yield sentence


def refused(sentence: str, pack: Pack) -> str:
    """Why a sentence may not be shown; an empty string where it may."""
    if not SHORTEST <= len(sentence) <= LONGEST:
        return "too long or too short"
    if not _ALLOWED.fullmatch(sentence):
        return "letters or signs that do not belong there"
    named, text, wrong = _citations(sentence, pack)
    if wrong:
        return wrong
    if _nonsense(text):
        return "no sentence"
    rows = [row for row in pack.rows if row.name in named]
    ground = [row.evidence for row in rows] if rows and not claims.advises(text) else _ways(pack)
    known = [word for word in KNOWN_WORDS if word in pack.text.lower()]
    named_so = [(one.value, one.noun) for cause in pack.causes for one in figures.figures(tidy(cause))]  # “two different answers”
    said = [one for one in figures.figures(text, known) if rows or (one.value, one.noun) not in named_so]
    if not all(figures.supported(figure, ground) for figure in said):
        return "a number the evidence does not bear out"
    return claims.objection(text, pack, rows) or _ungrounded(text, pack, cited=bool(named)) or relations.objection(text, said, pack, rows)


def bare(sentence: str) -> str:
    """A sentence as a person reads it: without the names of the rows it rests on, which were there to be checked."""
    return re.sub(r"\s+([.,;!?])", r"\1", " ".join(_CITED.sub("", sentence).split()))


def _ways(pack: Pack) -> list[Evidence]:
    """The numbers of the vetted ways out: all that advice, and a sentence that cites nothing, may name."""
    return [
        Evidence(what=name.replace("_", " "), value=value) for way in pack.ways for name, value in way.settings.items() if _plain(value)
    ]


def _plain(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _citations(sentence: str, pack: Pack) -> tuple[set[str], str, str]:
    """The rows a sentence cites, the sentence without its citations, and what is wrong with them."""
    named: set[str] = set()
    for match in _CITED.finditer(sentence):
        named |= set(re.findall(r"E\d+", match.group(1)))
    text = _CITED.sub("", sentence)
    if any(pack.row(name) is None for name in named):
        return named, text, "cites evidence that does not exist"
    if _BARE.search(text):
        return named, text, "a citation in the wrong form"
    if re.search(r"[\[\]]", text):
        return named, text, "brackets that are no citation"
    return named, bare(sentence), ""


def _nonsense(text: str) -> bool:
    words = re.findall(r"[A-Za-z'-]+", text)
    letters = sum(c.isalpha() or c == " " for c in text)
    lone = re.search(r"(?:\b[A-Za-z]\b[\s.,-]*){3,}", text)
    repeated = len(words) >= 6 and len({w.lower() for w in words}) < len(words) / 2
    roman = re.search(r"\b(?:[IVXLCDM]{2,}|[VXLCDM])\b|[a-z][A-Z]|[A-Z]{2,}[a-z]", text)
    endless = any(len(word) > 25 for word in words)
    return len(words) < 3 or letters < 0.6 * len(text) or bool(lone or roman) or repeated or endless or not text[:1].isalnum()


def _ungrounded(text: str, pack: Pack, *, cited: bool) -> str:
    """A sentence speaks of what the evidence speaks of."""
    words = [claims.stem(w) for w in re.findall(r"[a-z][a-z-]{3,}", text.lower()) if w not in _SMALL]
    known = claims.words_of(pack)
    share = sum(word in known for word in words) / len(words) if words else 0.0
    return "" if share >= (GROUNDED / 2 if cited else GROUNDED) else "speaks of something else than the evidence"
