"""This graphics card has no bf16.

What it looks like: the run is several times slower than expected, or ends at once with a line about bf16 that is not supported.

Why: NVIDIA cards before the Ampere generation (GTX, RTX 20, T4, V100) have no arithmetic for bf16. Torch imitates it where it can.

What to do: fp32 where the model fits, since it is safe; else fp16, which is fast on these cards but too narrow for some models.
"""

from advisor.rules import Case, Found, change, fact, rule

SIGNS = ("bf16/gpu", "bf16 is not supported", "bfloat16 is not supported", "bf16 is only supported")


@rule("R07", "non-finite", "info", "propose", before=True)
def check(case: Case) -> Found | None:
    """bf16 on a card whose capability is below 8.0, or a log that says that it is not there."""
    if case.plan.precision != "bf16":
        return None
    line = next((line.strip()[:200] for line in reversed(case.log.splitlines()) if any(sign in line.lower() for sign in SIGNS)), "")
    machine = case.machine
    old = machine is not None and machine.accelerator == "cuda" and not machine.fast_bf16
    failed = bool(line) and case.view is not None and case.view.state in ("failed", "killed")
    if not (old or failed):
        return None
    evidence = [fact("precision", "bf16")]
    if old and machine is not None:
        card = machine.gpus[0]
        evidence.append(fact(f"compute capability of the {card.name}", ".".join(map(str, card.capability))))
    evidence += [fact("the worker's log says", line=line)] if failed else []
    fixes = (
        change("Compute in fp32, which is safe everywhere.", precision="fp32"),
        change("Compute in fp16, which is fast on this card.", precision="fp16"),
    )
    if failed:
        words = "The run ended because bf16 is not there on this computer."
        return Found(0.95, words, evidence, fixes, severity="error", action="retry")
    return Found(0.9, "This card only imitates bf16, which is slow.", evidence, fixes)
