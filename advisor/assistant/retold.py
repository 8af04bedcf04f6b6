"""Owns whether a sentence without numbers retells what the rules found: its words, their order, its denials, and its reasons.

Invariant: a reason is one that the rules found; nobody is praised, and nothing judged, that the rules did not judge.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from advisor.assistant import claims
from advisor.assistant.evidence import Pack

KNOWN = 0.8  # share of a sentence's words that the line it retells must hold
AGAIN = 0.65  # share of its words from which a sentence with the same numbers says nothing new
NAMED = 0.5  # share of a line's words that a sentence retelling it must hold

# One word for what can be called differently, the two ends of a run above all
_SAME: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        (r"at (?:the )?(?:very )?(?:start|beginning|outset)|in the beginning|initial(?:ly)?|at first|originally", "before"),
        (r"start(?:ed|ing) (?:at|with|from)", "before"),
        (r"at (?:the )?(?:very )?end|in the end|final(?:ly)?|end(?:ed|ing) (?:at|with|up)|afterwards|by the end|now|last", "after"),
        (r"best|minimum|smallest", "lowest"),
        (r"steps?", "updates"),
        (r"epochs?", "rounds"),
        (r"lasted|lasts?|duration", "time"),
        (r"heldout|held out", "held-out"),
        (r"makes?|making", "made"),
    )
)
_SMALL_WORDS = (
    "the and for was were has had have with from into that this these those then than which while when during run runs training trained "
    "train model number value came come went took take takes because since your its their his our are been being over about"
)
_SMALL = frozenset(_SMALL_WORDS.split())
_CLAUSE = re.compile(r"[,;:]|\b(?:because|and|so|but|which|since|as)\b")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|neither|nor|without|cannot|hardly|barely|\w+n't|avoid\w*|instead|rather|unlike|except)\b"
)
_CAUSAL = re.compile(
    r"\b(?:because(?: of)?|due to|caused by|as a result(?: of)?|thanks to|owing to|since|therefore|thus|hence|so that|led to|leads to|"
    r"resulted in|which means|means that|reasons?|why|explains?|causes?|caused)\b"
)
_TURNED = re.compile(r"\b(?:therefore|thus|hence|so that|led to|leads to|resulted in|which means|means that|caused|causes)\b(?! by)")
_JUDGING = re.compile(
    r"\b(?:too|very|quite|extremely|high|low|large|small|big|slow|fast|normal|usual|typical|ideal|optimal|appropriate|sufficient\w*|enough|"
    r"adequate\w*|acceptable|reasonabl[ey]|significant\w*|substantial\w*|slight\w*|dramatic\w*|sharp\w*|considerabl[ey]|huge|tiny|massive\w*|"
    r"consistent\w*|steadi?ly|constant\w*|expected|unexpected\w*|surprising\w*|important\w*|crucial|key|correct\w*|accurate\w*)\b"
)
_PRAISE = re.compile(
    r"\b(?:great\w*|excellent\w*|amazing\w*|impressive\w*|fantastic|wonderful\w*|awesome|brilliant\w*|outstanding|remarkabl[ey]|congrat\w*|"
    r"well done|good (?:job|work|news)|happy|glad|proud|nice\w*|superb|terrific|promising|encouraging)\b"
)


def judged(text: str, ground: str) -> str:
    """Why a sentence's judgement may not be shown; `ground` is what it may repeat."""
    if _PRAISE.search(text):
        return "praises"
    word = next((m.group() for m in _JUDGING.finditer(text) if m.group() not in ground), "")
    return f"judges ({word}) what the rules did not judge" if word else ""


def retold(text: str, pack: Pack) -> str:
    """What cites no number retells one line of what the rules found: its words in its order, and neither more nor fewer denials."""
    own, found = words(text), pack.found.lower()
    lines = [(line, held) for line in found.splitlines() if (held := words(line.partition(":")[2]))]
    told = [(both / len(held) + both / max(1, len(own)), both / len(held), line) for line, held in lines if (both := len(own & held))]
    _, covered, best = max(told, default=(0.0, 0.0, ""))
    if covered < NAMED or len(own & words(found)) < KNOWN * len(own):
        return "retells nothing of what the rules found"
    if bool(NEGATION.search(text)) != bool(NEGATION.search(best)):
        return "says the opposite of what the rules found"
    return "" if all(_in_order(part, best) for part in _CLAUSE.split(text)) else "turns the words of what the rules found round"


def _in_order(part: str, line: str) -> bool:
    """Whether the words that a clause shares with a line stand in the line's order: who does what to whom is told by nothing else."""
    first, second = ([word for word in sequence(text) if word in words(other)] for text, other in ((part, line), (line, part)))
    same = sum(block.size for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks())
    return same > KNOWN * len(first) or len(first) < 2


def because(text: str, pack: Pack) -> str:
    """Why a sentence's reason may not be shown: it is not one that the rules found, or not the reason of this."""
    match = _CAUSAL.search(text)
    if not match:
        return ""
    causes = words(" ".join(cause.partition(":")[0] for cause in pack.causes).lower())  # “what it was: what came of it”
    before, after = text[: match.start()], text[match.end() :]
    reason, result = (before, after) if _TURNED.match(match.group()) else (after, before)
    named = words(reason)
    if not causes or not named or len(named & causes) < KNOWN * len(named):
        return "gives a reason that the rules did not find"
    told = words(result) - words("it this run stopped ended failed")
    if told and len(told & words(pack.found.lower())) < KNOWN * len(told):
        return "gives a reason for something else than the rules did"
    return ""


def says_again(text: str, told: str) -> bool:
    """Whether one sentence of what was told already holds every number of this one, however rounded, and its words."""
    own, numbers = words(text), _NUMBER.findall(text)
    for one in re.split(r"(?<=[.!?])\s+|\n", told):
        held, there = words(one), _NUMBER.findall(one)
        if len(own & held) >= (AGAIN if numbers else 1) * len(own) and all(any(_rounded(n, other) for other in there) for n in numbers):
            return True
    return not own


def _rounded(one: str, other: str) -> bool:
    """Whether two numbers are the same but for rounding."""
    first, second = (float(text.replace(",", "")) for text in (one, other))
    return abs(first - second) <= 0.005 * max(abs(first), abs(second), 1.0)


# ---- words -------------------------------------------------------------------------------------------------------------------
def plain(text: str) -> str:
    """Lower case, with one word for what can be called differently."""
    text = text.lower()
    for pattern, word in _SAME:
        text = pattern.sub(word, text)
    return text


def words(text: str) -> set[str]:
    """The words that carry meaning, without their endings."""
    return set(sequence(text))


def sequence(text: str) -> list[str]:
    """The same in their order."""
    return [claims.stem(word) for word in re.findall(r"[a-z][a-z-]{2,}", plain(text)) if word not in _SMALL]
