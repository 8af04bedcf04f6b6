"""How a GGUF file does as a judge where the better answer is known: python -m benchmarks.judge [--judge FILE] [--pairs 40].

Pairs are made from a bundled data set: the answer that belongs to a question against one that belongs to another. Without a file the
starter is written as Q8_0 and asked.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import STARTER
from loralab.datasets.loading import load_examples
from loralab.evaluations import Answer, Answered
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.shared.second_opinion import LocalJudge
from loralab.evaluations.text.judge import compared, heard


def pairs(count: int) -> list[Answered]:
    """The right answer as the adapter's, another question's as the base's; the judge is not shown the reference."""
    examples = load_examples(TEXTS / "class_chatbot.jsonl")[0][:count]
    found = []
    for example, stranger in zip(examples, (*examples[1:], examples[0]), strict=True):
        prompt, right = asked(example)
        found.append(Answered(example, prompt, "", Answer(asked(stranger)[1], True, 1), Answer(right, True, 1, ("default",))))
    return found


def main() -> None:
    """Ask and print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--judge", default="", help="a GGUF file; without one the starter")
    parser.add_argument("--pairs", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        path = Path(options.judge) if options.judge else _starter(Path(room))
        judge = LocalJudge(path)
        begun = time.monotonic()
        rows = [compared(judge, pair) for pair in pairs(options.pairs)]
        seconds = time.monotonic() - begun
        judge.close()
    found = heard(rows, path.stem, "")
    first = sum(row["first"] == "before" for row in rows) + sum(row["second"] == "after" for row in rows)
    told = f"{len(rows)} pairs, {seconds / max(1, 2 * len(rows)):.2f} s a question, place A taken {first} of {2 * len(rows)} times"
    sys.stdout.write(f"{told}\n{found.tables['judge']['words']}\n")


def _starter(room: Path) -> Path:
    from tests.support import gguf_models

    gguf_models.written(STARTER, room / "starter-q8_0.gguf", "q8_0")
    return room / "starter-q8_0.gguf"


if __name__ == "__main__":
    main()
