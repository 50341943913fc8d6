"""Deciding which runs were abandoned, which are given up, and which hand-overs were lost.

Pure functions of what the Prefect server and the locks say; asking them and acting on the
answer belongs in ``tasks/platform/recovery.py``.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

GRACE = timedelta(seconds=10)
"""Age from which a run without a living process is abandoned: it had time to take its lock."""

SILENCE = timedelta(seconds=60)
"""Age from which a run that never took its lock is given up."""

SILENCE_ON_WORKER = timedelta(minutes=2)
"""The same where a worker starts its process, which imports everything first."""

SILENCE_OF_CONTAINER = timedelta(minutes=10)
"""The same where a container may have to be fetched first."""

BEAT = timedelta(seconds=30)
"""Time between two signs of life that a run gives to those who cannot see its lock."""

SILENCE_ELSEWHERE = 10 * BEAT
"""Time without one after which a run of another home is taken for dead."""

UNANSWERED = timedelta(seconds=20)
"""Age from which an event without effect is announced again; twice as long each time."""

FORGOTTEN = timedelta(days=7)
"""Age from which a run that crashed is left as it is: nobody waits for it any more."""

ATTEMPTS = 3
"""Deaths of its own process, or announcements in vain, after which a run is given up."""

UNHEARD = (
    f"no stage followed, though it announced {ATTEMPTS + 1} times; see that the automations of"
    " this server are on, and run it again"
)
"""What is said of a run that is given up because nobody followed."""

AHEAD = timedelta(minutes=1)
"""Time by which a state may be ahead of the clock here; by more, and the clock was set back."""

RESTARTS = 100
"""Times that a run is begun again for the faults of others before it is given up."""

TEMPORARY = 75
"""Exit code of a run that ended for another's fault: its template, or its server, went away.

It is ``EX_TEMPFAIL`` of BSD's ``sysexits.h``: the user is invited to retry.
"""

_LONG = timedelta(days=1)
_MEBIBYTE = 2**20
_EXIT_CODE = re.compile(r"status code:? (-?\d+)")
_GIVEN_UP = re.compile(r"its process died \d+ times|begun again \d+ times")
_FROM_OUTSIDE = {-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT}
_KILLED = {-signal.SIGKILL, 128 + signal.SIGKILL}
_NOT_BEGUN = {"SCHEDULED", "PENDING"}
_GOING = {"RUNNING", "PENDING", "CANCELLING"}


@dataclass(frozen=True)
class Run:
    """What is known of one stage run."""

    id: str
    stage: str
    chain: str
    """Empty if the run did not come far enough to say."""
    state: str
    """Type of its state: RUNNING, PENDING, COMPLETED and so on."""
    since: datetime
    home: str
    """Where its lock is; empty if the run did not come far enough to say."""
    attempts: int
    """Times that its own process died; of one that completed, that it announced in vain."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its chain's events."""
    message: str = ""
    """What its state says."""
    seen: datetime | None = None
    """Its last sign of life, if it gave one."""
    restarts: int = 0
    """Times that it was begun again for another's fault."""
    start_within: timedelta = SILENCE
    """Longest that it may take until it holds its lock."""
    is_cancelled: bool = False
    """Whether somebody cancelled it."""


Followers = Callable[[Run], Collection[tuple[str, str]]]
"""Tells chain and stage of each run that a run's event starts."""


class Action(StrEnum):
    """What becomes of a run that will not go on by itself."""

    BEGIN_AGAIN = "begin again"
    GIVE_UP = "give up"
    CANCEL = "cancel"


@dataclass(frozen=True)
class Verdict:
    """What is done about a run, and why."""

    run: Run
    action: Action
    reason: str
    attempts: int
    restarts: int


def exit_code(message: str) -> int | None:
    """Exit code of a run's process as a runner or worker tells it; negative for a signal.

    Examples
    --------
    >>> exit_code("Process exited with status code: -9. Process exited due to a SIGKILL signal.")
    -9
    >>> exit_code("Flow run infrastructure exited with non-zero status code 1.")
    1
    """
    found = _EXIT_CODE.search(message)
    return int(found[1]) if found else None


def is_own_death(run: Run) -> bool:
    """Tell whether a run crashed by what its own process did.

    The end of what runs it (a serve process, template, worker or server) is not its own.
    """
    code = exit_code(run.message) if run.state == "CRASHED" else None
    return code is not None and code not in {0, TEMPORARY, *_FROM_OUTSIDE}


def cause_of_death(message: str, n_bytes: int | None = None) -> str:
    """Say how a run's process ended.

    Parameters
    ----------
    message : str
        Of its crashed state.
    n_bytes : int, optional
        Most memory that it used, if that is known.
    """
    code = exit_code(message)
    if code is None:
        return message or "for an unknown reason"
    number = code - 128 if code in _KILLED and code > 0 else -code
    said = [f"killed by signal {number}" if number > 0 else f"exit code {code}"]
    if n_bytes:
        said.append(f"at most {n_bytes / _MEBIBYTE:.0f} MiB of memory used")
    if code in _KILLED:
        said.append("likely out of memory")
    return ", ".join(said)


