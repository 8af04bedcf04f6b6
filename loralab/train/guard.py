"""What a run does when its numbers go wrong: not finite, or running away.

Invariants: an update that is not finite never reaches the weights; one example that breaks is told from a setting that does by trying
each alone; what is changed is changed because of what was found, is told, and is at most CHANCES times; a run that does well is left alone.

A suspicion costs nothing and does nothing: an update whose loss is far above the start, or whose gradient is far outside its own history.
If most of the PATIENCE updates from there on are such, the held-out examples are asked, those evaluated before training: only if
they got as much worse, too, the run goes back. That is why noise in a batch, however loud, is no alarm. A long gradient alone is harmless
(it is clipped, and AdamW divides by its size), so it counts only while the loss is above where it began.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from loralab.train import oom, recovery, rollback
from loralab.train.find_bad_rows import broken_rows, known_good, without
from loralab.train.finite import broken_base, broken_tensor
from loralab.train.recovery import CHANCES, named, narrow
from loralab.train.session import Batch
from loralab.train.state import HISTORY, Run

PATIENCE = 3  # updates from the first sign on: a spike that recovers takes one or two (Axolotl, training stability: “not recovering”)
BEYOND, RECOVERED = 3.0, 1.1  # times the start: a loss that was beyond is suspicious until it has recovered (Soup, Axolotl: 3)
FAR_UP = 1.5  # times the start, suspicious too: a wrecked model guesses, and guessing costs ln(vocabulary), 9 to 12, which three times a
# start of 3 to 8 never reaches for long (docs/measurements/training.md, “The guard”)
FLOOR = 0.5  # nats above the start, at least: a loss of 0.1 doubles and halves without meaning anything
FAR_OUT = 6.0  # robust z of the logarithm of the gradient's length (median and MAD; ZClip, arXiv 2504.02507, uses mean and deviation)
LEAST_SPREAD = 0.1  # of that logarithm: a history that is all alike makes no small change a large one
ENOUGH = 20  # updates that make a history
FEW = 0.1  # of the examples: more than these being broken is no longer about examples

TOO_BIG = "the corrections were too big"


def begin(run: Run) -> None:
    """Before the first update of an attempt."""
    run.session.leave_out(run.progress.heldout_left_out)
    run.watch.last_good = rollback.begin(run)


# ---- every update ------------------------------------------------------------------------------------------------------------


def usable(run: Run, micro_batches: Sequence[Batch]) -> Sequence[Batch]:
    """An update without the examples that are left out; nothing when none of the others has anything to learn from."""
    progress, watch = run.progress, run.watch
    if progress.left_out:
        micro_batches = without(run.session, micro_batches, progress.left_out)
    if sum(batch.n_targets for batch in micro_batches):
        watch.empty = 0
        return micro_batches
    if rows := [row for batch in micro_batches for row in batch.rows]:
        recovery.leave_out(run, rows, "nothing_to_learn", f"{named(rows, 'has', 'have')} nothing to learn from")
    progress.step_in_epoch += 1
    watch.empty += 1
    if watch.empty > run.session.steps_per_epoch():
        recovery.end(run, "nothing_to_learn", "There is no example left to learn from.", "Look at the examples named above.")
    return []


def is_update_ok(run: Run, micro_batches: Sequence[Batch], loss: float, norm: float) -> bool:
    """Whether the update being made may reach the weights. Where not, what is to be done about it is done here."""
    if not (math.isfinite(loss) and math.isfinite(norm)):
        _not_finite(run, micro_batches, loss, norm)
        return False
    progress, watch = run.progress, run.watch
    sign = _is_sign(run, loss, norm)
    if not sign and not watch.suspicion:
        if norm > 0:
            watch.norms.append(math.log(norm))
        rollback.confirm(run)
        return True
    watch.suspicion.append((loss, sign))
    if len(watch.suspicion) < PATIENCE:
        return True
    most = sum(sign for _, sign in watch.suspicion) > PATIENCE / 2
    if most and progress.step >= watch.quiet_until:
        return _is_cleared(run, loss, norm)
    watch.suspicion.clear()
    return True


def is_finite(run: Run, loss: float, norm: float, rows: Sequence[int]) -> bool:
    """The same for an engine whose optimiser is out of reach: a broken update is told and left out, and too many end the run."""
    if math.isfinite(loss) and math.isfinite(norm):
        return True
    recovery.report_broken(run, rows, loss, norm, "")
    run.watch.broken.append(run.progress.step)
    if len(run.watch.broken) > CHANCES:
        recovery.end(
            run, "non_finite", f"{len(run.watch.broken)} updates were not finite.", "Train with the engine loralab: it looks for the cause."
        )
    return False


def _is_sign(run: Run, loss: float, norm: float) -> bool:
    return loss > _level(run) or (loss > run.progress.base_loss and _far_out(run.watch.norms, norm))


def _far_out(history: Sequence[float], norm: float) -> bool:
    """Whether a gradient is far longer than its history, robustly: a z of its logarithm by median and MAD."""
    if len(history) < ENOUGH or norm <= 0:
        return False
    middle = median(history)
    spread = max(1.4826 * median(abs(value - middle) for value in history), LEAST_SPREAD)
    return (math.log(norm) - middle) / spread > FAR_OUT


def _level(run: Run) -> float:
    """The loss above which an update is suspicious and held-out examples bear it out. The start is their loss before training."""
    start = run.progress.base_loss
    highest = max((loss for loss, _ in run.watch.suspicion), default=start)
    times = RECOVERED if highest > _above(start, BEYOND) else FAR_UP
    return _above(start, times)


def _above(start: float, times: float) -> float:
    return start + max((times - 1) * abs(start), FLOOR)


def _is_cleared(run: Run, loss: float, norm: float) -> bool:
    """Whether an update under suspicion may be made: unless the held-out examples got as much worse as it says; then the run goes back."""
    progress, watch = run.progress, run.watch
    now, _ = oom.evaluate(run)
    if math.isfinite(now) and now <= _level(run):
        watch.suspicion.clear()
        watch.norms.clear()  # it may be at home in other lengths now
        watch.quiet_until, watch.quiet = progress.step + watch.quiet, 2 * watch.quiet
        return True
    text = f"The training ran away: the loss on the held-out examples was {progress.base_loss:.3g} before it began and is {now:.3g} now."
    data = {"loss": loss, "grad_norm": norm, "heldout": now, "start": progress.base_loss, "losses": [loss for loss, _ in watch.suspicion]}
    recovery.report(run, "diverged", text, data)
    recovery.lower_learning_rate(run, "diverged", TOO_BIG)
    return False


# ---- an update that is not finite --------------------------------------------------------------------------------------------


def _not_finite(run: Run, micro_batches: Sequence[Batch], loss: float, norm: float) -> None:
    """Find out why: the base model's file, the adapter, an example, too big corrections, or the arithmetic; and act on that."""
    rows, session = [row for batch in micro_batches for row in batch.rows], run.session
    if (name := broken_base(session.model)) and not narrow(run.plan):  # fp16 may be too narrow for a sound weight
        recovery.corrupt(run, name)
        return
    if name := broken_tensor(session.state()):
        recovery.report_broken(run, rows, loss, norm, f" A number in the adapter is not finite ({name}).")
        recovery.lower_learning_rate(run, "non_finite", TOO_BIG, changed=False)
        return
    bad = broken_rows(session, micro_batches)
    reference = known_good(session)
    if not bad:
        _unexplained(run, rows, loss, norm)
    elif len(broken_rows(session, reference)) < len(reference) and not _about_all(run, bad, rows):
        recovery.report_broken(run, rows, loss, norm, "")
        recovery.leave_out(run, bad, "bad_row", f"{named(bad, 'gives', 'give')} a loss that is not a number")
    else:
        recovery.report_broken(run, rows, loss, norm, "" if narrow(run.plan) else " Other examples do no better, so it is not about these.")
        recovery.roll_back(run)
        if narrow(run.plan) or broken_rows(session, reference):
            recovery.raise_precision(run)
        else:
            recovery.lower_learning_rate(run, "non_finite", TOO_BIG)


