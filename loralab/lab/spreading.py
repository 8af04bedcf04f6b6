"""Many runs over several computers: trainings that differ in a setting, judging again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from loralab.cluster.spread import Share, Spread, spread
from loralab.core import disk
from loralab.core.errors import UserError
from loralab.core.jobs import EvaluateJob, Job, TrainJob
from loralab.core.records import Plan, Proposal
from loralab.lab.results import Results
from loralab.runs import runs

MOST = 1000  # runs of one sweep


class Spreading(Results):
    """A workspace whose runs can be done on a cluster, which sees it under the same path."""

    def prepare_job(self, job: Job) -> str:
        """Write the folder of a run that another than the queue is to begin; its id."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.prepare(self.home, self._titled(job)).name

    def spread(
        self, names: Sequence[str], address: str = "", share: Share | None = None, note: Callable[[Spread], object] = lambda at: None
    ) -> tuple[str, ...]:
        """Do prepared, stopped or failed runs on the Ray cluster at `address` (empty: one of this computer alone), all that fit at once.

        Returns those that did not finish; `view` tells of each while it goes on. A run whose computer is lost goes on elsewhere from its
        last safety copy. Raises UserError where there is no cluster, Unavailable without Ray.
        """
        return spread(self.home, names, address, share, note)

    def judged_again(self, names: Iterable[str]) -> list[str]:
        """Prepare judging trained runs again, to be spread; the ids of that work."""
        jobs: list[Job] = []
        for name in names:
            job = self.job(name)
            if not isinstance(job, TrainJob):
                raise UserError(f"{name} is no training.", "Name trainings.", code="no_training")
            jobs.append(EvaluateJob(of=name, model=job.model, adapter=self._adapter(name)))
        return [self.prepare_job(job) for job in jobs]


def varied(plan: Plan | Mapping[str, Any] | Proposal, settings: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The plans of a sweep: every combination of the given values, each named after its own. Raises UserError for too many."""
    values = dict(plan.plan if isinstance(plan, Proposal) else plan.model_dump() if isinstance(plan, Plan) else plan)
    combinations = list(product(*settings.values()))
    if not 0 < len(combinations) <= MOST:
        raise UserError(f"These are {len(combinations):,} runs.", f"Vary less: at most {MOST:,} at once.", code="too_many")
    found: list[dict[str, Any]] = []
    for combination in combinations:
        own = dict(zip(settings, combination, strict=True))
        title = ", ".join(f"{name} {value}" for name, value in own.items())
        found.append(values | own | {"title": title[:80]})
    return found
