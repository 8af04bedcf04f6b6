"""What was saved does not answer as what was trained.

What it looks like: the app reads what it has just saved, shows it a few pictures, and gets other answers than a moment ago.

Why: a part was left out of the file. Mostly it is the part that answers (the head): an adapter holds only what was told to be kept, and
without its head a model answers at random. A disk that writes something else than it was given does it, too.

What to do: do not use or share this version. Train again; if it comes back, tell those who make this app, and have the disk tested.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.events import Incident
from loralab.core.words import count, plural

DIFFERENT = 0.01  # of what the head says: what saving and reading never makes


@rule("R218", "no learning", "error", "inform", tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """The run compared what it saved with what it had trained, and found a difference."""
    told = [one for one in case.signals.incidents("reload_differs") if one.data.get("missing") or _apart(one) > DIFFERENT]
    if not told:
        return None
    last = told[-1]
    evidence = [fact("what the run found", step=last.step, line=last.text)]
    if "difference" in last.data:
        evidence.append(fact("largest difference of what the answering part says", _apart(last), step=last.step))
    missing = [str(name) for name in last.data.get("missing", ())]
    if missing:
        evidence.append(fact("parts that are not in the file", len(missing), line=", ".join(missing[:3])))
    words = "What was saved was read again, and it answers otherwise than what was trained."
    if any("head" in name for name in missing):
        words += " The part that answers is not in the file."
    elif missing:
        words += f" {count(len(missing), 'part')} {plural(len(missing), 'is', 'are')} not in the file."
    fixes = (advice("Do not use or share this version: train it again."), advice("If it comes back, have the disk tested."))
    return Found(0.95, words, evidence, fixes)


def _apart(incident: Incident) -> float:
    return float(incident.data.get("difference", 1.0))
