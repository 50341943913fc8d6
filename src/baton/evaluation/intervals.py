"""How uncertain metrics are: bootstrap intervals over the held-out rows, or groups of them.

Pure functions of arrays. What says more than resamples can, of few rows or of rows that were all
right, is in ``small_samples``; the metrics themselves belong in ``metrics``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.held_out import Classified, Estimated, classified, estimated, losses
from baton.evaluation.small_samples import expanded, paired_shares, unseen_ends, wilson
from baton.metric import Metric, names
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    Array = np.ndarray[Any, np.dtype[Any]]
    Kernel = Callable[[Array], dict[Metric, float]]

N_RESAMPLES = 200
"""Bootstrap resamples of an interval, unless there are very many rows."""

_RESAMPLED_ROWS = 300_000_000
_FEWEST_RESAMPLES = 50
_RANKED_CELLS = 3_000_000_000


def resamples(n_rows: int, wanted: int = N_RESAMPLES) -> int:
    """Resamples that :func:`bootstrap` draws: fewer, never below 50, above 1.5 million rows."""
    return min(wanted, max(_FEWEST_RESAMPLES, _RESAMPLED_ROWS // max(n_rows, 1)))


def bootstrap(
    kind: Kind,
    y_true: Any,
    output: Any,
    classes: Sequence[Any] = (),
    *,
    y_pred: Any = None,
    weights: Any = None,
    units: Any = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap interval of every metric: expanded percentiles, Wilson's for the accuracy.

    Parameters
    ----------
    kind, y_true, output, classes, y_pred, weights
        As in :func:`baton.evaluation.metrics.evaluate`.
    units : array-like of shape (n,), optional
        Number of the unit that each row is of, such as a customer: 0, 1, … Whole units are drawn;
        each row by itself if not given.
    n_resamples : int
        See :func:`resamples` for what very many rows make of it.
    level : float in (0, 1)
    seed : int

    Returns
    -------
    dict of metric name to (low, high)
        Of the metrics that `evaluate` gives, those defined in at least half of the resamples.
        None where all rows are of one unit: how units differ is not known then.
        Above 3·10⁹ rows × classes × resamples, ROC AUC and average precision have
        none: their cost is the only one that grows with the classes.

    Notes
    -----
    Percentiles of few units are too narrow, so they are expanded (Hesterberg 2015); where no
    resample differs, which is no proof that no row can, `baton.evaluation.small_samples` widens.

    All rows are resampled: a resample is a count for every row. What a metric needs is reduced
    once, exactly, and weighted by the counts in each resample: means and sums by per-row losses;
    accuracy, MCC and F1 by the confusion matrix, whose resamples are themselves multinomial;
    ROC AUC, average precision and the median by one sort.
    """
    n_rows, n_drawn = len(y_true), resamples(len(y_true), n_resamples)
    codes = None if units is None else np.asarray(units)
    n_units = n_rows if codes is None else len(np.unique(codes))
    if n_rows == 0 or (codes is not None and n_units < 2):
        return {}
    if kind is Kind.CLASSIFICATION:
        found: Classified | Estimated = classified(y_true, output, classes, y_pred, weights)
    else:
        found = estimated(y_true, output, weights)
    draws = _draws(found, codes, n_drawn, seed)
    ranges = {name: _range(draws[name], n_units, level) for name in names(kind) if name in draws}
    ranges |= unseen_ends(found, draws, codes, level)
    if Metric.ACCURACY in ranges and weights is None:
        ranges[Metric.ACCURACY] = wilson(found, draws[Metric.ACCURACY], codes, level)
    return {name.value: one for name, one in ranges.items() if one is not None}


def narrowed(
    low_high: tuple[float, float], sampled: float, value: float, n_sampled: int, n_rows: int
) -> tuple[float, float]:
    """Interval of a metric of many rows, by that of a sample of them.

    Its ends are as far from the value as chance leaves it, which is less by the root of how many
    times more rows there are.

    Examples
    --------
    >>> narrowed((0.8, 0.9), 0.85, 0.86, 100, 10_000)
    (0.855, 0.865)
    """
    part = math.sqrt(min(1.0, n_sampled / n_rows))
    low, high = (round(value + part * (end - sampled), 15) for end in low_high)
    return low, high


