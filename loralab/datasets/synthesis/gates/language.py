"""Another language than the rest, where nobody asked for one. What a document says is in its own language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loralab.datasets.synthesis.gates import Gate, Yard
from loralab.datasets.synthesis.rows import MadeRow

FEWEST = 40  # letters, or nothing is said
SURE, MAJORITY = 5.0, 0.6  # nats by which the language is likelier than the next; share of the rows
ASKED_FOR = "language"  # the form in which a writer was asked for another one


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """Rows that are surely in another language than most, or than what was asked for."""
    spoken = [_language(row) for row in rows]
    known = Counter(language for language, _ in spoken if language)
    wanted = yard.language or (known.most_common(1)[0][0] if known else "")
    if not wanted or (not yard.language and known[wanted] < MAJORITY * known.total()):
        return {}
    return {
        place: f"It is in another language ({language}) than the rest ({wanted})."
        for place, (language, sure) in enumerate(spoken)
        if language
        and language != wanted
        and sure >= SURE
        and rows[place].kind != ASKED_FOR
        and (yard.language or rows[place].origin != "extracted")
    }


def _language(row: MadeRow) -> tuple[str, float]:
    text = row.answer if sum(map(str.isalpha, row.answer)) >= FEWEST else f"{row.question} {row.answer}"
    if sum(map(str.isalpha, text)) < FEWEST:
        return "", 0.0
    from py3langid import rank

    (language, best), (_, second) = rank(text)[:2]
    return str(language), float(best - second)


GATE = Gate("Language", 50, judge)
