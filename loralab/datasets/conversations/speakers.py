"""Owns who speaks in conversations between people who go by names, and which of them the model is to be.

Invariant: that is never taken for certain; a person says it, once for a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from loralab.datasets.conversations.turns import Speaker, Turn

SECOND = "whoever speaks second"  # where the names are others in each conversation
_MANY = 12  # names: more cannot be asked about
_LISTED = 20_000  # names: those of all of them can be replaced
LONGEST = 4  # turns of a piece of a chat that goes on and on
_FULL = 2000  # characters after which a piece ends with its answer


def is_between_names(found: Sequence[Sequence[Turn]]) -> bool:
    """Whether most conversations have speakers of whom the file does not say that they are user or assistant."""
    return 2 * sum(any(turn.role == "other" for turn in turns) for turns in found) >= len(found) > 0


def speakers(found: Sequence[Sequence[Turn]]) -> tuple[str, ...]:
    """The names, those who speak most first; SECOND where they are too many to ask about."""
    counted = Counter(_name(turn) for turns in found for turn in turns if turn.role not in ("system", "tool"))
    listed = [name for name, _ in counted.most_common(_LISTED)]
    return tuple(listed) if len(counted) <= _MANY else (SECOND, *listed)


def likely(found: Sequence[Sequence[Turn]]) -> str:
    """Who seems to answer: called an assistant; of many, who is in most conversations; else who speaks without asking."""
    named = next((_name(turn) for turns in found for turn in turns if turn.role == "assistant"), "")
    names = speakers(found)
    if not named and names[0] == SECOND:
        often = sum(any(_name(turn) == names[1] for turn in turns) for turns in found)
        return names[1] if 2 * often >= len(found) else SECOND
    score: Counter[str] = Counter()
    for turns in found:
        for place, turn in enumerate(turns):
            if turn.role in ("user", "other"):
                score[_name(turn)] += (0 if "?" in turn.content or "？" in turn.content else 2) + (place > 0)
    return named or score.most_common(1)[0][0]


def cast(turns: Sequence[Turn], assistant: str) -> list[Turn]:
    """The turns with the speaker of this name as the assistant and everybody else as the user; what one says in a row is one turn."""
    people = [turn for turn in turns if turn.role not in ("system", "tool")]
    if assistant == SECOND:
        first = _name(people[0]) if people else ""
        assistant = next((_name(turn) for turn in people if _name(turn) != first), "")
    joined: list[Turn] = []
    for said in turns:
        by: Speaker = "assistant" if _name(said).casefold() == assistant.casefold() else "user"
        turn = said if said.role in ("system", "tool") else replace(said, role=by)
        if joined and _goes_on(joined[-1], turn):
            last = joined.pop()
            content = "\n".join(part for part in (last.content, turn.content) if part)
            turn = replace(last, content=content, pictures=last.pictures + turn.pictures, unused=(*last.unused, *turn.unused))
        joined.append(turn)
    return joined


def _goes_on(last: Turn, turn: Turn) -> bool:
    """Whether a turn only goes on with what was said before it."""
    alike = (last.role, last.learn, last.thoughts) == (turn.role, turn.learn, turn.thoughts)
    return alike and not last.calls and not turn.calls and turn.role != "tool"


def pieces(turns: Sequence[Turn]) -> list[tuple[int, list[Turn]]]:
    """A long conversation as pieces that each begin with what somebody said and end with an answer, with the place where each begins.

    What nobody answered is in none.
    """
    start = next((at for at, turn in enumerate(turns) if turn.role == "user"), len(turns))
    lead = [turn for turn in turns[:start] if turn.role == "system"]
    cut: list[tuple[int, list[Turn]]] = []
    for place, turn in enumerate(turns[start:], start):
        last = cut[-1][1] if cut else []
        full = len(last) >= LONGEST or sum(len(one.content) for one in last) > _FULL
        if not last or (turn.role == "user" and last[-1].role == "assistant" and full):
            cut.append((place, []))
        cut[-1][1].append(turn)
    return [(place, [*lead, *piece]) for place, piece in cut if any(turn.role == "assistant" for turn in piece)]


def _name(turn: Turn) -> str:
    return turn.name or turn.role
