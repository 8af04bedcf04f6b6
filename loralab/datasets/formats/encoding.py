"""Owns the step from bytes to text. Invariant: UTF-8 first, a guess only where UTF-8 is impossible, and binary data is refused.

Order: byte-order mark, UTF-16 without a mark (zero bytes in a pattern), UTF-8, Chinese double bytes, the rest by charset-normalizer.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from loralab.core.errors import UserError

_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHERS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1256", "koi8_r", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5"]
_DOUBLE = ("big5", "gb18030", "shift_jis", "euc_kr", "euc_jp")  # two bytes per letter: never sprinkled over ASCII
_SAMPLE = 65536
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1c\x1d\x1f\x7f]")  # \x1e stands between records of JSON
_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")  # of UTF-8, beyond ASCII
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]|[\x80-\xff]")


@dataclass(frozen=True)
class Decoded:
    """Text with Unix line ends, and the name of the encoding it came in."""

    text: str
    encoding: str


def decode(raw: bytes, name: str = "The file") -> Decoded:
    """Text of `raw` with carriage returns turned into line feeds. Raises UserError for data that is not text."""
    encoding, body = _find(raw)
    if not encoding:
        raise _not_text(name)
    text = body.decode(encoding, errors="replace").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    head = text[:_SAMPLE]
    if len(_CONTROL.findall(head)) > max(2, len(head) // 100):
        raise _not_text(name)
    return Decoded(text, encoding)


def _not_text(name: str) -> UserError:
    known = ".txt, .md, .html, .docx, .odt, .rtf, .pdf, .epub, .csv, .tsv, .xlsx, .xls, .ods, .json, .jsonl or .parquet"
    todo = f"Choose a {known} file, or a zip of them."
    return UserError(f"{name} is not a text file.", todo, code="not_text")


def _find(raw: bytes) -> tuple[str, bytes]:
    """Encoding and the bytes after the mark; an empty name where the bytes are no text."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return name, raw[len(mark) :]
    zeros = raw[:_SAMPLE].count(0)
    dirt = zeros * 50 < min(len(raw), _SAMPLE)  # a few are dirt in a text: they are taken out
    if zeros and not (dirt and (_is(raw, "utf-8") or _nearly_utf8(raw))):
        return _wide(raw), raw
    if _is(raw, "utf-8") or _nearly_utf8(raw):
        return "utf-8", raw
    return _chinese(raw) or _western_or_other(raw), raw


def _is(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _wide(raw: bytes) -> str:
    """UTF-16 without a mark: zeros of line ends, spaces and Latin letters stand on one side of each pair only."""
    head = raw[: _SAMPLE - _SAMPLE % 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < 4 * min(even, odd) or len(raw) % 2:
        return ""
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    return encoding if _is(raw, encoding) else ""


def _nearly_utf8(raw: bytes) -> bool:
    """A file cut in the middle of a letter or with a few broken bytes is still UTF-8: in other encodings letters of it are rare."""
    damaged = raw[: 8 * _SAMPLE].decode("utf-8", errors="replace").count("\ufffd")
    good = len(_LETTER.findall(raw[: 8 * _SAMPLE]))
    return good >= 3 and damaged * 4 <= good


def _chinese(raw: bytes) -> str:
    """Big5 and GB by where their everyday characters lie: lead bytes A4-C6 (Big5), B0-D7 with a high second byte (GB 2312).

    Western letters stand alone between ASCII, mostly with byte values above these ranges or before a blank, so they do not qualify.
    """
    pairs = _PAIR.findall(raw[: 4 * _SAMPLE])
    if not pairs:
        return ""
    signs = sum(1 for pair in pairs if len(pair) == 2 and 0xA1 <= pair[0] <= 0xA3)
    big5 = sum(1 for pair in pairs if len(pair) == 2 and 0xA4 <= pair[0] <= 0xC6 and not 0x80 <= pair[1] <= 0xA0)
    gb = sum(1 for pair in pairs if len(pair) == 2 and 0xB0 <= pair[0] <= 0xD7 and pair[1] >= 0xA1)
    if big5 >= gb and big5 + signs >= 0.9 * len(pairs) and big5 > signs:
        for name in ("big5", "cp950", "big5hkscs"):
            if _is(raw, name):
                return name
    if gb > big5 and gb + signs >= 0.9 * len(pairs) and _is(raw, "gb18030") and _hangul_or_kana(raw) < 0.3:
        return "gb18030"
    return ""


def _hangul_or_kana(raw: bytes) -> float:
    """Share of non-ASCII characters that are Korean or Japanese letters when read as such: EUC-KR and EUC-JP share GB's byte ranges."""
    shares = [0.0]
    for name, low, high in (("euc_kr", "\uac00", "\ud7a3"), ("euc_jp", "\u3040", "\u30ff")):
        if _is(raw, name):
            letters = [char for char in raw[:_SAMPLE].decode(name, errors="ignore") if char > "\x7f"]
            shares.append(sum(low <= char <= high for char in letters) / max(1, len(letters)))
    return max(shares)


def _western_or_other(raw: bytes) -> str:
    """Windows-1252 or Latin-1 when accented letters are sprinkled over ASCII; else what charset-normalizer finds most coherent."""
    western = "latin-1"
    if re.search(rb"[\x80-\x9f]", raw) and _is(raw, "cp1252"):
        western = "cp1252"
    lines = b"\n".join(line for line in raw[: 16 * _SAMPLE].splitlines() if re.search(rb"[\x80-\xff]", line))[:16384]
    letters = len(re.findall(rb"[A-Za-z]", lines))
    high = len(re.findall(rb"[\x80-\xff]", lines))
    if high < 30 and high * 2 < letters:
        return western  # too little to tell Polish from French: take the commoner
    from charset_normalizer import from_bytes

    matches = from_bytes(lines, cp_isolation=_OTHERS)
    best = matches.best()
    as_western = max((match.coherence for match in matches if match.encoding == "cp1252"), default=-1.0)
    if best is None or (best.encoding in ("cp1250", "cp1254") and as_western >= best.coherence):
        return western
    if best.encoding == "cp1252" or (high * 4 < letters and best.encoding in _DOUBLE):
        return western
    return best.encoding if _is(raw, best.encoding) else western
