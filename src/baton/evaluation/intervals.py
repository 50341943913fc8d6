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
    (draws,) = _draws([found], codes, n_drawn, seed)
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
        All metrics if not given. Where a table of confusions says them all, nothing else is drawn;
        nor are medians that are not wanted.

    Returns
    -------
    dict of metric name to (low, high)
        Of the second one's value less the first one's; maybe of more metrics than are wanted.

    Notes
    -----
    Each resample is scored for both, so what is hard for both cancels out. What confusions say of
    rows by themselves needs no rows: how often each triple of a label and both predictions is drawn
    is multinomial. The accuracy's interval of rows by themselves also holds that of Agresti and Min
    (2005), which is not zero wide where both err on the same rows.
    """
    n_rows, n_drawn = len(y_true), resamples(len(y_true), n_resamples)
    codes = None if units is None else np.asarray(units)
    n_units = n_rows if codes is None else len(np.unique(codes))
    if n_units < 2:
        return {}
    held: list[Any] = [
        classified(y_true, output, labels, y_pred, weights)
        if kind is Kind.CLASSIFICATION
        else estimated(y_true, output, weights)
        for output, labels, y_pred in zip(outputs, classes, said, strict=True)
    ]
    first, second = _draws(held, codes, n_drawn, seed, wanted)
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
    held: Sequence[Any],
    codes: Array | None,
    n_drawn: int,
    seed: int,
    wanted: Collection[Metric] | None = None,
) -> list[dict[Metric, Array]]:
    """Each metric, or those that are wanted, of each model in the same resamples."""
    if isinstance(held[0], Estimated):
        kernels = [_regression_kernel(one, wanted) for one in held]
        return _row_draws(kernels, held[0], codes, n_drawn, seed)
    draws = _confusion_draws(held, codes, n_drawn, np.random.default_rng(seed))
    if wanted is not None and all(one.keys() >= set(wanted) for one in draws):
        return draws
    kernels = [_classification_kernel(one, n_drawn) for one in held]
    of_rows = _row_draws(kernels, held[0], codes, n_drawn, seed)
    return [known | more for known, more in zip(draws, of_rows, strict=True)]


def _range(values: Array, n_units: int, level: float) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) < len(values) / 2:
        return None
    low, high = np.quantile(defined, expanded(level, n_units))
    return float(low), float(high)


def _row_draws(
    kernels: Sequence[Kernel],
    held: Classified | Estimated,
    codes: Array | None,
    n_drawn: int,
    seed: int,
) -> list[dict[Metric, Array]]:
    """Metrics of every resample by each kernel, all of the rows that `held` is one of.

    Each resample has a random stream of its own, so threads change nothing.
    """
    import os
    from concurrent.futures import ThreadPoolExecutor

    def draw(child: np.random.SeedSequence) -> list[dict[Metric, float]]:
        drawn = np.random.default_rng(child).integers(0, n_units, n_units)
        counts = np.bincount(drawn, minlength=n_units)
        of_rows = counts if codes is None else counts[codes]
        counted = of_rows if held.weights is None else of_rows * held.weights
        return [kernel(counted) for kernel in kernels]

    n_rows = len(held.predicted)
    n_units = n_rows if codes is None else int(codes.max()) + 1
    children = np.random.SeedSequence([seed, 1]).spawn(n_drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        if n_rows < 10_000:  # threads would only wait for one another
            found = [draw(child) for child in children]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                found = list(pool.map(draw, children))
    return [_columns(of_one) for of_one in zip(*found, strict=True)]


def _columns(found: Sequence[dict[Metric, float]]) -> dict[Metric, Array]:
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _confusion_draws(
    held: Sequence[Classified], codes: Array | None, n_drawn: int, rng: np.random.Generator
) -> list[dict[Metric, Array]]:
    """Metrics of resampled confusion matrices of each model, all drawn as one table of cells."""
    cells = np.stack([one.codes * one.n_classes + one.predicted for one in held])
    places, rows = _distinct(cells)
    n_rows, weights = len(places), held[0].weights
    if codes is None and weights is None:
        drawn = rng.multinomial(n_rows, np.bincount(places) / n_rows, size=n_drawn)
    else:
        units = np.arange(n_rows) if codes is None else codes
        weights = np.ones(n_rows) if weights is None else weights
        drawn = _drawn_by_unit(places, units, weights, n_drawn, rng)
    matrices = (
        _summed(drawn, of_one[rows], one.n_classes) for of_one, one in zip(cells, held, strict=True)
    )
    return [_of_confusion(one) for one in matrices]


def _distinct(cells: Array) -> tuple[Array, Array]:
    """Place of each column among the distinct ones in order, and a column of each place."""
    import pandas as pd

    joint = np.zeros(cells.shape[1], dtype=np.int64)
    for of_one in cells:
        places, known = pd.factorize(of_one, sort=True)
        joint = joint * len(known) + places
    places, known = pd.factorize(joint, sort=True)
    columns = np.empty(len(known), dtype=np.int64)
    columns[places] = np.arange(len(places))
    return places, columns


def _summed(drawn: Array, cells: Array, size: int) -> Array:
    """Confusion matrices of shape (m, size, size) of what is drawn, shape (m, n), by its cells."""
    from scipy.sparse import csr_array

    goes = csr_array((np.ones(len(cells)), (np.arange(len(cells)), cells)), (len(cells), size**2))
    return np.asarray(drawn @ goes).reshape(len(drawn), size, size)


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


def _regression_kernel(held: Estimated, wanted: Collection[Metric] | None = None) -> Kernel:
    n_rows = len(held.actual)
    errors = np.abs(held.actual - held.predicted)
    centred = held.actual - held.actual.mean()
    scale = np.abs(held.actual) if held.actual.all() else np.full(n_rows, np.nan)  # as MAPE
    sums = np.stack([errors**2, errors, errors / scale, centred, centred**2])
    median = _median_kernel(errors) if wanted is None or Metric.MEDIAN_AE in wanted else None

    def kernel(counts: Array) -> dict[Metric, float]:
        square, absolute, part, first, second = _weighted(sums, counts)
        variance = second - first**2
        found = {
            Metric.RMSE: math.sqrt(square),
            Metric.MAE: float(absolute),
            Metric.R2: float(1 - square / variance) if variance > 1e-12 * second else math.nan,
            Metric.MAPE: float(part),
        }
        return found | ({} if median is None else {Metric.MEDIAN_AE: median(counts)})

    return kernel


def _median_kernel(errors: Array) -> Callable[[Array], float]:
    order = np.argsort(errors)

    def kernel(counts: Array) -> float:
        until = np.cumsum(counts[order])
        ranks = np.searchsorted(until, _middle(until[-1]))
        return float(errors[order[ranks]].mean())

    return kernel


def _middle(total: Any) -> list[float]:
    """Where the median is among rows that count so much together: at both ends of the middle."""
    is_whole = isinstance(total, np.integer)
    return [(total - 1) // 2 + 1, total // 2 + 1] if is_whole else [total / 2, total / 2]