def _about_all(run: Run, bad: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether so many examples are broken that it cannot be about examples; in fp16, whose numbers are narrow, one is enough."""
    most = max(1, len(rows) // 2, FEW * run.session.steps_per_epoch() * run.plan.effective_batch)
    return narrow(run.plan) or len(run.progress.left_out) + len(bad) > most


def _unexplained(run: Run, rows: Sequence[int], loss: float, norm: float) -> None:
    """Each example alone is fine: once is left at that, PATIENCE times within HISTORY updates is a setting."""
    broken, step = run.watch.broken, run.progress.step
    broken.append(step)
    while broken[0] < step - HISTORY:
        broken.popleft()
    recovery.report_broken(run, rows, loss, norm, " Tried again, each of its examples alone is fine.")
    if len(broken) >= PATIENCE:
        broken.clear()
        recovery.roll_back(run)
        if recovery.wider(run.plan):
            recovery.raise_precision(run)
        else:
            recovery.lower_learning_rate(run, "non_finite", "numbers that are not finite kept coming back")


# ---- an evaluation that is not finite -----------------------------------------------------------------------------------------------


def evaluate(run: Run) -> tuple[float, int]:
    """Held-out loss and number of examples; where it is not finite, why, and again. What cannot be helped ends the run."""
    loss, rows = oom.evaluate(run)
    while not math.isfinite(loss) and not run.why:
        _evaluation_not_finite(run)
        loss, rows = oom.evaluate(run) if not run.why else (math.inf, rows)
    return loss, rows


def _evaluation_not_finite(run: Run) -> None:
    session = run.session
    if (name := broken_base(session.model)) and not narrow(run.plan):  # fp16 may be too narrow for a sound weight
        recovery.corrupt(run, name)
        return
    seen = [row for batch in session.heldout() for row in batch.rows]
    bad = broken_rows(session, session.heldout())
    if bad and len(bad) <= len(seen) // 2 and not narrow(run.plan):
        run.progress.heldout_left_out += bad
        session.leave_out(run.progress.heldout_left_out)
        text = f"{named(bad, 'gives', 'give')} a loss that is not a number; no longer among the held-out ones."
        recovery.report(run, "bad_row", text, {"rows": bad})
        return
    recovery.report(run, "non_finite", "The loss on the held-out examples is not finite.", {"rows": bad})
    begun = recovery.roll_back(run) >= 0
    if begun and not broken_rows(session, known_good(session)) and not narrow(run.plan):
        recovery.lower_learning_rate(run, "non_finite", TOO_BIG)
    else:
        recovery.raise_precision(run)
