"""Owns rows that hold an answer that was chosen and one that was not, and rows that say of an answer whether it is wanted.

Invariant: what was not chosen is never learned by imitation, whatever its column is called and wherever it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loralab.core.records import Example, LeftOut
from loralab.datasets.account import Tally
from loralab.datasets.conversations.spoken import messages_of
from loralab.datasets.conversations.transcripts import turns as written_down
from loralab.datasets.conversations.turns import Turn, turns_of
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.readers import Row
from loralab.datasets.tables import columns as names

REJECTED = (
    *("rejected", "rejected_response", "rejected_answer", "rejected_completion", "rejected_output", "rejected_messages", "rejected_text"),
    *("response_rejected", "answer_rejected", "output_rejected", "completion_rejected", "reject", "loser", "losing", "lose", "bad"),
    *("bad_answer", "bad_response", "worse", "worse_answer", "dispreferred", "non_preferred", "unpreferred", "negative", "y_l"),
    *("wrong_answer", "incorrect_answer", "refused", "abgelehnt"),
)
CHOSEN = (
    *("chosen", "chosen_response", "chosen_answer", "chosen_completion", "chosen_output", "chosen_messages", "chosen_text"),
    *("response_chosen", "answer_chosen", "output_chosen", "completion_chosen", "selected", "accepted", "preferred", "winner", "winning"),
    *("win", "good", "good_answer", "good_response", "better", "better_answer", "positive", "y_w", "right_answer", "correct_answer"),
    *("best_answer", "gewählt"),
)
WANTED = ("label", "wanted", "is_wanted", "is_chosen", "is_preferred", "preferred", "desirable", "thumbs_up", "is_good")
_YES, _NO = frozenset(("true", "1", "yes", "good", "desirable")), frozenset(("false", "0", "no", "bad", "undesirable"))
_REJECTED = frozenset(map(names.key, REJECTED))


def is_rejected(column: str) -> bool:
    """Whether a column by its name holds what was not chosen: it is never a question, an answer or a text."""
    return names.key(column) in _REJECTED


def recognise(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """The roles of a table of preferences; None where it is none."""
    every = tuple(columns)
    rejected = names.find(REJECTED, every)
    chosen = names.find((*CHOSEN, *(names.WORDS["answer"] if rejected else ())), every, (rejected,))
    if rejected and chosen and _speaks(rows, rejected) and _speaks(rows, chosen):
        taken = (chosen, rejected)
        asked = names.find((*names.WORDS["prompt"], *names.WORDS["messages"], *names.WORDS["input"]), every, taken)
        system = names.find(names.WORDS["system"], every, (*taken, asked))
        own = {"prompt": asked, "system": system}
        if not asked and not _asks_itself(rows, chosen):
            return None
        return {**{role: column for role, column in own.items() if column}, "answer": chosen, "rejected": rejected}
    return _judged(every, rows)


def _judged(columns: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Prompt, completion, and yes or no."""
    prompt, answer = names.find(names.WORDS["prompt"], columns), names.find(names.WORDS["answer"], columns)
    wanted = names.find(WANTED, columns, (prompt, answer))
    if not (prompt and answer and wanted):
        return None
    words = {cell_text(row.get(wanted)).casefold() for row in rows} - {""}
    both = bool(words & _YES) and bool(words & _NO) and words <= _YES | _NO
    numbers = words <= {"0", "1"} and names.key(wanted) == "label"  # may as well be classes
    return {"prompt": prompt, "answer": answer, "wanted": wanted} if both and not numbers else None


def _speaks(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Most filled cells hold words or turns."""
    cells = [row[column] for row in rows if row.get(column) not in (None, "", [], {})]
    said = [cell for cell in cells if turns_of(cell) or (isinstance(cell, str) and any(char.isalpha() for char in cell))]
    return bool(cells) and 2 * len(said) >= len(cells)


def _asks_itself(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Most chosen cells hold the question, too."""
    cells = [row[column] for row in rows if row.get(column)]
    return 2 * sum(any(turn.role == "user" for turn in _turns(cell)) for cell in cells) >= len(cells)


def is_wanted(row: Row, roles: Mapping[str, str]) -> bool:
    """Whether a row that is judged may be learned from; one without a judgement is not."""
    return "wanted" not in roles or cell_text(row.values.get(roles["wanted"])).casefold() in _YES


def converted(source: str, row: Row, roles: Mapping[str, str], tally: Tally) -> Example | LeftOut:
    """The chosen answer after what was asked, with the other one beside it where both answer the same."""

    def refuse(reason: str) -> LeftOut:
        return LeftOut(row=row.number, source=source, reason=reason)

    before = _before(row, roles)
    chosen = _after(before, row.values.get(roles["answer"]))
    if chosen is None:
        return refuse(f"The chosen answer (column “{roles['answer']}”) is empty.")
    messages = messages_of(chosen, tally, pictures="pictures" in roles)
    if isinstance(messages, str):
        return refuse(messages)
    other = _after(before, row.values.get(roles["rejected"]))
    rejected = messages_of(other, Tally(), pictures="pictures" in roles) if other else ""
    if isinstance(rejected, str) or rejected[:-1] != messages[:-1] or rejected == messages:
        tally.note(("answers that were not chosen and answer something else, or say the same", ""))
        rejected = ()
    return Example(row=row.number, source=source, messages=messages, rejected=rejected)


def _before(row: Row, roles: Mapping[str, str]) -> list[Turn]:
    """What was asked."""
    asked = _turns(row.values.get(roles["prompt"]), "user") if roles.get("prompt") else []
    more = cell_text(row.values.get(roles["input"])) if roles.get("input") else ""
    if more and asked:
        asked = [*asked[:-1], Turn(asked[-1].role, f"{asked[-1].content}\n\n{more}")]
    system = cell_text(row.values.get(roles["system"])) if roles.get("system") else ""
    return [Turn("system", system), *asked] if system and not (asked and asked[0].role == "system") else asked


def _after(before: list[Turn], cell: Any) -> list[Turn] | None:
    """The whole conversation with this answer; None where there is no answer. A cell may hold the question again."""
    said = _turns(cell, "assistant")
    if not any(turn.content or turn.calls for turn in said if turn.role == "assistant"):
        return None
    if any(turn.role == "user" for turn in said):
        told = [turn for turn in before if turn.role == "system"] if said[0].role != "system" else []
        return [*told, *said]
    return [*before, *said]


def _turns(cell: Any, role: str = "assistant") -> list[Turn]:
    """Turns of a cell that holds turns, a conversation written as text, or bare words, said by `role`."""
    if found := turns_of(cell):
        return found
    if not isinstance(cell, str):
        return []
    if said := written_down(cell.strip()):
        return [Turn("system" if m.role == "system" else "user" if m.role == "user" else "assistant", m.content) for m in said]
    words = cell_text(cell)
    return [Turn("user" if role == "user" else "assistant", words)] if words else []
