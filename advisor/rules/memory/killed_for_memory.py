"""The training was ended from outside, as the system does when main memory is full.

What it looks like: the process is gone from one moment to the next, without a last word; the system's way of making room.

Why: model, examples and the step under way, with all other programs that are open, were more than the computer has. Where nothing shows
that memory was short, somebody may have ended it as well; then nothing is learned from it.

What to do: the run goes on by itself with half as many tokens at once, at most twice. If that is not enough: close other programs, keep
less in memory and compute it twice, shorten examples, or use a smaller model.
"""

from advisor.rules import Case, Fix, Found, advice, amount, change, fact, rule
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES
from advisor.text import TextPlan
from loralab.core.events import Incident
from loralab.core.words import count, times

KILLED = (-9, 137, 9)  # exit codes that say no more than that something ended it
UNSHOWN_CONFIDENCE = 0.55


@rule("R18", "memory", "error", "retry", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """The keeper saw the worker killed while memory was short."""
    found = case.signals.incidents("killed_for_memory")
    ended = case.view is not None and case.view.state == "killed" and case.signals.code == "out_of_memory"
    if not found and not ended:
        return None
    counted = any(one.data.get("oom_kills", 0) or one.data.get("named") for one in found)
    many = len(found) + ended
    evidence = [fact("times the system ended the training", many, step=found[0].step if found else None)]
    evidence += [fact("the system says so itself")] if counted else []
    free = min((int(one.data.get("free_bytes", 0)) for one in found), default=0)
    evidence += [amount("memory that was free just before", free)] if free else []
    evidence += [amount("memory that was free when it began", case.facts.room)] if case.facts and case.facts.room else []
    sure = "" if counted else ", most likely"
    words = f"The system ended the training {times(many)}{sure} because memory was full.{repaired(case)}"
    severity = "error" if ended else "warning"
    if found and not any(_shown(one) for one in found):  # as older versions wrote of every kill
        words = f"Something ended the training {times(many)}: maybe you, maybe the system because memory was full. Nothing shows which."
        return Found(UNSHOWN_CONFIDENCE, words, evidence, _fixes(case), severity=severity, action="propose")
    return Found(0.95 if counted else 0.75, words, evidence, _fixes(case), severity=severity)


def _shown(incident: Incident) -> bool:
    """Whether anything shows that it was for want of memory (as loralab/history/derive.py reads it)."""
    data = incident.data
    return bool(data.get("short", data.get("named") or data.get("oom_kills") or data.get("exit_code") not in KILLED))


def _fixes(case: Case) -> list[Fix]:
    settings = {"token_budget": case.plan.token_budget} if case.plan.token_budget else {}
    if isinstance(case.plan, TextPlan):
        settings |= {"recompute": "selective" if case.plan.recompute == "none" else "full"}
        fixes = [change("Keep less in memory and compute more of it twice.", **settings)]
        if case.plan.precision == "fp32":
            fixes.append(change("Keep the model in half precision (bf16).", **(settings | {"precision": "bf16"})))
    else:
        half = case.plan.token_budget // 2
        fixes = [change(f"Compute at most {count(half, 'pixel')} at once.", token_budget=half)] if half else []
    return [*fixes, advice("Close other programs, then resume.")]
