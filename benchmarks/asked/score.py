"""How many of the questions in this folder are understood and answered: `python -m benchmarks.asked.score open|closed`.

A question counts where the topic is the one that was meant, the answer is none of “I do not know that”, and, where yes or no was asked, its
first words say it. The runs that are asked about are built: one that went well, one that learned by heart, one that is going on.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from advisor.diagnosis.diagnose import diagnose
from advisor.words.answers import answer, is_known
from advisor.words.intents import understand
from advisor.words.summary import RunSummary
from loralab.core.events import Evaluated
from loralab.core.verdict import Verdict
from tests.support.built_cases import case, curve, falling, finished, looks

HERE = Path(__file__).parent
MEANT = {"nonsense": {"bad_answers"}, "word": {"term", "setting", "unknown"}}  # label: topics, where they are called otherwise
YES_OR_NO = re.compile(
    r"^(is|are|was|were|do|does|did|has|have|had|can|could|would|will|should|am|kann|soll|ist|war|hat|sind|wäre|brauche|bringen|lohnt|taugt|"
    r"reicht|kannte|wurde|hätte)\b"
)
SAYS_IT = re.compile(
    r"^(yes|no|not|probably|perhaps|most|mostly|partly|some|i cannot tell|it depends|you decide|there (is|are)|this is the largest)\b"
)


def summaries() -> Iterator[RunSummary]:
    """The runs that are asked about."""
    good = Verdict(learned="yes", learned_words="It learned.", usable="yes", usable_words="48 of 50 are right.")
    half = Verdict(learned="yes", learned_words="It learned.", usable="partly", usable_words="24 of 50 are right.")
    for of, said in ((falling(), good), ([*curve([2.0, 0.3] * 40), *looks(3.0, (20, 1.0), (50, 1.6), (80, 2.2)), finished(80)], half)):
        events = [*of[:-1], Evaluated(step=200, split="final", loss=1.0, n=50, conclusion=said), of[-1]]
        built = case(events)
        yield RunSummary(built, diagnose(built), "Qwen3 0.6B, 1.2 GB")
    going = case(curve([2.0] * 9, total=90))
    yield RunSummary(going, diagnose(going))


def right(label: str, question: str) -> str:
    """Empty where a question is understood and answered; otherwise what is wrong."""
    asked = understand(question)
    if asked.topic not in MEANT.get(label, {label}):
        return f"taken for {asked.topic}"
    if label == "word" and (asked.topic != "term" and not is_known(question)):
        return "not known"
    for summary in summaries():
        said = answer(summary, question)
        if "I do not know that" in said or not said.strip():
            return "no answer"
        if label != "word" and YES_OR_NO.match(question.lower()) and not SAYS_IT.match(said.lower()):
            return f"no yes or no: {said[:60]}"
    return ""


def main() -> None:
    """See the module."""
    lines = (HERE / f"{sys.argv[1]}.txt").read_text("utf-8").splitlines()
    asked = [(label.strip(), question.strip()) for label, _, question in (line.partition("|") for line in lines)]
    wrong = [(label, question, why) for label, question in asked if (why := right(label, question))]
    if sys.argv[1] == "open":
        sys.stdout.write("".join(f"{label:12s} {question}: {why}\n" for label, question, why in wrong))
    sys.stdout.write(f"{len(asked) - len(wrong)} of {len(asked)}\n")


if __name__ == "__main__":
    main()
