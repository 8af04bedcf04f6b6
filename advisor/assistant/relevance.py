"""Owns whether a true sentence is about what was asked. Invariant: what shares no word with the question or its topic is left out."""

from __future__ import annotations

from advisor.assistant.evidence import Pack
from advisor.assistant.retold import words
from advisor.words.intents import Topic, understood

# What an answer on a topic speaks of, besides the question's own words; a topic that is not here is about everything
_SPEAKS_OF: dict[Topic, str] = {
    "level": "loss rate accuracy percent held-out",
    "better": "loss held-out verdict better worse fell rose",
    "time": "time second seconds minute minutes hour hours",
    "time_left": "time second seconds minute minutes hour hours planned",
    "stopped": "stopped ended failed finished state cause",
    "state": "stopped ended failed finished state updates",
    "overfit": "held-out loss lowest rose heart",
    "memory": "memory fit",
    "curve": "loss jump spike rose fell",
    "data": "examples rows questions answers",
    "speed": "token tokens second seconds time",
    "next": "use change",
    "changed": "changed",
    "resume": "resume copy",
    "use": "adapter chat",
    "unknown": "",
}
_OF_CAUSES = ("stopped", "state", "curve")  # on these, what the rules found is an answer, too
_OF_WAYS = ("next", "stopped")  # and on these what can be done


def asked_about(question: str, pack: Pack) -> frozenset[str]:
    """The words one of which an answer must have; none of them: any will do."""
    topic = understood(question).topic
    if topic not in _SPEAKS_OF:
        return frozenset()
    told = [_SPEAKS_OF[topic], question]
    told += pack.causes if topic in _OF_CAUSES else ()
    told += [way.words for way in pack.ways] if topic in _OF_WAYS else []
    return frozenset(words(" ".join(told)) - words("what how why did does can the this could would should about good")) or frozenset({""})


def is_about(sentence: str, wanted: frozenset[str]) -> bool:
    """Whether a sentence has one of these words."""
    return not wanted or bool(wanted & words(sentence))
