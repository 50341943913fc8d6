"""How much time there is, and whether something more fits in.

Time is counted by what was done in it, so that a process that goes on after another was killed
counts what both did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from baton.selection.portfolio import Candidate


@dataclass(frozen=True)
class Budget:
    """Seconds that may be spent.

    Examples
    --------
    >>> Budget(60.0).fits(spent=50.0, expected=9.0), Budget(60.0).fits(spent=50.0, expected=11.0)
    (True, False)
    """

    seconds: float
    at_once: int = 1
    """How many things go at the same time."""
    afterwards: float = 0.0
    """Seconds of work that each second spent brings about later."""

    def fits(self, spent: float, expected: float) -> bool:
        """Tell whether something is expected to end in time.

        Parameters
        ----------
        spent : float
            Seconds of what was done, whether or not at the same time.
        expected : float
            Seconds that it will take.
        """
        total = (spent / self.at_once + expected) * (1 + self.afterwards)
        return total <= self.seconds


def expected_seconds(candidate: Candidate, done: Sequence[tuple[Candidate, float]]) -> float:
    """Seconds that a candidate will take, by those that are done: of its family, or of any.

    Parameters
    ----------
    candidate : Candidate
    done : sequence of (Candidate, seconds)

    Returns
    -------
    float, in s
        0 where nothing is done: there is nothing to go by.
    """
    known = [one for one in done if one[0].family == candidate.family] or list(done)
    if not known:
        return 0.0
    return candidate.cost * sum(s for _, s in known) / sum(one.cost for one, _ in known)
