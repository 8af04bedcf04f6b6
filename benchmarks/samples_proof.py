"""Trains every bundled sample with one click's plan, for several seeds, and writes what came of it beside what its card promises.

    python -m benchmarks.samples_proof --home HOME [--seeds 0,1,2] [--only customer_messages,plain_words] > table.md

Nothing is set by hand but the seed. A sample whose model is not in the workspace is named and left out. The exit code is 1 where a
run did not keep a promise: learned, and as usable as the card says.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loralab.core.events import RunView
from loralab.core.verdict import Verdict
from loralab.lab import Lab, SampleSet

ANSWERS = 3


@dataclass(frozen=True)
class Proof:
    """One run of a sample, and whether it came to what its card promises."""

    sample: SampleSet
    seed: int
    minutes: float
    view: RunView

    @property
    def conclusion(self) -> Verdict | None:
        return self.view.conclusion

    @property
    def kept(self) -> bool:
        """Whether the promise was kept: it learned, and is at least as usable as was said."""
        found = self.conclusion
        better = {"you_decide": ("you_decide", "yes"), "partly": ("partly", "yes"), "yes": ("yes",)}
        return found is not None and found.learned == self.sample.learned and found.usable in better[self.sample.usable]

    @property
    def said(self) -> str:
        found = self.conclusion
        return f"{found.learned_words} {found.usable_words} {found.but}".strip() if found else self.view.state


def main() -> None:
    """Prove, print the tables, and fail where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", default="", help="names of samples, separated by commas")
    asked = parser.parse_args()
    lab = Lab(asked.home)
    wanted = [one for one in lab.samples() if not asked.only or one.name in asked.only.split(",")]
    proofs: list[Proof] = []
    for sample in wanted:
        if not lab.check_model(sample.model).present:
            sys.stderr.write(f"{sample.name}: {sample.model} is not in {lab.home}; not run\n")
            continue
        for seed in map(int, asked.seeds.split(",")):
            proofs.append(prove(lab, sample, seed))
            sys.stderr.write(f"{sample.name}, seed {seed}: {'kept' if proofs[-1].kept else 'NOT KEPT'}. {proofs[-1].said}\n")
    sys.stdout.write("\n".join(tables(proofs)) + "\n")
    sys.exit(not all(proof.kept for proof in proofs))


def prove(lab: Lab, sample: SampleSet, seed: int) -> Proof:
    """Take the sample, press Start, wait for the verdict."""
    begun = time.monotonic()
    run = lab.start(lab.propose(lab.profile(sample.path, sample.model), sample.model, seed=seed))
    view = lab.wait(run)
    return Proof(sample, seed, (time.monotonic() - begun) / 60, view)


def tables(proofs: Sequence[Proof]) -> Iterator[str]:
    """What came of each, then three answers of each."""
    yield "| sample | model | seed | updates | minutes | learned | usable | promised | what was said |"
    yield "|---|---|--:|--:|--:|---|---|---|---|"
    for proof in proofs:
        one, found = proof.sample, proof.conclusion
        told = (found.learned, found.usable) if found else ("-", "-")
        yield (
            f"| {one.name} | {one.model} | {proof.seed} | {proof.view.step} | {proof.minutes:.1f} | {told[0]} | {told[1]} "
            f"| {one.usable} | {proof.said} |"
        )
    yield "\n| sample | asked | before | after | expected |\n|---|---|---|---|---|"
    for proof in proofs:
        for answer in proof.view.samples[:ANSWERS] if proof.seed == proofs[0].seed else ():
            cells = (answer.prompt, answer.before, answer.after, answer.reference)
            yield f"| {proof.sample.name} | {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


if __name__ == "__main__":
    main()
