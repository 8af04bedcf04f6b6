"""Owns the step from turns to messages: what of a turn is said to the model, what is learned of it, and what is only counted.

Invariants: a conversation ends with an answer that is learned; an answer that cannot be right without what is left aside (a picture) is not
learned; whatever a turn holds besides its words is noted, used or not.
"""

from __future__ import annotations

from collections.abc import Sequence

from loralab.core.records import Message, Role
from loralab.datasets.account import Tally
from loralab.datasets.conversations.turns import ROLE_OF, Turn
from loralab.datasets.tables.columns import key

NO_ANSWER = "The conversation has no answer to learn from."
NO_QUESTION = "The conversation has no question before its answer."
UNLEARNED = "The file says of every answer in it that it is not to be learned."
PICTURED = "Its answers are about pictures, and only words are read here."
WITH_PICTURES = "pictures"

_THOUGHT = ("thoughts before an answer", "learned before the answer")
_LOST = ("thoughts in other turns than answers", "")
_MARKED = ("answers marked as not to be learned", "read, and not learned")
CALLED = ("tool calls", "learned, as the model writes them")
RESULT = ("results of tools", "read")
_TOLD = ("instructions in a conversation", "read first")
_SHOWN = ("pictures", "")
_NAMED = ("names of who speaks", "")
_LATER = ("turns after the last answer to learn", "")


def with_thoughts(thoughts: str, answer: str) -> str:
    """An answer after its thoughts, which stand between think marks."""
    return f"<think>\n{thoughts}\n</think>\n\n{answer}" if thoughts else answer


def messages_of(turns: Sequence[Turn], tally: Tally, *, pictures: bool = False) -> tuple[Message, ...] | str:
    """The messages of a conversation, or the reason why nothing of it can be learned. `pictures`: answers about them are learned, too."""
    found = [_message(turn) for turn in turns if _says(turn)]
    noted = [note for turn in turns for note in _notes(turn)]
    if not pictures and (shown := next((at for at, turn in enumerate(filter(_says, turns)) if turn.pictures), None)) is not None:
        found = [m if at < shown else m.model_copy(update={"learn": False}) for at, m in enumerate(found)]
    said = list(found)
    while said and not (said[-1].role == "assistant" and said[-1].learn):
        said.pop()  # what nobody answered, or nobody is to learn, teaches nothing
    tally.note(*noted, *([_LATER] if said and len(said) < len(found) else []))
    if not said:
        answered = any(message.role == "assistant" for message in found)
        return (PICTURED if any(turn.pictures for turn in turns) and not pictures else UNLEARNED) if answered else NO_ANSWER
    if not any(message.role in ("user", "tool") for message in said):
        return NO_QUESTION
    return tuple(said)


def _says(turn: Turn) -> bool:
    """A turn that holds anything; an empty instruction is none."""
    return turn.role != "system" or bool(turn.content)


def _message(turn: Turn) -> Message:
    role: Role = "user" if turn.role == "other" else turn.role
    content = with_thoughts(turn.thoughts, turn.content) if role == "assistant" else turn.content
    return Message(role=role, content=content, learn=turn.learn or role != "assistant", calls=turn.calls)


def _notes(turn: Turn) -> list[tuple[str, str]]:
    named = bool(turn.name) and turn.role != "other" and not turn.calls and key(turn.name) not in ROLE_OF
    answers = turn.role == "assistant"
    found = [
        (_THOUGHT, answers and bool(turn.thoughts)),
        (_LOST, not answers and bool(turn.thoughts)),
        (_MARKED, answers and not turn.learn),
        (CALLED, answers and bool(turn.calls)),
        (RESULT, turn.role == "tool"),
        (_TOLD, turn.role == "system" and bool(turn.content and turn.name)),
        (_SHOWN, bool(turn.pictures)),
        (_NAMED, named),
    ]
    return [note for note, holds in found if holds] + [(f"“{name}” in turns", "") for name in turn.unused]
