"""Owns how a caption becomes numbers: hashed pieces of its words (Bojanowski et al. 2017, arXiv 1607.04606), without a table of words.

Invariant: the same caption gives the same numbers on every machine and in every version: the hash is CRC-32 of UTF-8.
"""

from __future__ import annotations

import re
import unicodedata
import zlib

PIECES = 6144  # rows of the table: 0 is “nothing”
WORDS = 12  # of a caption that are read
PER_WORD = 10  # pieces of a word that are read besides the word itself

_WORD = re.compile(r"[^\W_]+", re.UNICODE)


def words_of(caption: str) -> list[str]:
    """The words that are read of a caption, in small letters."""
    return _WORD.findall(unicodedata.normalize("NFKC", caption).casefold())[:WORDS]


def pieces_of(caption: str) -> list[list[int]]:
    """For each of WORDS places the rows of its word's pieces; [0] where no word is.

    The word as a whole comes three times, so that it outweighs every three of its letters.
    """
    found = [[_row(f"={word}")] * 3 + [_row(f"<{word}>"[i : i + 3]) for i in range(len(word))][:PER_WORD] for word in words_of(caption)]
    return found + [[0]] * (WORDS - len(found))


def _row(piece: str) -> int:
    return 1 + zlib.crc32(piece.encode()) % (PIECES - 1)
