"""Why a run that is there is not over: the state that it is in, and who should take it.

Pure functions of what a Prefect server says; asking it belongs in ``tasks/platform/reading.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from baton.chain.causes import LOOK_AGAIN, Cause, Fault, Step
from baton.chain.recovery import (
    ATTEMPTS,
    SILENCE_ELSEWHERE,
    cause_of_death,
    is_given_up,
)
from baton.chain.runs import (
    BEGAN_LABEL,
    CANCELLED_LABEL,
    DEATHS_LABEL,
    INPUT_ERROR_LABEL,
    SEEN_LABEL,
    chain_id_of_run,
    time_of,
)
from baton.words.spans import moment
from baton.words.text import counted

UNPOLLED = timedelta(seconds=60)
"""Time without a look for runs after which a serve process is away, as Prefect has it."""

_SOON = timedelta(seconds=5)
"""A run that is due so soon waits for nothing but whoever takes it."""

_SLOT = "AwaitingConcurrencySlot"
"""Prefect's name for the state of a run that waits because of its deployment's limit."""

_RECOVERY = "a serve process, or the flow reconcile, begins it again: see that one runs"

Json = dict[str, Any]


@dataclass(frozen=True)
class Taker:
    """Who takes the runs of a deployment: the workers of a pool, or a serve process."""

    pool: str = ""
    """Name of the work pool; empty where a serve process takes them."""
    is_there: bool = True
    is_paused: bool = False
    n_workers: int = 0
    """Workers of the pool that are online."""
    limit: int | None = None
    """Of runs at once in the pool."""
    n_taken: int = 0
    """Runs of the pool that are taken and not over."""
    queue: str = ""
    queue_limit: int | None = None
    """Of runs at once in the queue."""
    n_queue_taken: int = 0
    """Runs of the queue that are taken and not over."""
    is_queue_paused: bool = False
    is_queue_polled: bool = True
    """Whether somebody looks for runs in the queue."""
    polled: datetime | None = None
    """When a serve process last looked for runs of the deployment."""
    n_going: int = 0
    """Runs that serve processes have going."""


def who(taker: Taker, now: datetime) -> Iterator[Step]:
    """Look at who takes a run that is due, and say at last why nobody has.

    Parameters
    ----------
    taker : Taker
    now : datetime
    """
    yield from _of_pool(taker) if taker.pool else _of_serve(taker, now)


def nobody(taker: Taker, now: datetime) -> Fault:
    """Why nobody has taken a run that is due."""
    return next(step.fault for step in who(taker, now) if step.fault)


def _of_pool(taker: Taker) -> Iterator[Step]:
    pool, queue = f"work pool {taker.pool!r}", f"work queue {taker.queue!r} of {taker.pool!r}"
    yield _step(
        taker.is_there,
        f"{pool} is there",
        Fault(
            Cause.POOL_PAUSED,
            f"there is no {pool}",
            f"`prefect work-pool create {taker.pool} --type process` makes one",
        ),
    )
    paused = Fault(
        Cause.POOL_PAUSED, f"{pool} is paused", f"`prefect work-pool resume {taker.pool}`"
    )
    yield _step(not taker.is_paused, f"{pool} is not paused", paused)
    resume = f"`prefect work-queue resume {taker.queue} --pool {taker.pool}`"
    paused = Fault(Cause.POOL_PAUSED, f"{queue} is paused", resume)
    yield _step(not taker.is_queue_paused, f"{queue} is not paused", paused)
    yield from _workers(taker, pool, queue)


def _workers(taker: Taker, pool: str, queue: str) -> Iterator[Step]:
    start = f"`prefect worker start --pool {taker.pool}`"
    none = Fault(Cause.NO_WORKER, f"no worker of {pool} is online", f"{start} starts one")
    yield _step(bool(taker.n_workers), f"a worker of {pool} is online", none)
    other = f"{start.removesuffix('`')} --work-queue {taker.queue}` starts one that does"
    none = Fault(Cause.NO_WORKER, f"no worker looks at {queue}", other)
    yield _step(taker.is_queue_polled, f"a worker looks at {queue}", none)
    yield _room(pool, taker.limit, taker.n_taken)
    yield _room(queue, taker.queue_limit, taker.n_queue_taken)
    busy = Fault(Cause.TURN, f"the workers of {pool} are busy", f"wait, or start another: {start}")
    yield Step("a worker takes it", busy)


def _room(where: str, limit: int | None, n_taken: int) -> Step:
    reason = f"{where} has its {counted(limit or 0, 'run')} at once"
    full = Fault(Cause.CONCURRENCY, reason, "wait for the others, or raise its concurrency limit")
    return _step(limit is None or n_taken < limit, f"{where} has room for another run", full)


def _of_serve(taker: Taker, now: datetime) -> Iterator[Step]:
    is_polled = taker.polled is not None and now - taker.polled < UNPOLLED
    since = f" since {moment(taker.polled)}" if taker.polled else ""
    start = "start `baton up`, or `python -m serving` on the same server"
    away = Fault(Cause.NO_SERVE, f"no serve process has looked for its runs{since}", start)
    yield _step(is_polled, "a serve process looks for its runs", away)
    going = Fault(
        Cause.TURN,
        f"{counted(taker.n_going, 'other is', 'others are')} going, and it waits for its turn",
        "wait, or start the serve process with a greater BATON_RUNS_AT_ONCE",
    )
    yield _step(not taker.n_going, "nothing else is going", going)
    soon = Fault(Cause.GOING, "a serve process is about to take it", LOOK_AGAIN)
    yield Step("it is taken", soon)


def _step(is_met: bool, what: str, fault: Fault) -> Step:
    return Step(what, None if is_met else fault)


def of_run(
    name: str, run: Json, deployment: Json | None, taker: Taker | None, now: datetime
) -> Iterator[Step]:
    """Look at a run of a stage, and say what is missing, unless it completed.

    Parameters
    ----------
    name : str
        Of the stage.
    run : dict
    deployment : dict or None
        Its deployment; None where it is gone.
    taker : Taker or None
        Who takes it, where it waits.
    now : datetime
    """
    state = run["state_type"]
    if state == "SCHEDULED":
        yield Step(f"a run of {name} was created at {_at(run['created'])}")
        yield from _waiting(name, run, deployment, taker, now)
    elif state == "COMPLETED":
        yield Step(f"{name} completed at {_since(run)}")
    else:
        yield Step(f"{name} completed", _fault(name, run, now))


def _waiting(
    name: str, run: Json, deployment: Json | None, taker: Taker | None, now: datetime
) -> Iterator[Step]:
    gone = Fault(
        Cause.NOT_DEPLOYED,
        f"the deployment of the run of {name} is gone",
        "`baton deploy`, or `baton up`, and run it again",
    )
    yield _step(deployment is not None, "its deployment is there", gone)
    yield Step("its limit of runs at once is not reached", _full(name, run, deployment or {}))
    due = time_of(run.get("next_scheduled_start_time") or run["expected_start_time"])
    later = Fault(Cause.FUTURE, f"{name} is scheduled for {moment(due or now)}", "wait until then")
    yield _step(due is None or due <= now + _SOON, "it is due", later)
    yield from who(taker or Taker(), now)


def _full(name: str, run: Json, deployment: Json) -> Fault | None:
    limit = deployment.get("global_concurrency_limit") or {}
    is_shut = limit.get("active", True) and limit.get("limit") == 0
    if run["state_name"] != _SLOT and not is_shut:
        return None
    most = counted(int(limit.get("limit") or 0), "run")
    return Fault(
        Cause.CONCURRENCY,
        f"the deployment of {name} may have {most} at once, and has as many",
        "wait for the others, or raise its concurrency_limit in prefect.yaml",
    )


def _fault(name: str, run: Json, now: datetime) -> Fault:
    """What is missing of a run that was taken and did not complete."""
    message = " ".join(str(run["state"].get("message") or "").split())
    chain = chain_id_of_run(run)
    match run["state_type"]:
        case "PAUSED":
            reason = f"{name} waits for a person's approval since {_since(run)}"
            return Fault(Cause.APPROVAL, reason, f"`baton approve {chain}` answers it")
        case "PENDING":
            reason = f"{name} was taken at {_since(run)}, and its process has not begun"
            return Fault(Cause.STARTING, reason, "see the log of what took it, or wait")
        case "FAILED":
            return _failed(name, run, message)
        case "CRASHED" if CANCELLED_LABEL not in run["labels"]:
            n_deaths = int(run["labels"].get(DEATHS_LABEL, 0))
            tried = f", after {n_deaths} of {ATTEMPTS} attempts" if n_deaths else ""
            reason = f"the process of {name} ended: {cause_of_death(message)}{tried}"
            return Fault(Cause.CRASHED, reason, _RECOVERY)
        case "CANCELLED" | "CRASHED":
            return _cancelled(name, message)
    return _at_work(name, run, now)


def _failed(name: str, run: Json, message: str) -> Fault:
    labels, again = run["labels"], "see its log, mend the cause, and run it again"
    if is_given_up(message):
        return Fault(Cause.GIVEN_UP, f"recovery gave {name} up: {message}", _retry(run))
    if error := labels.get(INPUT_ERROR_LABEL):
        return Fault(Cause.FAILED, f"{name} failed: {error}", "put it right, and run it again")
    if BEGAN_LABEL not in labels and "parameters" in message:
        fix = f"send what fits: `baton why {run['id']} --json` shows what it was given"
        return Fault(Cause.PARAMETERS, f"{name} was given what does not fit it: {message}", fix)
    return Fault(Cause.FAILED, f"{name} failed: {message or 'for no reason that it says'}", again)


def _retry(run: Json) -> str:
    return f"mend the cause, and `prefect flow-run retry {run['id']}`"


def _cancelled(name: str, message: str) -> Fault:
    if "concurrency limit" in message:
        fix = "run it again, or let the others wait: collision_strategy ENQUEUE in prefect.yaml"
        return Fault(Cause.CONCURRENCY, f"{name} was cancelled: {message}", fix)
    reason = f"{name} was cancelled{f': {message}' if message else ''}"
    return Fault(Cause.CANCELLED, reason, "run it again")


def _at_work(name: str, run: Json, now: datetime) -> Fault:
    sign = time_of(run["labels"].get(SEEN_LABEL)) or time_of(run["state"]["timestamp"]) or now
    since = f"{name} is at work since {_since(run)}"
    if now - sign > SILENCE_ELSEWHERE:
        return Fault(
            Cause.GOING, f"{since}, without a sign of life since {moment(sign)}", _RECOVERY
        )
    return Fault(Cause.GOING, since, f"wait; `baton status {chain_id_of_run(run)}` shows it")


def _since(run: Json) -> str:
    return _at(run["state"]["timestamp"])


def _at(text: Any) -> str:
    at = time_of(text)
    return moment(at) if at else "a time that nobody knows"
