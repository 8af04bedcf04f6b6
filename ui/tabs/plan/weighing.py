"""Where the plan on the screen stands, from a changed setting to the trace of its memory, as one small state machine.

    nothing --Left--> to be weighed --Answered--> to be traced --Traced--> counted
                           ^________________Left, in any of them______________|

Invariants: `step` is pure; what is heard about another plan than the one on the screen is dropped; the same form is not weighed twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from loralab.core.records import Footprint, Proposal


@dataclass(frozen=True)
class Weighing:
    """The plan on the screen."""

    number: int = 0  # of the plan that was weighed last; 0: there is none
    asked: str = ""  # choices and form it was weighed for
    proposal: Proposal | None = None
    counted: bool = False  # a trace of it was heard of, or there can be none
    held: str = ""  # why it is not that of the form: what is waited for


# ---- what can happen -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Emptied:
    """There are no examples any more."""


@dataclass(frozen=True)
class Left:
    """A person is done with an input, or something else changed the form."""

    asked: str


@dataclass(frozen=True)
class Answered:
    """The planner answered about a form."""

    number: int  # larger than all before
    asked: str
    proposal: Proposal
    here: bool  # its model is on this computer, so that it can be traced


@dataclass(frozen=True)
class Refused:
    """There is no plan of a form. The last one stays on the screen, greyed, with what is waited for."""

    asked: str
    why: str = ""


@dataclass(frozen=True)
class Traced:
    """The tracer came back with what a plan needs; without that where it is dead or cannot trace this plan."""

    number: int = 0
    needs: Footprint | None = None


Event = Emptied | Left | Answered | Refused | Traced

# ---- what is to be done about it -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weigh:
    """Ask the planner about the form."""


@dataclass(frozen=True)
class Show:
    """Put a plan on the screen, with buttons for the nearest that fit; that there are no examples where there is none."""

    proposal: Proposal | None


@dataclass(frozen=True)
class Hold:
    """Say that the plan on the screen is not that of the form, and why; nothing can start."""

    proposal: Proposal | None
    why: str


@dataclass(frozen=True)
class Trace:
    """Count this plan's memory in the background."""

    number: int


Effect = Weigh | Show | Hold | Trace


def step(state: Weighing, event: Event) -> tuple[Weighing, tuple[Effect, ...]]:
    """The next state, and what is to be done."""
    match event:
        case Emptied():
            return Weighing(), (Show(None),)
        case Left(asked):
            return state, due(state) if asked == state.asked else (Weigh(),)
        case Answered(number, asked, proposal, here):
            after = Weighing(number, asked, proposal, counted=not here)
            return after, (Show(proposal), *due(after))
        case Refused(asked, why):
            return replace(state, asked=asked, held=why), (Hold(state.proposal, why),)
        case Traced():
            return _heard(state, event)


def _heard(state: Weighing, answer: Traced) -> tuple[Weighing, tuple[Effect, ...]]:
    if answer.number != state.number or state.proposal is None:  # about an older plan
        return state, due(state)
    if answer.needs is None:
        return replace(state, counted=True), ()
    finer = state.proposal.model_copy(update={"footprint": answer.needs})
    shown = Hold(finer, state.held) if state.held else Show(finer)
    return replace(state, proposal=finer, counted=True), (shown,)


def due(state: Weighing) -> tuple[Trace, ...]:
    """The trace that the plan on the screen still waits for."""
    return (Trace(state.number),) if state.proposal and not state.counted else ()