def differences(
    kind: Kind,
    y_true: Any,
    outputs: tuple[Any, Any],
    classes: tuple[Sequence[Any], Sequence[Any]] = ((), ()),
    *,
    said: tuple[Any, Any] = (None, None),
    wanted: Collection[Metric] | None = None,
    weights: Any = None,
    units: Any = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Paired bootstrap interval of metrics' difference between two models on the same rows.

    Parameters
    ----------
    kind, y_true, weights, units, n_resamples, level, seed
        As in :func:`bootstrap`.
    outputs : (array-like, array-like)
        What each of the two answers.
    classes : (sequence, sequence)
        Classes of each.
    said : (array-like, array-like)
        Labels that each says; the most probable ones if not given.
    wanted : collection of Metric, optional
        All metrics if not given. Where a table of confusions says them all, nothing else is drawn.

    Returns
    -------
    dict of metric name to (low, high)
        Of the second one's value less the first one's; maybe of more metrics than are wanted.

    Notes
    -----
    Each resample is scored for both, so what is hard for both cancels out. The accuracy's interval
    of rows by themselves also holds that of Agresti and Min (2005), which is not zero wide where
    both err on the same rows.
    """
    n_rows, n_drawn = len(y_true), resamples(len(y_true), n_resamples)
    codes = np.arange(n_rows) if units is None else np.asarray(units)
    n_units = len(np.unique(codes))
    if n_units < 2:
        return {}
    held = [
        classified(y_true, output, labels, y_pred, weights)
        if kind is Kind.CLASSIFICATION
        else estimated(y_true, output, weights)
        for output, labels, y_pred in zip(outputs, classes, said, strict=True)
    ]
    first, second = (_draws(one, codes, n_drawn, seed, wanted) for one in held)
    both = [name for name in names(kind) if name in first and name in second]
    ranges = {name: _range(second[name] - first[name], n_units, level) for name in both}
    if units is None and weights is None and (ends := ranges.get(Metric.ACCURACY)):
        wide = paired_shares(_is_right(held[0]), _is_right(held[1]), level)
        ranges[Metric.ACCURACY] = (min(ends[0], wide[0]), max(ends[1], wide[1]))
    return {name.value: one for name, one in ranges.items() if one is not None}


def _is_right(held: Any) -> Array:
    """Whether each row's label is predicted."""
    found: Array = held.codes == held.predicted
    return found


def _draws(
    held: Classified | Estimated,
    codes: Array | None,
    n_drawn: int,
    seed: int,
    wanted: Collection[Metric] | None = None,
) -> dict[Metric, Array]:
    """Each metric of each resample, or those that are wanted."""
    if isinstance(held, Estimated):
        return _row_draws(_regression_kernel(held), held, codes, n_drawn, seed)
    draws = _confusion_draws(held, codes, n_drawn, np.random.default_rng(seed))
    if wanted is not None and draws.keys() >= set(wanted):
        return draws
    return draws | _row_draws(_classification_kernel(held, n_drawn), held, codes, n_drawn, seed)


def _range(values: Array, n_units: int, level: float) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) < len(values) / 2:
        return None
    low, high = np.quantile(defined, expanded(level, n_units))
    return float(low), float(high)


