"""Whose turn it is: which runs begin now, where more wait than this machine can do at once.

Pure functions; asking for the runs and starting them belongs in ``serving``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from baton.chain.events import TRIAL, Stage

_LATER_FIRST = (Stage.PROMOTE, Stage.NOTEBOOK, Stage.EVALUATE, Stage.TRAIN, Stage.TUNE)
"""A chain that is nearly done ends before another begins."""


@dataclass(frozen=True)
class Waiting:
    """A run that is due."""

    id: str
    flow: str
    """Name of its flow."""
    due: datetime


def has_room(at_work: Iterable[str], most: int) -> bool:
    """Tell whether another run may begin.

    Parameters
    ----------
    at_work : iterable of str
        Flow of each run that is going.
    most : int
        Runs at once.
    """
    flows = list(at_work)
    return _n_counted(flows) < most or Stage.TUNE in flows


def in_turn(waiting: Iterable[Waiting], at_work: Iterable[str], most: int) -> list[str]:
    """Ids of the runs that begin now: later stages first, then what has waited longest.

    A trial is always let in: the search that waits for it has its place already, and as many
    trials as it wants at once.

    Parameters
    ----------
    waiting : iterable of Waiting
    at_work : iterable of str
        Flow of each run that is going.
    most : int
        Runs at once.
    """
    in_order = sorted(waiting, key=lambda run: (_rank(run.flow), run.due))
    trials = [run.id for run in in_order if run.flow == TRIAL]
    others = [run.id for run in in_order if run.flow != TRIAL]
    return trials + others[: max(0, most - _n_counted(at_work))]


def _n_counted(flows: Iterable[str]) -> int:
    return sum(flow != TRIAL for flow in flows)


def _rank(flow: str) -> int:
    ranks = {stage.value: rank for rank, stage in enumerate(_LATER_FIRST)}
    return ranks.get(flow, len(ranks))
