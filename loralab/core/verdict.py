"""The verdict on a run as a value: two answers, never one, with what they rest on.

Invariant: whoever tells people what came of a run tells these sentences; nobody makes others.
"""

from __future__ import annotations

from html import escape
from typing import Literal

from loralab.core.records import Record, Sample


class Check(Record):
    """One thing that answers must be to be of use: `share` of them that are, and how sure that is (`between`, 95 %)."""

    name: str  # right | valid | says | language | words | ends | repeats | about | close | varied
    words: str  # the finding in one sentence
    share: float
    floor: float  # at least so much is asked for
    between: tuple[float, float]
    n: int
    passed: bool


class Verdict(Record):
    """The two answers every run ends in, with what they rest on: did it learn, and can it be used?"""

    learned: Literal["yes", "no", "unknown"]
    learned_words: str
    usable: Literal["yes", "partly", "no", "you_decide"]
    usable_words: str
    reach: str = ""  # how far it can be used, where that is known: “for 9 of 10 topics”
    but: str = ""  # what got worse meanwhile
    floors: tuple[str, ...] = ()  # names of the checks that were missed
    worst: Sample | None = None  # the answer that shows it
    capped: str = ""  # why no more than this may be said, whatever was measured
    alarm: Literal["", "empty", "cut_off", "alike"] = ""  # what all its answers are, whatever the loss says
    checks: tuple[Check, ...] = ()
    search: Literal["", "as_well", "better"] = ""  # how a search through the learned examples did beside it; empty: worse, or not known
    search_words: str = ""

    def as_html(self) -> str:
        """The two answers, what they rest on, and what got worse."""
        told = (("Did it learn?", self.learned_words), ("Can you use it?", self.usable_words), ("", self.but))
        return "".join(f"<p><b>{asked}</b> {escape(said)}</p>" for asked, said in told if said)

    def _repr_html_(self) -> str:
        """For Jupyter and VS Code."""
        return self.as_html()


def uncompared(words: str) -> Verdict:
    """The verdict on a model that nothing is left to compare with: only a person can tell."""
    alone = "There is no model from before to compare it with."
    return Verdict(
        learned="unknown", learned_words=f"{words} {alone}", usable="you_decide", usable_words="Read what it writes: only you can tell."
    )
