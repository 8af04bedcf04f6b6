"""Owns what names of files and folders say: parts of a data set, stems, and which file another one means.

Invariant: a name is matched whatever its case, its spelling of accents and its slashes; where it could mean two files it means none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import PurePosixPath

LEARN, WATCH, HELDOUT = "learn", "watch", "heldout"
_SIDES = {
    **dict.fromkeys(("train", "training", "trainset", "tr", "learn", "traindata", "trainingdata", "trainingset"), LEARN),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset", "validationset", "devset", "vl"), WATCH),
    **dict.fromkeys(("test", "testing", "testset", "ts", "heldout", "holdout", "testdata", "eval", "evaluation"), HELDOUT),
}
_TYPED = frozenset(("train", "training", "test", "testing", "valid", "validation"))  # words of which no slip is a word
_LONG = 8  # letters of a word from which on another one is hardly one letter away
_BARE = re.compile(r"[\W_]+|(?<=\D)20\d\d$")  # train2017


def plain(name: str) -> str:
    """A name as it is compared: NFC, lower case, forward slashes, no ./ before it."""
    return unicodedata.normalize("NFC", name).replace("\\", "/").casefold().strip().removeprefix("./").strip("/")


def stem(name: str) -> str:
    """The last part of a name without its ending, as it is compared."""
    return PurePosixPath(plain(name)).stem


def side_of(word: str) -> str:
    """“learn”, “watch” or “heldout” where a single word, like a folder's name, says so; else nothing. Two letters may be exchanged."""
    bare = _BARE.sub("", plain(word))
    return _SIDES.get(bare, "") or _SIDES.get(meant(bare), "")


def meant(word: str) -> str:
    """The part of a data set that a word means in which a slip was made, as in “trian”; nothing where it is none."""
    return slip_of(word, _TYPED)


@lru_cache(maxsize=8192)
def slip_of(word: str, known: frozenset[str]) -> str:
    """The known word that this is but for a slip: two letters exchanged, or in long words one too many or too few; else nothing."""
    if word in known:
        return ""
    near = (one for one in sorted(known) if abs(len(one) - len(word)) <= 1 and min(len(one), len(word)) >= 4)
    return next((one for one in near if is_slip(one, word) and (len(one) == len(word) or len(one) >= _LONG)), "")


def is_slip(one: str, other: str) -> bool:
    """Whether two names differ as by a slip: two neighbours exchanged, or one letter too many that is not the first."""
    if len(one) == len(other):
        differing = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        first = differing[0] if differing else 0
        return len(differing) == 2 and differing[1] == first + 1 and one[first : first + 2] == other[first : first + 2][::-1]
    short, long = sorted((one, other), key=len)
    return any(long[:at] + long[at + 1 :] == short and long[at].isalpha() for at in range(1, len(long)))


def side_in(name: str) -> str:
    """What the folders on the way to a file say of its side."""
    return next((side for folder in reversed(PurePosixPath(name).parts[:-1]) if (side := side_of(folder))), "")


def side_at_end(name: str) -> str:
    """What a file's own name says of its side: instances_val2017.json, train.txt, labels-test.csv; else what its folders say."""
    words = re.split(r"[-_. ]+", PurePosixPath(name).stem)
    return next((side for word in reversed(words) if (side := side_of(word))), "") or side_in(name)


def folders_of(name: str) -> tuple[str, ...]:
    """The folders on the way to a file."""
    return PurePosixPath(name).parts[:-1]


def in_order(names: Iterable[str]) -> list[str]:
    """Names as a person would put them in order: 2 before 10."""
    return sorted(names, key=lambda name: [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in _pieces(name)])


def _pieces(name: str) -> list[str]:
    return [piece for piece in re.split(r"([0-9]+)", name.casefold()) if piece]


class Index:
    """Finds the file that a list of labels means."""

    def __init__(self, names: Sequence[str]) -> None:
        self._whole = {plain(name): name for name in names}
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            self._by_name.setdefault(PurePosixPath(plain(name)).name, []).append(name)
            self._by_stem.setdefault(stem(name), []).append(name)

    def find(self, wanted: str, near: str = "") -> str | None:
        """The file of this name: from the folder of `near` on, from the top, or the only one that ends so; its ending may be missing."""
        asked = plain(wanted)
        if not asked:
            return None
        base = plain(near).rpartition("/")[0]
        for whole in (f"{base}/{asked}" if base else asked, asked):
            if whole in self._whole:
                return self._whole[whole]
        last = PurePosixPath(asked).name
        for known in (self._by_name.get(last, ()), self._by_stem.get(last, ()), self._by_stem.get(stem(asked), ())):
            if found := self._closest(known, asked, near):
                return found
        return None

    def known(self, wanted: str) -> bool:
        """Whether at least one file is called so."""
        last = PurePosixPath(plain(wanted)).name
        return bool(last) and (last in self._by_name or bool({last, stem(last)} & self._by_stem.keys()))

    def _closest(self, known: Sequence[str], asked: str, near: str) -> str | None:
        """The one that lies most on the way that was asked for, else on the side of `near`."""
        if len(known) <= 1:
            return next(iter(known), None)
        way = set(PurePosixPath(asked).parts[:-1])
        ranked = sorted(known, key=lambda name: (-len(way & set(folders_of(plain(name)))), side_in(name) != side_at_end(near)))
        best = [self._rank(name, way, near) for name in ranked[:2]]
        return ranked[0] if best[0] != best[1] else None

    @staticmethod
    def _rank(name: str, way: set[str], near: str) -> tuple[int, bool]:
        return len(way & set(folders_of(plain(name)))), side_in(name) == side_at_end(near)
