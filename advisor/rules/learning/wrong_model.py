"""The model is not made for these examples.

What it looks like: the answers are in the wrong language, break off, or stay nonsense however long it learns.

Why: training teaches a model how you want it to answer. It does not teach it a language it never read, to hold a thought over three
sentences if it is too small for that, or to read further than it can.

What to do: train the same examples on a model that can. The cards in the plan say what each one is good for, in which languages, and how
many minutes it takes here.
"""

from advisor.rules import Case, Found, change, fact, rule
from loralab.core.words import about, size
from loralab.lab import ModelChoice, larger


@rule("R102", "no learning", "warning", "propose", before=True, during=False)
def check(case: Case) -> Found | None:
    """Before a run: the model cannot do what the examples ask. After it: what it wrote was of no use, and a larger model is to be had."""
    chosen = next((card for card in case.models if card.name == case.plan.base_model), None)
    conclusion = case.view.conclusion if case.view else None
    useless = conclusion is not None and conclusion.usable == "no"
    if chosen is None or not (useless if case.view else chosen.cannot):
        return None
    better = _better(case.models, chosen)
    if better is None and not chosen.cannot:
        return None
    words = " ".join(chosen.cannot) or f"{chosen.title} learned what it could, and that is not enough to be of use."
    if better is None:
        return Found(0.6, f"{words} None of the models that can fits on this computer.", (fact("model", chosen.title),))
    minutes = () if better.minutes is None else (fact(f"minutes with {better.title}", round(better.minutes, 1)),)
    fetched = () if better.here else (fact(f"to fetch for {better.title}", size(better.download_bytes)),)
    fix = change(_offer(better), base_model=better.name)
    return Found(0.9 if chosen.cannot else 0.6, words, (fact("model", chosen.title), *minutes, *fetched), (fix,))


def _better(models: tuple[ModelChoice, ...], chosen: ModelChoice) -> ModelChoice | None:
    """The recommended model where the chosen one cannot do it, else the next larger."""
    if chosen.cannot:
        return next((card for card in models if card.recommended and card.name != chosen.name), None)
    return larger(models, chosen.name)


def _offer(better: ModelChoice) -> str:
    takes = f": {about(better.minutes * 60)} for these examples" if better.minutes is not None else ""
    fetch = "" if better.here else f", after fetching {size(better.download_bytes)}"
    return f"Use {better.title}{takes}{fetch}."
