"""Numbers that float32 cannot tell apart: epoch seconds, long ids, small steps on a large height.

Trees compare in float32. What it would make one value is moved near zero first, or becomes its
place among the training rows' values, which keeps their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

MOST_KNOTS = 4096
"""Values of the training rows between which places are interpolated."""

_LOST = 0.1
"""Part of the distinct fractions that may become one; of whole numbers none may."""


def offset_and_knots(values: Array) -> tuple[float, tuple[float, ...]]:
    """What is subtracted from a column's values, and the values whose places they then become.

    Parameters
    ----------
    values : float64 array of shape (n,)
        Of training rows; NaN where missing.

    Returns
    -------
    float
        0 where float32 holds the values as they are.
    tuple of float
        Empty where float32 holds the values that are left.
    """
    distinct = np.unique(values[np.isfinite(values)])
    if not _is_lossy(distinct):
        return 0.0, ()
    offset = float(distinct[0])
    moved = distinct - offset
    if not _is_lossy(moved):
        return offset, ()
    some = np.linspace(0, len(moved) - 1, min(len(moved), MOST_KNOTS)).round().astype(int)
    return offset, tuple(np.unique(moved[some]).tolist())


def told_apart(values: Array, offset: float, knots: tuple[float, ...]) -> Array:
    """Values moved, or their places among the knots: 0 for the least, NaN where missing."""
    moved = values - offset
    if not knots:
        return moved
    return np.asarray(np.interp(moved, knots, np.arange(len(knots), dtype=np.float64)))


def _is_lossy(distinct: Array) -> bool:
    lost = len(distinct) - len(np.unique(distinct.astype(np.float32)))
    is_whole = bool((distinct % 1 == 0).all()) if lost else False
    return lost > (0 if is_whole else _LOST * len(distinct))
