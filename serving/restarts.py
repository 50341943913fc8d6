"""When what has died is started again: soon, then later and later, and not for ever.

A pure rule of times. Starting and ending processes belongs in ``serving/child.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_SECONDS_COUNTED = 60.0


@dataclass
class Restarts:
    """Deaths of a process that should live.

    Examples
    --------
    >>> restarts = Restarts(most=3)
    >>> [restarts.pause(now) for now in (0.0, 1.0, 2.0)]
    [0.5, 1.0, None]
    """

    most: float = math.inf
    """Deaths within a minute, or without having stood once, of one that cannot stay up."""
    _deaths: list[float] = field(default_factory=list)
    _stood: float = -math.inf

    def pause(self, now: float) -> float | None:
        """Count a death.

        Parameters
        ----------
        now : float
            Seconds of a clock that never goes back.

        Returns
        -------
        float or None
            Seconds to wait before it is started again; None if it cannot stay up.
        """
        self._deaths = [at for at in self._deaths if self._counts(at, now)] + [now]
        if len(self._deaths) >= self.most:
            return None
        doubled: float = _FIRST_PAUSE_SECONDS * 2.0 ** min(len(self._deaths) - 1, 10)
        return min(doubled, _LONGEST_PAUSE_SECONDS)

    def _counts(self, at: float, now: float) -> bool:
        return at > self._stood or now - at < _SECONDS_COUNTED

    @property
    def is_endless(self) -> bool:
        """Whether it is started again however often it dies."""
        return math.isinf(self.most)

    def stood(self, now: float) -> None:
        """Know that it does what it is for; deaths of more than a minute ago are forgotten."""
        self._stood = now
