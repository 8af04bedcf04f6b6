"""Owns learning in several processes at once: the first leads and runs THE loop; the others compute their share of every update's gradient.

Before each update the leader hands out its examples and the weights as they are, afterwards the gradients are summed with it: what a DDP
step sends, in two halves. So the others hold neither data nor optimiser nor opinion, everything decided (guard, memory, stop, growth,
early end) is decided once, and a run may go on with any number of processes. Targets weigh alike, wherever they are computed.
Invariants: nobody waits for a process that is gone; what comes over the network is tensors and numbers, never a program.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

from loralab.core.errors import RunFailed
from loralab.core.records import Plan
from loralab.core.words import count
from loralab.runs import process_group
from loralab.train.allocation import attempt
from loralab.train.session import Batch, Session, accumulate

LEAVE, LEARN, GIVE = 0, 1, 2  # what the leader asks of the others
FITS, TOO_LARGE, BROKEN = 0, 1, 2  # what a share came to
LONG = timedelta(days=20)  # what one may wait for the other: the leader looks, judges and pauses for as long as it likes
BEAT, LOST = 5.0, timedelta(seconds=120)  # seconds between two signs of life; how late one may be: a machine that swaps is not gone
POLLS = (0.0002, 0.005)  # seconds between two looks whether a message is there: at first, and at most


class Channel:
    """The processes' connection: messages in step, and a second one over which each shows that it lives."""

    def __init__(self) -> None:
        from accelerate import PartialState  # noqa: PLC0415  (a run that learns alone does not pay for it)

        if torch.cuda.is_available():
            torch.cuda.set_device(process_group.local_rank() % torch.cuda.device_count())
        # gloo also between cards: a peer that is gone is an error at once, and an adapter's gradient is small (docs/cluster.md)
        state = PartialState(cpu=not torch.cuda.is_available(), backend="gloo", timeout=LONG)
        self.rank, self.size = state.process_index, state.num_processes
        self.gone = threading.Event()
        self._pulse = dist.new_group(timeout=LOST, backend="gloo")
        self._leaving = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def broadcast(self, tensor: Tensor) -> Tensor:
        """The leader's tensor, for all. Raises RunFailed where a process is gone."""
        return self._done(lambda: dist.broadcast(tensor, 0, async_op=True), tensor)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, for the leader. Raises RunFailed where a process is gone."""
        return self._done(lambda: dist.reduce(tensor, 0, async_op=True), tensor)

    def leave(self) -> None:
        """Nothing more is to be said: whoever ends from here on is not missed."""
        self._leaving.set()

    def _done(self, begin: Any, tensor: Tensor) -> Tensor:
        try:
            work, pause = begin(), POLLS[0]
            while not work.is_completed():
                if self.gone.is_set():
                    self._lost()
                time.sleep(pause)
                pause = min(1.5 * pause, POLLS[1])
            work.wait()
        except RuntimeError as error:  # gloo has no exception of its own: the connection was closed, or nothing came in time
            self._lost(error)
        return tensor

    def _lost(self, error: Exception | None = None) -> NoReturn:
        process_group.deaf()
        raise process_group.lost() from error

    def _beat(self) -> None:
        """Every few seconds a number goes round; a process that does not take part in time is gone."""
        while not self._leaving.is_set():
            try:
                dist.all_reduce(torch.zeros(1), group=self._pulse)
            except RuntimeError:
                self.gone.set()
                return
            self._leaving.wait(BEAT)


class Leader:
    """The first of several processes, from the loop's side."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._told: Plan | None = None

    @property
    def size(self) -> int:
        return self.channel.size

    def share(self, session: Session, micro_batches: Sequence[Batch]) -> list[Batch]:
        """Hand out the examples of one update and the weights they are to be learned with; returns the leader's own share."""
        shares = dealt(session, micro_batches, self.size)
        state = {name: tensor.detach() for name, tensor in session.state().items()}
        message: dict[str, Any] = {
            "plan": session.plan.model_dump(mode="json") if session.plan is not self._told else None,
            "shares": [[_packed(batch) for batch in share] for share in shares[1:]],
            "weights": [(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in state.items()],
        }
        self._told = session.plan
        written = io.BytesIO()
        torch.save(message, written)
        raw = torch.frombuffer(bytearray(written.getvalue()), dtype=torch.uint8)
        self.channel.broadcast(torch.tensor([LEARN, raw.numel()]))
        self.channel.broadcast(raw)
        for dtype in _dtypes(message["weights"]):
            self.channel.broadcast(torch.cat([tensor.reshape(-1).cpu() for tensor in state.values() if tensor.dtype == dtype]))
        return shares[0]

    def gather(self, session: Session, total: float, targets: int) -> tuple[float, int]:
        """The whole update's gradient, in place of this process's share: (summed loss, number of targets) of all.

        May be asked for again after a failure here: the others keep theirs until they are handed the next update.
        """
        self.channel.broadcast(torch.tensor([GIVE, 0]))
        trained = [p for p in session.model.parameters() if p.requires_grad]
        gradient, told = _given(trained, total, targets, FITS)
        self.channel.sum(gradient)
        self.channel.sum(told)
        if told[2] or told[3]:
            _refused(bool(told[2]))
        at = 0
        for parameter, has in zip(trained, told[4:].tolist(), strict=True):
            if has:
                part = gradient[at : at + parameter.numel()].view_as(parameter)
                parameter.grad = part.to(parameter.device, parameter.dtype, copy=True)
            at += parameter.numel()
        return float(told[0]), int(told[1])

    def dismiss(self) -> None:
        """There is no update after this one: the others end, and what follows (the verdict) is done alone."""
        self.channel.leave()
        self.channel.broadcast(torch.tensor([LEAVE, 0]))


def _refused(memory: bool) -> NoReturn:
    process_group.deaf()
    if memory:
        what = "One of the processes that learn together ran out of memory, even with one example at a time."
        raise RunFailed(what, "Start fewer processes on that machine, or choose a smaller model; then resume.", code="out_of_memory")
    what = "One of the processes that learn together could not compute its share."
    raise RunFailed(what, "Its last words are in worker.log in the run's folder. Resume to try again.", code=process_group.LOST)


def follow(session: Session, channel: Channel) -> None:
    """Do what the leader asks until it has no more. Raises RunFailed where it is gone."""
    torch.manual_seed(session.plan.seed + channel.rank)  # dropout draws other numbers in each process
    session.model.train()
    total, targets, came_to = 0.0, 0, FITS
    while True:
        asked, size = channel.broadcast(torch.zeros(2, dtype=torch.int64)).tolist()
        if asked == LEAVE:
            channel.leave()
            return
        if asked == GIVE:
            trained = [p for p in session.model.parameters() if p.requires_grad]
            gradient, told = _given(trained, total, targets, came_to)
            channel.sum(gradient)
            channel.sum(told)
            continue
        raw = channel.broadcast(torch.empty(size, dtype=torch.uint8))
        message = torch.load(io.BytesIO(raw.numpy().tobytes()), weights_only=True)
        _take(session, message, channel)
        share = [_unpacked(session, packed) for packed in message["shares"][channel.rank - 1]]
        try:
            total, targets, came_to = _learn(session, share)
        except Exception:  # noqa: BLE001  (whatever it was, the leader has to hear of it, or it would wait)
            process_group.tell_traceback()
            total, targets, came_to = 0.0, 0, BROKEN


def _take(session: Session, message: dict[str, Any], channel: Channel) -> None:
    """Settings and weights as the leader has them."""
    if message["plan"] is not None:
        plan = type(session.plan).model_validate(message["plan"])
        if plan != session.plan:
            session.reconfigure(plan)
            session.model.train()
    state: dict[str, Tensor] = {}
    for dtype in _dtypes(message["weights"]):
        mine = [(name, shape) for name, shape, kind in message["weights"] if kind == str(dtype).removeprefix("torch.")]
        sizes = [torch.Size(shape).numel() for _, shape in mine]
        flat = channel.broadcast(torch.empty(sum(sizes), dtype=dtype))
        state |= {name: part.view(shape) for (name, shape), part in zip(mine, flat.split(sizes), strict=True)}
    session.load_state(state)


def _learn(session: Session, share: list[Batch]) -> tuple[float, int, int]:
    """The gradient of a share, in smaller parts where memory wants it: (summed loss, targets, what it came to)."""
    clear = partial(session.model.zero_grad, set_to_none=True)
    clear()
    while True:
        found, said = attempt(partial(accumulate, session, share), clear)
        if found is not None:
            return *found, FITS
        halves = [session.split(batch) for batch in share]
        process_group.tell(f"Memory ran out; the share is computed in smaller parts. {said}")
        if not any(halves):
            return 0.0, 0, TOO_LARGE
        share = [part for batch, two in zip(share, halves, strict=True) for part in (two or (batch,))]


def dealt(session: Session, micro_batches: Sequence[Batch], processes: int) -> list[list[Batch]]:
    """The same examples in as many shares, about equally costly; a share is empty where there are fewer examples than processes."""
    pieces, whole = list(micro_batches), sum(batch.cost for batch in micro_batches)
    at = 0
    while at < len(pieces):
        halves = session.split(pieces[at]) if pieces[at].cost * processes > whole else None
        if halves:
            pieces[at : at + 1] = halves
        else:
            at += 1
    shares: list[list[Batch]] = [[] for _ in range(processes)]
    costs = [0] * processes
    for piece in sorted(pieces, key=lambda batch: -batch.cost):  # the costliest first, each to whom has least
        least = costs.index(min(costs))
        shares[least].append(piece)
        costs[least] += piece.cost
    return shares


def _given(trained: Sequence[Tensor], total: float, targets: int, came_to: int) -> tuple[Tensor, Tensor]:
    """What a process adds: its gradient as one row of numbers, and loss, targets, two kinds of failure, which tensors have a gradient."""
    parts = [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).to("cpu", torch.float32) for p in trained]
    has = [float(p.grad is not None) for p in trained]
    told = [total, float(targets), float(came_to == TOO_LARGE), float(came_to == BROKEN), *has]
    return torch.cat(parts), torch.tensor(told, dtype=torch.float64)


