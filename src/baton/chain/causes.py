"""What a diagnosis is: why a stage did not run, the fix, and the checks that were made.

How one is come to belongs in ``baton.chain.why_not``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Cause(StrEnum):
    """Why a stage did not run, or that it did."""

    RAN = "ran"
    """It ran to its end."""
    GOING = "going"
    """It is at work, or has just been asked to be."""
    FAILED = "failed"
    """A run failed: its own, or that of a stage before."""
    CRASHED = "crashed"
    """A run's process ended, and nobody has begun it again yet."""
    CANCELLED = "cancelled"
    """Somebody cancelled a run."""
    GIVEN_UP = "given-up"
    """Recovery tried as often as it may."""
    NO_PART = "no-part"
    """It is no stage of such a chain."""
    NOT_ASKED = "not-asked"
    """The chain was not asked for it."""
    REJECTED = "rejected"
    """The gate rejected the model."""
    HELD_BACK = "held-back"
    """Drift was found and not announced, such as within the cool-down."""
    NO_DRIFT = "no-drift"
    """No drift was found."""
    NOT_ANNOUNCED = "not-announced"
    """The stage before ended without an event."""
    NO_EVENT = "no-event"
    """The event was announced, and the server does not have it."""
    NOT_DEPLOYED = "not-deployed"
    """There is no deployment of it."""
    NO_AUTOMATION = "no-automation"
    """No automation of its deployment waits for the event."""
    AUTOMATION_OFF = "automation-off"
    """The automation is disabled."""
    NO_MATCH = "no-match"
    """The trigger does not match the event."""
    TOO_LATE = "too-late"
    """The automation was made or changed after the event."""
    SWALLOWED = "swallowed"
    """The trigger fires once within a time, and had fired."""
    LOST = "lost"
    """The event was there and fired nothing."""
    TEMPLATE = "template"
    """What the trigger passes on could not be rendered."""
    PARAMETERS = "parameters"
    """What the trigger passes on does not fit the flow."""
    ACTION_FAILED = "action-failed"
    """The automation fired, and could not start the run."""
    FUTURE = "future"
    """Its run is for later."""
    PAUSED = "paused"
    """Its deployment or schedule is paused."""
    NO_SCHEDULE = "no-schedule"
    """It does not run by the clock."""
    CONCURRENCY = "concurrency"
    """A limit of runs at once is reached."""
    POOL_PAUSED = "pool-paused"
    """Its work pool or queue is paused, or gone."""
    NO_WORKER = "no-worker"
    """No worker looks for its runs."""
    NO_SERVE = "no-serve"
    """No serve process looks for its runs."""
    TURN = "turn"
    """It waits for others that are going."""
    STARTING = "starting"
    """Its run was taken, and its process has not begun."""
    APPROVAL = "approval"
    """It waits for a person."""


_WAITS = {
    Cause.GOING,
    Cause.CRASHED,
    Cause.FUTURE,
    Cause.CONCURRENCY,
    Cause.POOL_PAUSED,
    Cause.NO_WORKER,
    Cause.NO_SERVE,
    Cause.TURN,
    Cause.STARTING,
    Cause.APPROVAL,
}
"""Those after which it may run without anything being announced again."""


LOOK_AGAIN = "look again in a moment"
"""What to do where nothing is missing yet."""


@dataclass(frozen=True)
class Fault:
    """What is missing."""

    cause: Cause
    reason: str
    """In one line."""
    fix: str
    """In one line; what to do."""


@dataclass(frozen=True)
class Step:
    """One thing that was looked at."""

    what: str
    fault: Fault | None = None
    """What is missing; None where nothing is."""


class Check(BaseModel):
    """One thing that was looked at, and whether it is as it must be."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    is_met: bool
    """Whether it is as it must be."""
    what: str
    """What was looked at, in one line."""


class Diagnosis(BaseModel):
    """Why a stage did not run, or that it did."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    subject: str
    """What was asked about: a stage of a chain, or a deployment."""
    chain: str
    """Id of the chain that was asked about; empty where it was the clock's turn."""
    cause: Cause
    """The first of what is missing."""
    reason: str
    """It, in one line."""
    fix: str
    """What to do, in one line."""
    checks: tuple[Check, ...]
    """What was looked at, in the order of causes; the last one is where it hangs."""

    @property
    def has_run(self) -> bool:
        """Whether it ran to its end."""
        return self.cause is Cause.RAN

    @property
    def headline(self) -> str:
        """Diagnosis in one line."""
        verdict = "has not run yet" if self.cause in _WAITS else "did not run"
        said = f"{self.reason}; {self.fix}" if self.fix else self.reason
        return f"{self.subject} {'ran' if self.has_run else verdict}: {said}"


def concluded(subject: str, chain: str, steps: Iterable[Step]) -> Diagnosis:
    """Diagnosis by the first step at which something is missing; no later one is looked at."""
    checks: list[Check] = []
    step = Step("")
    for step in steps:
        is_met = step.fault is None or step.fault.cause is Cause.RAN
        checks.append(Check(is_met=is_met, what=step.what))
        if step.fault:
            break
    fault = step.fault or Fault(Cause.GOING, "nothing is missing", LOOK_AGAIN)
    return Diagnosis(
        subject=subject,
        chain=chain,
        cause=fault.cause,
        reason=fault.reason,
        fix=fault.fix,
        checks=tuple(checks),
    )
