"""What learns is not connected to what is computed.

What it looks like: the run ends in its first update, and the log says that a tensor “does not require grad”.

Why: the way back from the loss to the adapter is cut, mostly by recomputing in a model that does not support it, or because the adapter
sits on parts this model does not use.

What to do: switch “Recompute” off and let all linear parts learn. With the engine TRL: use loralab.
"""

from advisor.rules import Case, Found, change, fact, rule

SIGNS = ("does not require grad", "none of the inputs have requires_grad", "one of the differentiated tensors does not require")


@rule("R32", "no learning", "error", "retry")
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
    evidence = (fact("it said", line=line), fact("recompute", case.text.recompute), fact("parts that learn", case.text.targets))
    fix = change("Let all linear parts learn, without recomputing.", **settings)
    return Found(0.95, "The loss has no way back to the adapter.", evidence, (fix,))
