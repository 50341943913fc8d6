"""Rows picked by chance, from their number alone: the same in every pass over a table.

A draw of all rows at once would need them, or a place for each, in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def chance_of(rows: Array, seed: int) -> Array:
    """A number in [0, 1) for each row, as if drawn; neighbours have nothing in common.

    Parameters
    ----------
    rows : ndarray of shape (n,), int
        Numbers of the rows.
    seed : int

    Notes
    -----
    SplitMix64 (Steele, Lea, Flood 2014) at the row's place in its sequence.

    Examples
    --------
    >>> chance_of(np.arange(3), 0).round(3).tolist()
    [0.883, 0.432, 0.026]
    """
    mixed = (np.asarray(rows).astype(np.uint64) + np.uint64(_begin(seed))) * np.uint64(_STEP)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND)
    mixed ^= mixed >> np.uint64(31)
    found: Array = (mixed >> np.uint64(11)) * 2.0**-53
    return found


def _begin(seed: int) -> int:
    """Where in the sequence a seed begins: far from where its neighbours do."""
    return (1 + seed * _SECOND) & _MASK
