"""Owns the tests of what ties answers to their questions: rare words and long numbers, never numbers that meet by chance."""

from __future__ import annotations

from loralab.core.records import Example, Message
from loralab.datasets.answer_alignment import belonging


def test_short_numbers_tie_no_answer_to_a_question() -> None:
    """Sums and numbered steps meet by chance; order numbers and names do not."""

    def talk(row: int, question: str, answer: str) -> Example:
        return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)), row=row)

    sums = [talk(row, f"What is {row * 7 + 10} + {row * 13 + 10}?", f"{row * 20 + 20}") for row in range(2000)]
    assert belonging(sums).links == 0
    orders = [talk(row, f"Where is order {100_000 + 37 * row}?", f"Order {100_000 + 37 * row} is on its way.") for row in range(50)]
    assert (belonging(orders).links, belonging(orders).own) == (50, 50)