def _row_draws(
    kernel: Kernel,
    held: Classified | Estimated,
    codes: Array | None,
    n_drawn: int,
    seed: int,
) -> dict[Metric, Array]:
    """Metrics of every resample; each has a random stream of its own, so threads change nothing."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    def draw(child: np.random.SeedSequence) -> dict[Metric, float]:
        drawn = np.random.default_rng(child).integers(0, n_units, n_units)
        counts = np.bincount(drawn, minlength=n_units)
        of_rows = counts if codes is None else counts[codes]
        return kernel(of_rows if held.weights is None else of_rows * held.weights)

    n_rows = len(held.predicted)
    n_units = n_rows if codes is None else int(codes.max()) + 1
    children = np.random.SeedSequence([seed, 1]).spawn(n_drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        if n_rows < 10_000:  # threads would only wait for one another
            found = [draw(child) for child in children]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                found = list(pool.map(draw, children))
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _confusion_draws(
    held: Classified, codes: Array | None, n_drawn: int, rng: np.random.Generator
) -> dict[Metric, Array]:
    """Metrics of resampled confusion matrices."""
    n_rows, size = len(held.codes), held.n_classes
    cells, places, counts = np.unique(
        held.codes * size + held.predicted, return_inverse=True, return_counts=True
    )
    if codes is None and held.weights is None:
        drawn = rng.multinomial(n_rows, counts / n_rows, size=n_drawn)
    else:
        units = np.arange(n_rows) if codes is None else codes
        weights = np.ones(n_rows) if held.weights is None else held.weights
        drawn = _drawn_by_unit(places, units, weights, n_drawn, rng)
    matrices = np.zeros((n_drawn, size * size))
    matrices[:, cells] = drawn
    return _of_confusion(matrices.reshape(n_drawn, size, size))


def _drawn_by_unit(
    places: Array, codes: Array, weights: Array, n_drawn: int, rng: np.random.Generator
) -> Array:
    """Weight of each cell as the units are drawn: array of shape (n_drawn, n_cells)."""
    from scipy.sparse import coo_array

    n_units = int(codes.max()) + 1
    of_units = coo_array((weights, (codes, places))).tocsr()
    every = (rng.integers(0, n_units, n_units) for _ in range(n_drawn))
    return np.stack([np.bincount(one, minlength=n_units) @ of_units for one in every])


def _of_confusion(matrices: Array) -> dict[Metric, Array]:
    """Metrics of confusion matrices of shape (m, k, k), rows true: arrays of shape (m,)."""
    right = np.einsum("mkk->mk", matrices)
    actual, predicted, total = matrices.sum(2), matrices.sum(1), matrices.sum((1, 2))
    n_right = right.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = n_right * total - (actual * predicted).sum(1)
        spread = (total**2 - (predicted**2).sum(1)) * (total**2 - (actual**2).sum(1))
        has_two = (actual > 0).sum(1) > 1
        mcc = np.where(spread > 0, covariance / np.sqrt(spread), 0.0)
        return {
            Metric.ACCURACY: n_right / total,
            Metric.BALANCED_ACCURACY: np.nanmean(_quietly(right, actual), axis=1),
            Metric.MCC: np.where(has_two, mcc, np.nan),
            Metric.F1_MACRO: np.nanmean(_quietly(2 * right, actual + predicted), axis=1),
        }


def _quietly(part: Array, whole: Array) -> Array:
    quotient: Array = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return quotient


def _classification_kernel(held: Classified, n_drawn: int) -> Kernel:
    n_rows, size = held.proba.shape
    if size < 2:
        return lambda counts: {}  # noqa: ARG005
    lost = losses(held)
    is_ranked = held.is_complete and n_rows * size * n_drawn <= _RANKED_CELLS
    rankings = list(_rankings(held)) if is_ranked else []

    def kernel(counts: Array) -> dict[Metric, float]:
        log_loss, brier = _weighted(lost, counts)
        found = {Metric.LOG_LOSS: float(log_loss), Metric.BRIER: float(brier)}
        if rankings:
            few = counts if counts.dtype.kind == "f" else _narrowed(counts)
            areas = np.mean([ranking.areas(few) for ranking in rankings], axis=0)
            found |= {Metric.ROC_AUC: float(areas[0]), Metric.AVERAGE_PRECISION: float(areas[1])}
        return found

    return kernel


def _narrowed(counts: Array) -> Array:
    return counts.astype(np.uint8 if counts.max() < 256 else np.int64)


def _rankings(held: Classified) -> Iterator[_Ranking]:
    ranked = [1] if held.n_classes == 2 else range(held.n_classes)
    for place in ranked:
        yield _Ranking.of(held.proba[:, place], held.codes == place)


@dataclass(frozen=True)
class _Ranking:
    """Rows of one class against the rest, best score first.

    Within one score positives come first; `starts`, `ends` and `tied` are, for every score that
    a positive has, the places where its positives begin and end and where the score ends.
    """

    order: Array
    starts: Array
    ends: Array
    tied: Array

    @classmethod
    def of(cls, scores: Array, positive: Array) -> _Ranking:
        order = np.lexsort((~positive, -scores))
        ordered, is_positive = scores[order], positive[order]
        new_score = np.flatnonzero(np.diff(ordered)) + 1
        starts = np.concatenate([[0], new_score])
        tied = np.concatenate([new_score, [len(order)]])
        has_positive = is_positive[starts]
        starts, tied = starts[has_positive], tied[has_positive]
        until = np.concatenate([[0], np.cumsum(is_positive)])
        ends = starts + until[tied] - until[starts]
        return cls(order, starts, ends, tied)

    def areas(self, counts: Array) -> tuple[float, float]:
        """ROC AUC and average precision when row i counts `counts[i]` times."""
        is_whole = counts.dtype.kind != "f"
        dtype, least = (np.int32, 1) if is_whole else (np.float64, np.finfo(np.float64).tiny)
        until: Any = np.empty(
            len(self.order) + 1, dtype=dtype
        )  # int32: half the memory, half the time
        until[0] = 0
        np.cumsum(counts.take(self.order), out=until[1:])
        begun, ended = until.take(self.starts), until.take(self.tied)
        gained = until.take(self.ends)
        gained -= begun
        hits = np.cumsum(gained, dtype=dtype)
        n_positive = hits[-1].item()
        n_negative = until[-1].item() - n_positive
        if n_positive <= 0 or n_negative <= 0:
            return math.nan, math.nan
        precision = hits / np.maximum(ended, least)
        above = begun - hits
        above += gained
        ended -= hits
        weights = gained.astype(np.float64)
        beaten = _dot(weights, above.astype(np.float64)) + _dot(weights, ended.astype(np.float64))
        area = 1.0 - beaten / (2.0 * n_positive * n_negative)  # the mean of both: ties count half
        return area, _dot(weights, precision) / n_positive


def _dot(a: Array, b: Array) -> float:
    """Product without BLAS, whose own threads only get in the way of ours."""
    return float(np.einsum("i,i", a, b))


def _weighted(values: Array, counts: Array) -> Array:
    """Weighted mean of every line of `values`, shape (m, n), without BLAS."""
    return np.asarray(np.einsum("mn,n->m", values, counts.astype(np.float64)) / counts.sum())


def _regression_kernel(held: Estimated) -> Kernel:
    n_rows = len(held.actual)
    errors = np.abs(held.actual - held.predicted)
    centred = held.actual - held.actual.mean()
    scale = np.abs(held.actual) if held.actual.all() else np.full(n_rows, np.nan)  # as MAPE
    sums = np.stack([errors**2, errors, errors / scale, centred, centred**2])
    order = np.argsort(errors)

    def kernel(counts: Array) -> dict[Metric, float]:
        square, absolute, part, first, second = _weighted(sums, counts)
        until = np.cumsum(counts[order])
        ranks = np.searchsorted(until, _middle(until[-1]))
        variance = second - first**2
        return {
            Metric.RMSE: math.sqrt(square),
            Metric.MAE: float(absolute),
            Metric.MEDIAN_AE: float(errors[order[ranks]].mean()),
            Metric.R2: float(1 - square / variance) if variance > 1e-12 * second else math.nan,
            Metric.MAPE: float(part),
        }

    return kernel


def _middle(total: Any) -> list[float]:
    """Where the median is among rows that count so much together: at both ends of the middle."""
    is_whole = isinstance(total, np.integer)
    return [(total - 1) // 2 + 1, total // 2 + 1] if is_whole else [total / 2, total / 2]
