"""Metrics of held-out rows that are gone through part by part; what is kept does not grow.

Those of rows in memory, which these agree with, belong in ``metrics``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.held_out import Classified, Estimated, classified, estimated, losses
from baton.evaluation.metrics import Scores, measure
from baton.metric import Metric, names
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[Any]]

APPROXIMATE = (Metric.ROC_AUC, Metric.AVERAGE_PRECISION, Metric.MEDIAN_AE)
"""Metrics that want all rows in order; here values in one bin of many count as the same."""

_BINS = 2**20
_BINS_IN_ALL = 2**23
_HALF = int(np.float32(0.5).view(np.uint32))
_INFINITE = int(np.float32(np.inf).view(np.uint32))
_OF_CONFUSION = (Metric.ACCURACY, Metric.BALANCED_ACCURACY, Metric.MCC, Metric.F1_MACRO)


class Tally:
    """What is known of held-out rows so far."""

    def __init__(self, kind: Kind, classes: Sequence[Any] = ()) -> None:
        self.kind = kind
        self._of: _Classes | _Numbers
        self._of = _Classes(classes) if kind is Kind.CLASSIFICATION else _Numbers()

    def add(self, y_true: Any, output: Any, *, y_pred: Any = None, weights: Any = None) -> None:
        """Take some rows: what is asked of them is said by :func:`baton.evaluation.evaluate`."""
        self._of.add(y_true, output, y_pred, weights)

    def scores(self) -> Scores:
        """Metrics of all rows so far, those in `APPROXIMATE` to some 1e-4."""
        found = self._of.values()
        given = {name: found.get(Metric(name)) for name in names(self.kind)}
        return Scores({n: float(v) for n, v in given.items() if v is not None and math.isfinite(v)})


class _Classes:
    """Confusion matrix, sums of losses, and for each class how many rows have which probability."""

    def __init__(self, classes: Sequence[Any]) -> None:
        self.classes = tuple(classes)
        self.confusion = np.zeros((len(self.classes),) * 2)
        self.losses, self.weight = np.zeros(2), 0.0
        self.shift = _shift(min(_BINS, _BINS_IN_ALL // max(len(self.classes), 1)))
        self.bins = np.zeros((len(self.classes), 2, 2 * ((_HALF >> self.shift) + 1)))

    def add(self, y_true: Any, output: Any, y_pred: Any, weights: Any) -> None:
        proba = np.asarray(output, dtype=np.float64)
        padded = np.zeros((len(proba), len(self.classes)))
        padded[:, : proba.shape[1]] = proba
        held = classified(y_true, padded, self.classes, y_pred, weights)
        self._grow(held.classes)
        counts = np.ones(len(held.codes)) if held.weights is None else held.weights
        cells = held.codes * held.n_classes + held.predicted
        found = np.bincount(cells, counts, minlength=held.n_classes**2)
        self.confusion += found.reshape(held.n_classes, -1)
        log_loss, brier = losses(held) @ counts
        self.losses += (log_loss, brier if held.n_classes > 2 else 2 * brier)
        self.weight += counts.sum()
        for code in range(len(self.bins)):
            self._rank(code, held.proba[:, code], held.codes == code, counts)

    def _grow(self, classes: tuple[Any, ...]) -> None:
        """Make room for classes that no earlier row had."""
        more = len(classes) - len(self.classes)
        self.confusion = np.pad(self.confusion, (0, more))
        self.classes = classes

    def _rank(self, code: int, scores: Array, is_it: Array, counts: Array) -> None:
        where = _binned(scores, self.shift)
        for side, chosen in enumerate((~is_it, is_it)):
            self.bins[code, side] += np.bincount(
                where[chosen], counts[chosen], minlength=self.bins.shape[2]
            )

    def values(self) -> dict[Metric, float | None]:
        if not self.weight:
            return {}
        held = self._as_rows()
        found = {name: measure(name, held) for name in _OF_CONFUSION}
        if held.n_classes > 1:
            log_loss, squares = self.losses / self.weight
            found |= {Metric.LOG_LOSS: log_loss}
            found |= {Metric.BRIER: squares if held.n_classes > 2 else squares / 2}
        if held.is_complete:
            areas = np.mean(self._areas(), axis=0)
            found |= {Metric.ROC_AUC: areas[0], Metric.AVERAGE_PRECISION: areas[1]}
        return found

    def _areas(self) -> list[tuple[float, float]]:
        """ROC AUC and average precision of each class; of two, of the second."""
        if len(self.classes) == 2:
            return [_areas(*self.bins[1])]
        unseen = self.confusion.sum(axis=1)[len(self.bins) :] / self.weight
        return [*(_areas(*one) for one in self.bins), *((0.5, share) for share in unseen)]

    def _as_rows(self) -> Classified:
        """A row for each cell of the confusion matrix, which counts as often as the cell says."""
        actual, predicted = np.nonzero(self.confusion)
        counts, n_present = self.confusion[actual, predicted], len(np.unique(actual))
        return Classified(actual, self.confusion, predicted, self.classes, n_present, counts)


class _Numbers:
    """Sums of errors and of targets, and how many rows have an error of which size."""

    def __init__(self) -> None:
        self.sums = np.zeros(6)
        self.first = math.nan
        self.range = (math.inf, -math.inf)
        self.has_zero = False
        self.shift = _shift(2 * _BINS, _INFINITE)
        self.bins = np.zeros((2, (_INFINITE >> self.shift) + 1))

    def add(self, y_true: Any, output: Any, y_pred: Any, weights: Any) -> None:  # noqa: ARG002
        held = estimated(y_true, output, weights)
        if not len(held.actual):
            return
        counts = np.ones(len(held.actual)) if held.weights is None else held.weights
        self._look(held)
        apart, errors = held.actual - self.first, np.abs(held.actual - held.predicted)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = errors / np.abs(held.actual)
        terms = (np.ones(len(errors)), errors, errors**2, apart, apart**2, parts)
        self.sums += [counts @ one for one in terms]
        where = errors.astype(np.float32).view(np.uint32) >> self.shift
        for side, term in enumerate((counts, counts * errors)):
            self.bins[side] += np.bincount(where, term, minlength=self.bins.shape[1])

    def _look(self, held: Estimated) -> None:
        """Keep the first target, from which the others are counted, and what range they have."""
        self.first = held.actual[0] if math.isnan(self.first) else self.first
        low, high = self.range
        self.range = (min(low, held.actual.min()), max(high, held.actual.max()))
        self.has_zero = self.has_zero or not held.actual.all()

    def values(self) -> dict[Metric, float | None]:
        weight, errors, squares, apart, apart_squares, parts = self.sums
        if not weight:
            return {}
        spread = apart_squares - apart**2 / weight
        is_varied = self.range[0] < self.range[1]
        return {
            Metric.RMSE: math.sqrt(squares / weight),
            Metric.MAE: errors / weight,
            Metric.MEDIAN_AE: self._median(),
            Metric.R2: 1.0 - squares / spread if is_varied and spread > 0 else None,
            Metric.MAPE: None if self.has_zero else parts / weight,
        }

    def _median(self) -> float:
        """Mean of the errors in the bin that holds the median."""
        until = np.cumsum(self.bins[0])
        place = int(np.searchsorted(until, until[-1] / 2))
        return float(self.bins[1, place] / self.bins[0, place])


def _shift(n_bins: int, greatest: int = _HALF) -> int:
    """Bits of a float32 that are left away, so that there are no more bins up to a number."""
    wanted = 2 * greatest / max(n_bins, 1)
    return max(0, math.ceil(math.log2(wanted)))


def _binned(scores: Array, shift: int) -> Array:
    """Bins of probabilities, which are narrow near 0 and near 1: the leading bits of a float32."""
    inner = np.clip(np.minimum(scores, 1.0 - scores), 0.0, 0.5).astype(np.float32)
    found = (inner.view(np.uint32) >> shift).astype(np.intp)
    last = 2 * (_HALF >> shift) + 1
    return np.where(scores < 0.5, found, last - found)


def _areas(others: Array, hits: Array) -> tuple[float, float]:
    """ROC AUC and average precision of rows in bins, those of one bin tied."""
    found, wrong = hits[::-1], others[::-1]
    n_found, n_wrong = found.cumsum(), wrong.cumsum()
    below = n_wrong[-1] - n_wrong + wrong / 2
    area = (found @ below) / (n_found[-1] * n_wrong[-1])
    precision = n_found / np.maximum(n_found + n_wrong, np.finfo(np.float64).tiny)
    return float(area), float(found @ precision / n_found[-1])
