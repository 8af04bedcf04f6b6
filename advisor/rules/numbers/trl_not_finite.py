"""Numbers were not finite under TRL, which cannot look for the cause.

What it looks like: several updates are left out because they are not finite, and the run ends after the fourth. It trains with TRL.

Why: TRL holds model and optimiser, so the run cannot try examples alone or go back. One bad example, a precision that is too narrow and
corrections that are too big look all the same.

What to do: train the same plan with the engine loralab: it finds the cause and mostly goes on by itself.
"""

from advisor.rules import Case, Found, change, fact, rule
from loralab.core.words import count, listed, plural


@rule("R74", "non-finite", "error", "retry")
def check(case: Case) -> Found | None:
    """Updates that were not finite in a run of TRL's."""
    broken = case.signals.incidents("non_finite")
    if case.asked_text.engine != "trl" or not broken:
        return None
    ended = case.signals.code == "non_finite"
    named: list[set[int]] = [set(one.data.get("rows", ())) for one in broken]
    shared: set[int] = set.intersection(*named) if len(named) > 1 else set()
    evidence = [fact("updates that were not finite", len(broken), step=broken[0].step)]
    were = f"{count(len(case.signals.steps), 'update')} {plural(len(broken), 'was', 'were')}"
    words = f"{len(broken):,} of {were} not finite, and TRL cannot say why."
    if 0 < len(shared) <= 2:
        evidence.append(fact("in each of them", rows=tuple(sorted(shared))))
        rows = listed([str(row) for row in sorted(shared)])
        words += f" {plural(len(shared), f'Row {rows} was', f'Rows {rows} were')} in each of them."
    fix = change("Train with the engine loralab, which looks for the cause.", engine="loralab")
    # an fp16 run names its cause itself
    confidence = 0.6 if case.asked.precision == "fp16" else 0.85
    return Found(confidence, words, evidence, (fix,), severity="error" if ended else "warning")
