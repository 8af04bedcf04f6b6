"""What learns is not connected to what is computed.

What it looks like: the run ends in its first update, and the log says that a tensor “does not require grad”.

Why: the way back from the loss to the adapter is cut, mostly by recomputing in a model that does not support it, or because the adapter
sits on parts this model does not use.

What to do: switch “Recompute” off and let all linear parts learn. With the engine TRL: use loralab.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule

SIGNS = ("does not require grad", "none of the inputs have requires_grad", "one of the differentiated tensors does not require")


def check(case: Case) -> Found | None:
    """The run failed with torch's words for a path that is cut."""
    view = case.view
    if view is None or view.ending is None or view.state != "failed":
        return None
    said = [view.ending.what, *reversed(case.log.splitlines())]
    line = next((one.strip()[:200] for one in said if any(sign in one.lower() for sign in SIGNS)), "")
    if not line:
        return None
    settings: dict[str, object] = {"recompute": "none", "offload": False, "targets": "all-linear"}
    if case.text.engine != "loralab":
        settings["engine"] = "loralab"
    evidence = (
        Evidence(what="it said", line=line),
        Evidence(what="recompute", value=case.text.recompute),
        Evidence(what="parts that learn", value=case.text.targets),
    )
    fix = Fix(words="Let all linear parts learn, without recomputing.", settings=settings)
    return Found(confidence=0.95, words="The loss has no way back to the adapter.", evidence=evidence, fixes=(fix,))


RULE = Rule("R32", "no learning", "What learns is not connected to what is computed", "error", "retry", check)
