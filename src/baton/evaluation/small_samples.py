"""What intervals must say where resamples cannot: of few rows, and where all rows were right.

Pure functions of arrays. Drawing resamples belongs in ``intervals``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.held_out import Classified, Estimated
from baton.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, np.dtype[Any]]
    Range = tuple[float, float]

_OF_CLASSES = {
    Metric.BALANCED_ACCURACY,
    Metric.MCC,
    Metric.F1_MACRO,
    Metric.ROC_AUC,
    Metric.AVERAGE_PRECISION,
}
"""Metrics in which the rarest class counts as much as the others."""


def expanded(level: float, n_units: int) -> tuple[float, float]:
    """Quantiles of the resamples that are as far out as Student's t is beyond the normal.

    Parameters
    ----------
    level : float in (0, 1)
    n_units : int
        Rows, or groups of them, that were drawn.

    Notes
    -----
    Percentiles of n units are too narrow by about √((n − 1)/n), and by what the normal differs
    from Student's t: the expanded percentile interval of Hesterberg (2015), *What Teachers Should
    Know About the Bootstrap*.

    Examples
    --------
    >>> [round(one, 4) for one in expanded(0.95, 10)], round(expanded(0.95, 10_000)[0], 4)
    ([0.0086, 0.9914], 0.025)
    """
    from scipy import stats

    if n_units < 2:
        return 0.0, 1.0
    t = stats.t.ppf((1 - level) / 2, n_units - 1)
    tail = float(stats.norm.cdf(t * math.sqrt(n_units / (n_units - 1))))
    return tail, 1 - tail


def wilson(
    held: Classified | Estimated, draws: Array, codes: Array | None, level: float
) -> Range | None:
    """Wilson's interval of the accuracy; of units, at the number of rows that they are worth.

    That number is what makes the variance of the resamples binomial (the effective sample size),
    at most the number of rows; where the resamples do not differ, the number of units.
    """
    from scipy.stats import binomtest

    if not isinstance(held, Classified):
        return None
    right, n_rows = int((held.codes == held.predicted).sum()), len(held.codes)
    n_worth = n_rows if codes is None else _worth(right / n_rows, draws, codes)
    found = binomtest(round(right / n_rows * n_worth), n_worth).proportion_ci(level, "wilson")
    return float(found.low), float(found.high)


def paired_shares(first: Array, second: Array, level: float) -> Range:
    """Interval of the second share less the first, of the same rows: Agresti and Min's.

    Half a row is added to each of the four cells (Agresti & Min 2005, Statistics in Medicine 24).

    Examples
    --------
    >>> right = np.ones(50, dtype=bool)
    >>> [round(one, 3) for one in paired_shares(right, right, 0.95)]
    [-0.038, 0.038]
    """
    from scipy import stats

    n_rows = len(first) + 2
    lost, gained = (first & ~second).sum() + 0.5, (second & ~first).sum() + 0.5
    centre = (gained - lost) / n_rows
    deviation = math.sqrt(gained + lost - (gained - lost) ** 2 / n_rows) / n_rows
    reach = float(stats.norm.ppf((1 + level) / 2)) * deviation
    return max(-1.0, float(centre - reach)), min(1.0, float(centre + reach))


def _worth(accuracy: float, draws: Array, codes: Array) -> int:
    n_units, variance = len(np.unique(codes)), float(np.var(draws))
    if variance == 0 or accuracy in {0.0, 1.0}:
        return n_units
    variance *= n_units / (n_units - 1)
    return max(1, min(len(codes), round(accuracy * (1 - accuracy) / variance)))


def unseen(n_units: int, level: float) -> float:
    """Largest part of all units that may differ from those that were seen, which were all alike.

    The rule of three, exactly: 1 − (α/2)^(1/n).

    Examples
    --------
    >>> round(unseen(50, 0.95), 4), round(unseen(3, 0.95), 3)
    (0.0711, 0.708)
    """
    return float(1 - ((1 - level) / 2) ** (1 / n_units))


def unseen_ends(
    held: Classified | Estimated, draws: Mapping[Metric, Array], codes: Array | None, level: float
) -> dict[Metric, Range]:
    """Intervals of the metrics that no resample changes, as far as they could be worse.

    A part :func:`unseen` of all units may be answered as badly as can be: metrics of classes at
    their worst value; losses at that of one who knows nothing, equal probabilities or the mean.
    Units are counted in the rarest class where it counts as much as the others.

    Returns
    -------
    dict of metric to (low, high)
        Of the metrics that need it; MAPE never does: relative errors know no worst.
    """
    worst, found = _worst(held), {}
    for name, values in draws.items():
        defined = values[np.isfinite(values)]
        if name in worst and len(defined) and np.ptp(defined) < 1e-12:
            part = unseen(_seen(name, held, codes), level)
            ends = float(defined[0]), float((1 - part) * defined[0] + part * worst[name])
            found[name] = (min(ends), max(ends))
    return found


def _seen(name: Metric, held: Classified | Estimated, codes: Array | None) -> int:
    """Units that a metric has seen of every class."""
    n_rows = len(held.predicted)
    units = np.arange(n_rows) if codes is None else codes
    if isinstance(held, Estimated) or name not in _OF_CLASSES:
        return len(np.unique(units))
    return min(len(np.unique(units[held.codes == code])) for code in np.unique(held.codes))


def _worst(held: Classified | Estimated) -> dict[Metric, float]:
    """Value of each metric on rows that are answered as badly as can be, or knowing nothing."""
    if isinstance(held, Classified):
        size = held.n_classes
        of_classes = dict.fromkeys(_OF_CLASSES, 0.0)
        halved = 0.5 if size == 2 else 1.0
        losses = {Metric.LOG_LOSS: math.log(size), Metric.BRIER: halved * (1 - 1 / size)}
        return of_classes | losses | {Metric.MCC: -1.0}
    centred = held.actual - held.actual.mean()
    return {
        Metric.RMSE: float(np.sqrt((centred**2).mean())),
        Metric.MAE: float(np.abs(centred).mean()),
        Metric.MEDIAN_AE: float(np.median(np.abs(held.actual - np.median(held.actual)))),
        Metric.R2: 0.0,
    }
