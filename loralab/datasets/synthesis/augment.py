"""Owns making a small set larger without a writer: the same questions as other people would type them. Off unless a person asks for it.

Invariants: the answer is never touched; only rows to learn from are varied; the same seed gives the same rows; each says what it is made
of.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.rows import TEST, MadeRow, with_id

WRITER = "no one: a rule"
_NEAR = {
    "a": "sq",
    "e": "wr",
    "i": "uo",
    "o": "ip",
    "u": "yi",
    "n": "bm",
    "m": "n",
    "t": "ry",
    "r": "et",
    "s": "ad",
    "l": "k",
    "c": "xv",
    "d": "sf",
}
_FORMS = (
    (
        re.compile(r"^What (is|are) (.+)\?$"),
        ("Can you tell me what {1} {0}?", "Tell me what {1} {0}.", "I would like to know what {1} {0}.", "{1}?"),
    ),
    (re.compile(r"^How (?:do|can) I (.+)\?$"), ("How to {0}?", "What do I have to do to {0}?", "Please tell me how to {0}.")),
    (re.compile(r"^(?:Can|Could) you (.+)\?$"), ("Please {0}.", "Would you {0}?")),
    (re.compile(r"^Please (.+)\.$"), ("Could you {0}?", "I would like you to {0}.")),
    (re.compile(r"^(When|Where|Why|Who) (.+)\?$"), ("Do you know: {0} {1}?", "One question: {0} {1}?")),
)

Variation = Callable[[str, random.Random, dict[str, list[str]]], str]


def _typos(text: str, chance: random.Random, _known: dict[str, list[str]]) -> str:
    """One slip of the finger in a longer word: two letters swapped, one doubled, left out, or its neighbour on the keyboard."""
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    at = chance.choice(long)
    word, place = words[at], chance.randrange(1, len(words[at]) - 1)
    slip = chance.randrange(4)
    near = chance.choice(_NEAR.get(word[place].lower(), word[place]))
    words[at] = (
        word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        if slip == 0
        else word[:place] + word[place] * 2 + word[place + 1 :]
        if slip == 1
        else word[:place] + word[place + 1 :]
        if slip == 2
        else word[:place] + near + word[place + 1 :]
    )
    return " ".join(words)


def _casing(text: str, chance: random.Random, _known: dict[str, list[str]]) -> str:
    return chance.choice((text.lower(), text[:1].lower() + text[1:], text.upper() if len(text) < 40 else text.lower()))


def _punctuation(text: str, chance: random.Random, _known: dict[str, list[str]]) -> str:
    bare = text.rstrip("?!. ")
    return chance.choice((bare, f"{bare}??" if text.endswith("?") else f"{bare} ...", re.sub(r"[,;:]", "", text)))


def _synonyms(text: str, chance: random.Random, known: dict[str, list[str]]) -> str:
    words = text.split(" ")
    usable = [at for at, word in enumerate(words) if word.strip("?.,!").casefold() in known]
    if not usable:
        return text
    at = chance.choice(usable)
    bare = words[at].strip("?.,!")
    words[at] = words[at].replace(bare, chance.choice(known[bare.casefold()]))
    return " ".join(words)


def _question_forms(text: str, chance: random.Random, _known: dict[str, list[str]]) -> str:
    for pattern, forms in _FORMS:
        if found := pattern.match(text):
            parts = [part if at or not part[:1].isupper() else part.lower() for at, part in enumerate(found.groups())]
            said = chance.choice(forms).format(*parts)
            return said[:1].upper() + said[1:]
    return text


AUGMENTATIONS: dict[str, Variation] = {
    "typos": _typos,
    "casing": _casing,
    "punctuation": _punctuation,
    "synonyms": _synonyms,
    "question_forms": _question_forms,
}


def interchangeable(rows: Sequence[MadeRow]) -> dict[str, list[str]]:
    """Words that the person's own rows use for each other: two questions with one answer that differ in a single word."""
    by_answer: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        if row.origin != "synthetic":
            by_answer[normalised(row.answer)].append(normalised(row.question).split())
    found: dict[str, set[str]] = defaultdict(set)
    for questions in by_answer.values():
        frames: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for words in questions[:200]:
            for at, word in enumerate(words):
                if word.isalpha() and len(word) > 3:
                    frames[(*words[:at], "_", *words[at + 1 :])].add(word)
        for fillers in frames.values():
            for word in fillers if 1 < len(fillers) < 6 else ():
                found[word] |= fillers - {word}
    return {word: sorted(others) for word, others in found.items()}


def augmented(rows: Sequence[MadeRow], kinds: Sequence[str], most: int = 1, seed: int = 0) -> list[MadeRow]:
    """At most `most` new rows for each row that people wrote or a document says; a variation that changes nothing makes none."""
    known = interchangeable(rows)
    seen = {row.question for row in rows}
    made: list[MadeRow] = []
    for row in (one for one in rows if one.split != TEST and one.origin != "synthetic"):
        chance = random.Random(f"{seed} {row.id} {row.question}")
        order = list(kinds)
        chance.shuffle(order)
        left = most
        for kind in order:
            said = AUGMENTATIONS[kind](row.question, chance, known)
            if left and said and said not in seen:
                seen.add(said)
                left -= 1
                fresh = {
                    "question": said,
                    "origin": "synthetic",
                    "kind": kind,
                    "writer": WRITER,
                    "seeds": (row.id,),
                    "id": "",
                    "edited": False,
                }
                made.append(with_id(row.model_copy(update=fresh)).model_copy(update={"id": f"{row.id}-{kind}"}))
    return made
