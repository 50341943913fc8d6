"""Telling the server what arrived: in order, each until a run of its chain is seen.

What an arrival is stands in ``baton.chain.arrivals``; what is checked before it is entered in
``tasks/arrivals.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from filelock import FileLock, Timeout
from prefect import task

from baton.chain import arrivals
from baton.chain.arrivals import Arrival, Progress, State
from baton.chain.events import Stage
from baton.chain.runs import chain_id_of_run
from baton.settings import settings
from tasks.platform import api
from tasks.platform.events import access, tell_attempt

log = logging.getLogger(__name__)

_PAGE = 200
_POLL_SECONDS = 0.01
_WAIT_SECONDS = 60.0
"""How long one who announces waits for another who tells; what is kept is told by the next look."""
_CLOCKS_DIFFER = timedelta(minutes=1)
_GIVEN_UP = (
    f"it was told {arrivals.MOST_TOLD} times and no run came of it: see that the automations of"
    " the server are on, and announce it again"
)


def tell_kept(there: api.Access, last: int | None = None) -> None:
    """Tell the server, in their order, of the arrivals that nobody has told it of.

    Parameters
    ----------
    there : Access
    last : int, optional
        Number of the last of them; all if not given.

    Raises
    ------
    ApiError
        If the server does not acknowledge one: it and those after it stay kept.
    """
    with _telling(_WAIT_SECONDS) as is_alone:
        if is_alone:
            kept = (one for one in arrivals.unsettled(settings()) if one.state is State.KEPT)
            _tell([one for one in kept if last is None or one.number <= last], there)


def tell_untold(there: api.Access | None = None) -> list[int]:
    """Look after the arrivals: whose chain has begun, who is to be told, again or at all.

    Parameters
    ----------
    there : Access, optional
        Server that is asked and told; that of this process's settings if not given.

    Returns
    -------
    list of int
        Numbers of those that were told, or given up.
    """
    if not arrivals.unsettled(settings()):
        return []
    server = there or access()
    with _telling(0) as is_alone:
        if not is_alone:
            return []
        waiting = _settle(arrivals.unsettled(settings()), server)
        again = arrivals.unheard(waiting, arrivals.progress(settings()), datetime.now(UTC))
        lost = {one.number for one in again if arrivals.is_given_up(one)}
        due = {one.number for one in again} - lost
        due |= {one.number for one in waiting if one.state is State.KEPT}
        _give_up(one for one in waiting if one.number in lost)
        _tell((one for one in waiting if one.number in due), server)
        return sorted(lost | due)


@task(name="tell of arrivals", persist_result=False)
def tell_untold_once() -> list[int]:
    """Look after the arrivals, where no serve process does."""
    return tell_untold()


@contextmanager
def _telling(seconds: float) -> Iterator[bool]:
    """One who tells at a time, lest a later one be told before: whether it is us, in this time."""
    place = settings().locks / "telling.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place, poll_interval=_POLL_SECONDS)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _tell(due: Iterable[Arrival], there: api.Access) -> None:
    for one in due:
        assert one.event is not None
        refused = ""
        try:
            tell_attempt(one.event, one.id, one.attempts + 1, there)
        except api.UnauthorizedError:
            raise
        except api.RefusedError as error:
            refused = f"refused: {error}"
            log.warning("arrival %d, %s: %s", one.number, one.source, refused)
        told = {"told": datetime.now(UTC), "attempts": one.attempts + 1, "reason": refused}
        arrivals.changed(settings(), one, state=State.TOLD, **told)


def _give_up(lost: Iterable[Arrival]) -> None:
    for one in lost:
        reason = one.reason or _GIVEN_UP
        log.warning("arrival %d, %s, is lost: %s", one.number, one.source, reason)
        arrivals.changed(settings(), one, state=State.LOST, reason=reason)


def _settle(waiting: list[Arrival], there: api.Access) -> list[Arrival]:
    """Mark those whose chain has begun as taken; return the others."""
    told = [one for one in waiting if one.state is State.TOLD]
    begun = _begun(min(one.at for one in told), there) if told else set()
    taken = [one for one in told if one.chain in begun]
    if taken:
        last = max(arrivals.progress(settings()).number, *(one.number for one in taken))
        Progress(last, datetime.now(UTC)).keep(settings())
    for one in taken:
        arrivals.changed(settings(), one, state=State.TAKEN)
    return [one for one in waiting if one.chain not in begun]


def _begun(since: datetime, there: api.Access) -> set[str]:
    """Ids of the chains that have begun since then, those that wait to start among them."""
    conditions: dict[str, Any] = {
        "flows": {"name": {"any_": [Stage.GENERATE.value, Stage.PREDICT.value]}},
        "flow_runs": {"expected_start_time": {"after_": (since - _CLOCKS_DIFFER).isoformat()}},
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": _PAGE,
    }
    found: list[dict[str, Any]] = []
    with api.Client(there) as client:
        while True:
            page = client.post("flow_runs/filter", conditions | {"offset": len(found)})
            found += page
            if len(page) < _PAGE:
                return {chain_id_of_run(run) for run in found}
