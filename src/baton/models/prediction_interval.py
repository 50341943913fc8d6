"""How far a predicted number may be off: conformal intervals from rows that were not learned from.

Errors often grow with what is predicted, and lean to one side. So the quantiles of the errors are
taken along the prediction, each side by itself, and then all intervals are widened or narrowed by
what makes them hold as many of these rows as is promised (Romano, Patterson, Candès 2019,
Conformalized Quantile Regression, with the prediction as the only column).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_UNITS_A_PART = 100
"""Rows, or groups of them, whose errors make one quantile: of few groups it would be their own."""

_MOST_PARTS = 20
_FEWEST_ROWS = 20


class PredictionInterval(BaseModel):
    """Distances below and above a prediction, along the prediction; ready for JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float
    """Part of the rows that it is to hold."""
    at: tuple[float, ...]
    """Predictions between which distances are interpolated, ascending."""
    below: tuple[float, ...]
    above: tuple[float, ...]

    def of(self, predicted: Array) -> tuple[Array, Array]:
        """Lower and upper ends, each of shape (n,)."""
        low = predicted - np.interp(predicted, self.at, self.below)
        high = predicted + np.interp(predicted, self.at, self.above)
        return low, np.maximum(low, high)


def found(
    actual: Array,
    predicted: Array,
    level: float,
    *,
    weights: Array | None = None,
    units: Array | None = None,
) -> PredictionInterval | None:
    """Interval that holds a part of the rows; None where rows are too few to say.

    Parameters
    ----------
    actual, predicted : array of shape (n,)
        Of rows that the model did not learn from.
    level : float in (0, 1)
    weights : array of shape (n,), optional
    units : array of shape (n,), optional
        Unit of each row, where rows hang together: there are as many observations as units.
    """
    n_units = len(actual) if units is None else len(np.unique(units))
    if n_units < max(_FEWEST_ROWS, 1 / (1 - level)):
        return None
    counts = np.ones(len(actual)) if weights is None else weights
    errors = actual - predicted
    tail = (1 + level) / 2
    at, below, above = [], [], []
    n_parts = max(1, min(_MOST_PARTS, n_units // _UNITS_A_PART))
    for part in np.array_split(np.argsort(predicted, kind="stable"), n_parts):
        at.append(float(np.median(predicted[part])))
        below.append(_quantile(-errors[part], tail, counts[part], len(part)))
        above.append(_quantile(errors[part], tail, counts[part], len(part)))
    beyond = np.maximum(
        -errors - np.interp(predicted, at, below), errors - np.interp(predicted, at, above)
    )
    wider = _quantile(beyond, level, counts, n_units)
    return PredictionInterval(
        level=level,
        at=tuple(at),
        below=tuple(one + wider for one in below),
        above=tuple(one + wider for one in above),
    )


def _quantile(values: Array, level: float, counts: Array, n_units: int) -> float:
    """Quantile of what was seen that holds for one more unit: ⌈(n + 1)·level⌉ of n."""
    if not counts.any():
        return float(values.max())
    raised = min(1.0, level * (1 + 1 / n_units))
    return float(np.quantile(values, raised, weights=counts, method="inverted_cdf"))


def coverage(low: Array, high: Array, actual: Array, weights: Array | None = None) -> float:
    """Part of the rows that lie between the ends."""
    return float(np.average((low <= actual) & (actual <= high), weights=weights))