def _packed(batch: Batch) -> dict[str, Any]:
    tensors = {name: tensor.detach().to("cpu", copy=True) for name, tensor in batch.tensors.items()}  # a view would take its whole with it
    return {"tensors": tensors, "n_units": batch.n_units, "n_targets": batch.n_targets, "rows": batch.rows, "costs": batch.costs}


def _unpacked(session: Session, packed: dict[str, Any]) -> Batch:
    where = next(session.model.parameters()).device
    tensors = {name: tensor.to(where) for name, tensor in packed["tensors"].items()}
    return Batch(tensors, packed["n_units"], packed["n_targets"], tuple(packed["rows"]), tuple(packed["costs"]))


def _dtypes(weights: Sequence[tuple[str, tuple[int, ...], str]]) -> list[torch.dtype]:
    return [getattr(torch, kind) for kind in dict.fromkeys(kind for _, _, kind in weights)]


def words(size: int) -> str:
    """What is told of a run that learns in several processes."""
    return (
        f"Learning in {count(size, 'process', 'processes')} at once: each computes its share of every update, and the result is the same."
    )


def opened() -> Channel:
    """The connection to the others. Raises RunFailed where they are not found."""
    try:
        return Channel()
    except RuntimeError as error:
        raise process_group.lost("they were looking for each other") from error
