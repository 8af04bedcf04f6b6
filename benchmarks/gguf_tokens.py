"""Tokenizers made from GGUF files against llama.cpp's own, on many texts: `python benchmarks/gguf_tokens.py FILE.gguf [COUNT]`.

The texts are lines and pieces of what is in this checkout (prose, tables, code, several languages) and as many random ones: scripts,
digits, white space, emoji, control characters, words glued together. Prints how many were split alike, and the first that were not.
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer

from loralab.core.paths import CHECKOUT
from loralab.models.gguf import header, tokenizer
from loralab.runtimes.llama.parent import LlamaCpp

_SCRIPTS = [
    *((0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x620, 0x64A), (0x905, 0x939), (0x3041, 0x3096)),
    *((0x4E00, 0x4FFF), (0xAC00, 0xACFF), (0x1F300, 0x1F64F), (0x2000, 0x206F), (0x660, 0x669), (0x2150, 0x218B)),
]
_PARTS = [
    *(" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n ", "'s", "'LL", "don't", "I've", "123", "1,234.5", "2026-11-30", "...", "?!"),
    *("(", '"', "_", "the", "The", "ING", "straße", "naïve", "日本", "e\u0301", "\u00a0", "http://a.b/c?d=e", "x=y+1;", "\u200d", "½", "٣"),
]


def texts(count: int) -> list[str]:
    """Half from files of this checkout, half made up; the same every time."""
    dice = random.Random(7)
    lines: list[str] = []
    for path in sorted(p for room in ("data", "docs", "loralab", "ui") for p in (CHECKOUT / room).rglob("*")):
        if path.suffix in {".md", ".py", ".csv", ".jsonl", ".txt", ".json", ".jinja", ".js", ".css"} and path.name != "tokenizer.json":
            lines += [line for line in path.read_text("utf-8", "replace").splitlines(keepends=True) if line.strip()]
    real = ["".join(lines[at : at + dice.randint(1, 3)])[:600] for at in dice.sample(range(len(lines)), count // 2)]
    return real + [_made(dice) for _ in range(count - len(real))]


def _made(dice: random.Random) -> str:
    parts: list[str] = []
    for _ in range(dice.randint(1, 25)):
        low, high = dice.choice(_SCRIPTS)
        word = "".join(chr(dice.randint(low, high)) for _ in range(dice.randint(1, 6)))
        parts.append(dice.choice([word, dice.choice(_PARTS), dice.choice(_PARTS)]))
    return "".join(parts)


def main() -> None:
    """Compare and print."""
    path, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with TemporaryDirectory() as folder, closing(LlamaCpp(path, context=64)) as runtime:
        made = Path(folder) / "tokenizer.json"
        made.write_text(json.dumps(tokenizer.described(header.read(path))), "utf-8")
        ours = Tokenizer.from_file(str(made))
        tried = texts(count)
        apart = [text for text in tried if runtime.tokenize(text, added=False) != ours.encode(text, add_special_tokens=False).ids]
    for text in apart[:10]:
        sys.stdout.write(f"  differs: {text!r}\n")
    sys.stdout.write(f"{path.name}: {len(tried) - len(apart)} of {len(tried)} texts split alike\n")


if __name__ == "__main__":
    main()