def abandoned(
    runs: Iterable[Run],
    home: str,
    is_alive: Callable[[str], bool],
    now: datetime,
    alone_since: datetime | None = None,
) -> list[Run]:
    """Runs that will not go on by themselves: crashed, or going and their process has ended.

    Nor does one that waits for a time far ahead, because the clock was set back since.

    Parameters
    ----------
    runs : iterable of Run
    home : str
        This machine and home; a run of another one is judged there while it shows signs of life.
    is_alive : callable
        Tells whether the run of this id holds its lock.
    now : datetime
    alone_since : datetime, optional
        When the one serve process of the server began, if there is but one: whatever was on its
        way before is not any more.
    """
    return [run for run in runs if _is_abandoned(run, home, is_alive, now, alone_since)]


def _is_abandoned(
    run: Run,
    home: str,
    is_alive: Callable[[str], bool],
    now: datetime,
    alone_since: datetime | None,
) -> bool:
    if run.state in _NOT_BEGUN and _is_ahead(run, now):
        return True  # it waits for a time that will not come for long
    is_here = run.home in {"", home}
    if run.state == "CRASHED":
        return not is_alive(run.id) if is_here else now - (run.seen or run.since) > 2 * BEAT
    if run.state not in _GOING or is_alive(run.id):
        return False
    return _has_been_silent(run, now, alone_since, is_here=is_here)


def _has_been_silent(
    run: Run, now: datetime, alone_since: datetime | None, *, is_here: bool
) -> bool:
    age = _age(run, now)
    if alone_since and is_here and run.since < alone_since:
        return age > GRACE
    if run.state == "PENDING" or not run.home:
        return age > run.start_within
    if is_here:
        return age > GRACE
    return min(age, now - (run.seen or run.since)) > SILENCE_ELSEWHERE


def _is_ahead(run: Run, now: datetime) -> bool:
    return run.since > now + AHEAD


def _age(run: Run, now: datetime) -> timedelta:
    """Time since a run came into its state; long, if the clock was set back since."""
    return _LONG if _is_ahead(run, now) else now - run.since


def judge(run: Run, n_bytes: int | None = None) -> Verdict:
    """Decide what becomes of an abandoned run.

    Parameters
    ----------
    run : Run
    n_bytes : int, optional
        Most memory that its last process used, if that is known.
    """
    is_own = is_own_death(run)
    attempts, restarts = run.attempts + is_own, run.restarts + (not is_own)
    action, reason = Action.BEGIN_AGAIN, "its process ended; begun again"
    if run.state == "CANCELLING" or run.is_cancelled:
        action, reason = Action.CANCEL, "its process ended before it was cancelled"
    elif attempts >= ATTEMPTS:
        cause = cause_of_death(run.message, n_bytes)
        reason = f"its process died {attempts} times, the last time {cause}; {_advice(run)}"
        action = Action.GIVE_UP
    elif restarts > RESTARTS:
        action = Action.GIVE_UP
        reason = f"begun again {RESTARTS} times, and each time what ran it ended; see its log"
    elif run.state in _NOT_BEGUN:
        reason = "it did not come to its first line; begun again"
    elif is_own:
        reason = f"{cause_of_death(run.message, n_bytes)}; begun again"
    return Verdict(run, action, reason, attempts, restarts)


def is_given_up(message: str) -> bool:
    """Tell by what a failed run's state says whether it was given up."""
    return message == UNHEARD or _GIVEN_UP.match(message) is not None


def _advice(run: Run) -> str:
    if exit_code(run.message) in _KILLED:
        return "free memory or use fewer rows, and run it again"
    return "see its log, mend the cause, and run it again"


def unanswered(runs: Collection[Run], followers: Followers, now: datetime) -> list[Run]:
    """Runs that completed and announced, and that nobody followed.

    A chain that has a younger run of the same stage is judged by that run.

    Parameters
    ----------
    runs : collection of Run
    followers : callable
        Chain and stage of each run that a run's event starts.
    now : datetime
    """
    lost = _unfollowed(runs, followers)
    due = [run for run in lost if _age(run, now) > UNANSWERED * 2**run.attempts]
    return [run for run in due if run.attempts < ATTEMPTS]


def unheard(runs: Collection[Run], followers: Followers, now: datetime) -> list[Run]:
    """Runs that announced as often as they may, and that nobody followed."""
    lost = _unfollowed(runs, followers)
    spent = [run for run in lost if run.attempts >= ATTEMPTS]
    return [run for run in spent if _age(run, now) > UNANSWERED * 2**run.attempts]


def answered(runs: Collection[Run], followers: Followers) -> list[Run]:
    """Runs that completed and that nothing is left to be done about."""
    lost = {run.id for run in _unfollowed(runs, followers)}
    return [run for run in runs if run.state == "COMPLETED" and run.id not in lost]


def _unfollowed(runs: Collection[Run], followers: Followers) -> list[Run]:
    present = {(run.chain, run.stage) for run in runs}
    latest = {(run.chain, run.stage): run for run in sorted(runs, key=lambda run: run.since)}
    return [
        run
        for (chain, _), run in latest.items()
        if run.state == "COMPLETED"
        and chain
        and any(follower not in present for follower in followers(run))
    ]


@dataclass(frozen=True)
class Subflow:
    """A run inside another one's process, which the server believes to be going."""

    id: str
    since: datetime
    parent_state: str
    """Type of the other one's state; empty if it is gone."""
    parent_since: datetime
    """When the other one came into it."""


def orphaned(subflows: Iterable[Subflow]) -> list[Subflow]:
    """Subflows whose parent ended, or was begun again after them: a subflow ends with its parent.

    Parameters
    ----------
    subflows : iterable of Subflow
    """
    return [
        one
        for one in subflows
        if one.parent_state not in {"RUNNING", "CANCELLING"} or one.since < one.parent_since
    ]
