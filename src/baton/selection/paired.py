"""Whether one of two answers to the same rows is better by more than noise.

Rows, or whole groups of them, are drawn with replacement, the same ones for both answers (Efron
and Tibshirani 1993, ch. 16). The metrics themselves belong in ``baton.evaluation.metrics``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from baton.evaluation import metrics
from baton.evaluation.small_samples import expanded

_LEVEL = 0.95
_NORMAL = 1.96
"""Standard errors to either side that hold 95 % of a normal distribution."""
_MOST_RESAMPLES = 200
_FEWEST_RESAMPLES = 50
_RESAMPLED_ROWS = 10_000_000


@dataclass(frozen=True)
class Difference:
    """By how much the first of two answers is better than the second, on the same rows."""

    gain: float
    """In the metric; above 0 where the first is better, whichever direction is good."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""

    @property
    def error(self) -> float:
        """Standard error of the gain, about."""
        return (self.high - self.low) / (2 * _NORMAL)

    @property
    def is_clear(self) -> bool:
        """Whether the first is better by more than noise."""
        return self.low > 0


def difference(
    metric: str,
    actual: Any,
    first: Any,
    second: Any,
    classes: Sequence[Any] = (),
    *,
    units: Any = None,
    weights: Any = None,
    seed: int = 0,
) -> Difference | None:
    """Compare two answers; None where the metric is not defined on the rows, or all are one unit.

    Parameters
    ----------
    metric : str
    actual : array of shape (n,)
    first, second : array of shape (n, n_classes) or (n,)
    classes : sequence
    units : array of shape (n,), optional
        Number of the unit that each row is of; whole units are drawn.
    weights : array of shape (n,), optional
        How much each row counts; all the same if not given.
    seed : int
    """
    n_units = len(actual) if units is None else len(np.unique(units))
    if n_units < 2:
        return None
    sign = 1.0 if metrics.GREATER_IS_BETTER[metrics.parse(metric)] else -1.0

    def of_rows(output: Any, rows: Any) -> float | None:
        counts = None if weights is None else weights[rows]
        return metrics.score(metric, actual[rows], output[rows], classes, weights=counts)

    def gain(rows: Any) -> float:
        pair = [of_rows(one, rows) for one in (first, second)]
        return float("nan") if None in pair else sign * (pair[0] - pair[1])  # type: ignore[operator]

    whole = gain(slice(None))
    drawn = np.array([gain(rows) for rows in _draws(len(actual), units, seed)])
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(whole) or len(known) < len(drawn) / 2:
        return None
    low, high = np.quantile(known, expanded(_LEVEL, n_units))
    return Difference(whole, float(low), float(high))


def _draws(n_rows: int, units: Any, seed: int) -> Iterator[Any]:
    """Positions of the rows of each resample."""
    random = np.random.default_rng([seed, 2])
    n_drawn = max(_FEWEST_RESAMPLES, min(_MOST_RESAMPLES, _RESAMPLED_ROWS // max(n_rows, 1)))
    if units is None:
        for _ in range(n_drawn):
            yield random.integers(0, n_rows, n_rows)
        return
    order = np.argsort(units, kind="stable")
    edges = np.flatnonzero(np.diff(np.asarray(units)[order])) + 1
    members = np.split(order, edges)
    for _ in range(n_drawn):
        chosen = random.integers(0, len(members), len(members))
        yield np.concatenate([members[one] for one in chosen])
