"""Deciding which runs were abandoned and which hand-overs were lost.

Pure functions of what the Prefect server and the locks say; asking them and acting on the
answer belongs in ``tasks/platform/recovery.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

GRACE = timedelta(seconds=5)
"""Age from which a run without a living process is abandoned: it had time to take its lock."""

SILENCE = timedelta(seconds=60)
"""Age from which a run that never took its lock, or an event without effect, is given up."""

ATTEMPTS = 3
"""Times that one run is begun before it is left for a person to look at."""


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
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its chain's events."""


def abandoned(
    runs: Iterable[Run], home: str, is_alive: Callable[[str], bool], now: datetime
) -> list[Run]:
    """Runs that the server believes to be going and whose process has ended.

    Parameters
    ----------
    runs : iterable of Run
    home : str
        This machine and home; a run of another one is judged there.
    is_alive : callable
        Tells whether the run of this id holds its lock.
    now : datetime
    """
    return [run for run in runs if _is_abandoned(run, home, is_alive, now)]


def _is_abandoned(run: Run, home: str, is_alive: Callable[[str], bool], now: datetime) -> bool:
    if run.state not in {"RUNNING", "PENDING"} or run.attempts >= ATTEMPTS:
        return False
    age = now - run.since
    if not run.home:
        return age > SILENCE
    return run.home == home and age > GRACE and not is_alive(run.id)


def unanswered(
    runs: Collection[Run], successors: Callable[[Run], Collection[str]], now: datetime
) -> list[Run]:
    """Runs that completed and announced, and that no successor followed.

    A chain that has a younger run of the same stage is judged by that run.

    Parameters
    ----------
    runs : collection of Run
    successors : callable
        Stages that a run's event starts.
    now : datetime
    """
    present = {(run.chain, run.stage) for run in runs}
    latest = {(run.chain, run.stage): run for run in sorted(runs, key=lambda run: run.since)}
    return [
        run
        for (chain, _), run in latest.items()
        if run.state == "COMPLETED"
        and chain
        and now - run.since > SILENCE
        and run.attempts < ATTEMPTS
        and any((chain, successor) not in present for successor in successors(run))
    ]
