"""When a server is asked for runs: as soon as it says that there is one, and else seldom.

A rule of times that knows no server. Hearing what one says belongs in ``serving/listening.py``,
and which of the runs begin is decided in ``serving/serve.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field

SELDOM_SECONDS = 5.0
"""Between two questions where the server is heard: for what it did not say."""

_LEAST_SECONDS = 0.02
_AGAIN_SECONDS = (0.02, 0.04, 0.08, 0.15, 0.3, 0.6)
"""Until it is asked once more for a run that it has told of and does not have yet: it tells a
moment before the run is written down."""
_SECONDS_TO_HEAR = 2.0
_MOST_REMEMBERED = 1000


@dataclass
class Pace:
    """When the server is asked for runs.

    Parameters
    ----------
    often : float
        Seconds between two questions where the server is not heard.
    clock : callable, optional
        Seconds of a clock that never goes back.
    """

    often: float
    clock: Callable[[], float] = time.monotonic
    _hears: bool = False
    _is_deaf: bool = False
    """Whether it hears nothing although there is something: then it is asked often."""
    _is_open: bool = False
    """Whether a question was not answered."""
    _waits: bool = False
    """Whether a run waits for room."""
    _awaited: dict[str, int] = field(default_factory=dict)
    """Runs that were told of and are not found yet, with the number of answers since."""
    _untold: dict[str, float] | None = None
    """Runs that were found, when, and not told of yet; None until it is known what stood before."""
    _known: dict[str, None] = field(default_factory=dict)
    """Runs that were told of, or found, lately."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._woken.set()  # the first question is asked at once

    def hears(self, does: bool) -> None:
        """Know whether the server is heard; it is asked for what it said before."""
        self._hears, self._untold = does, None
        self._woken.set()

    def told(self, run: str) -> None:
        """Know of a run that is to begin, now or later."""
        self._is_deaf &= run in self._known
        self._awaited[run] = 0
        self._remember([run])
        if self._untold:
            self._untold.pop(run, None)
        self._woken.set()

    def ended(self) -> None:
        """Know that a run has ended, which leaves room for another."""
        if self._waits:
            self._woken.set()

    def full(self) -> None:
        """Know that nothing was asked, because there is no room: it is, once a run has ended."""
        self._is_open, self._waits = False, True
        self._awaited.clear()

    def answered(self, due: Collection[str], told: Collection[str], *, are_left: bool) -> None:
        """Know an answer.

        Parameters
        ----------
        due : collection of str
            Runs that are due and not going.
        told : collection of str
            Those among them that a server tells of, unlike runs of schedules.
        are_left : bool
            Whether some of them wait for room.
        """
        self._is_open, self._waits = False, are_left
        later = {run: n + 1 for run, n in self._awaited.items() if run not in due}
        self._awaited = {run: n for run, n in later.items() if n < len(_AGAIN_SECONDS)}
        if self._hears:
            new = set(told) - self._known.keys() if self._untold is not None else ()
            self._untold = {**(self._untold or {}), **dict.fromkeys(new, self.clock())}
        self._remember(due)

    async def due(self) -> None:
        """Wait until it is time to ask."""
        if self._is_open:
            await asyncio.sleep(self.often)
        else:
            await asyncio.sleep(_LEAST_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self.pause())
        self._woken.clear()
        self._is_open = True

    def pause(self) -> float:
        """Seconds until it is asked though nothing is heard."""
        if self._awaited:
            return _AGAIN_SECONDS[min(self._awaited.values())]
        untold = (self._untold or {}).values()
        if any(self.clock() - found > _SECONDS_TO_HEAR for found in untold):
            self._is_deaf, self._untold = True, {}
        is_often = self._waits or self._is_deaf or not self._hears
        return self.often if is_often else SELDOM_SECONDS

    def _remember(self, runs: Collection[str]) -> None:
        self._known |= dict.fromkeys(runs)
        while len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
