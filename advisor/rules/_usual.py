"""The way out to corrections of the usual size: by the learning rate, by the loudness, or both, whichever is odd.

Invariant: what is not odd stays as the person asked for it.
"""

from __future__ import annotations

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Fix, change
from advisor.diagnosis.usual import USUAL_SCALE, rate_words, usual_rate
from advisor.rules._reading import LOUD_SCALE, MAX_RATE_RATIO

QUIET = USUAL_SCALE / 4  # alpha / rank: no louder than this is as odd as far too loud


def usual_corrections(case: Case) -> Fix:
    """Usual corrections; where alpha is what is odd, a learning rate that makes up for it would leave half of the adapter standing still.

    An update moves both matrices by about the learning rate, and alpha scales their product only: with a tiny rate the first matrix stays
    at its random start, with a huge one it is swept away by the first updates.
    """
    if QUIET < case.scale < LOUD_SCALE:
        rate = rate_words(usual_rate(case))
        return change(f"Use a learning rate of {rate:g}.", learning_rate=rate)
    alpha, usual, asked = USUAL_SCALE * case.text.rank, usual_rate(case) * case.scale / USUAL_SCALE, case.asked.learning_rate
    settings: dict[str, object] = {"alpha": alpha, **({"use_rslora": False} if case.text.use_rslora else {})}
    if usual / MAX_RATE_RATIO <= asked <= usual * MAX_RATE_RATIO:
        rate = asked
        words = f"Use an alpha of {alpha:g}, twice the rank."
    else:
        rate = rate_words(usual)
        words = f"Use an alpha of {alpha:g}, twice the rank, and a learning rate of {rate:g}."
    if rate != case.plan.learning_rate:
        settings["learning_rate"] = rate
    return change(words, **settings)
