"""Metrics computed from predictions, their uncertainty and what they are compared with.

Pure functions of arrays; every value is scikit-learn's. A metric that is not defined on the rows
at hand is left out, never NaN. Loading tables and logging to MLflow belong in ``tasks/``.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.terms import Kind
from baton.words import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]
    Kernel = Callable[[Array], dict["Metric", float]]

N_RESAMPLES = 200
"""Bootstrap resamples of an interval, unless there are very many rows."""

_RESAMPLED_ROWS = 300_000_000
_FEWEST_RESAMPLES = 50
_RANKED_CELLS = 3_000_000_000


class Metric(StrEnum):
    """Every metric's name, as it stands in results, MLflow and ``--json``."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    MCC = "mcc"
    F1_MACRO = "f1_macro"
    LOG_LOSS = "log_loss"
    ROC_AUC = "roc_auc"
    AVERAGE_PRECISION = "average_precision"
    BRIER = "brier"
    RMSE = "rmse"
    MAE = "mae"
    MEDIAN_AE = "median_ae"
    R2 = "r2"
    MAPE = "mape"


@dataclass(frozen=True)
class MetricInfo:
    """What a reader of a metric needs to know."""

    label: str
    kind: Kind
    greater_is_better: bool
    has_target_unit: bool = False
    """Whether it is measured in the target's unit; otherwise it has none."""
    note: str = ""


INFO: dict[Metric, MetricInfo] = {
    Metric.ACCURACY: MetricInfo("accuracy", Kind.CLASSIFICATION, True),
    Metric.BALANCED_ACCURACY: MetricInfo(
        "balanced accuracy", Kind.CLASSIFICATION, True, note="mean recall of the classes"
    ),
    Metric.MCC: MetricInfo("MCC", Kind.CLASSIFICATION, True, note="Matthews' correlation"),
    Metric.F1_MACRO: MetricInfo("macro F1", Kind.CLASSIFICATION, True),
    Metric.LOG_LOSS: MetricInfo("log loss", Kind.CLASSIFICATION, False, note="in nats"),
    Metric.ROC_AUC: MetricInfo(
        "ROC AUC", Kind.CLASSIFICATION, True, note="several classes: one-vs-rest, macro mean"
    ),
    Metric.AVERAGE_PRECISION: MetricInfo(
        "average precision", Kind.CLASSIFICATION, True, note="several classes: macro mean"
    ),
    Metric.BRIER: MetricInfo(
        "Brier score",
        Kind.CLASSIFICATION,
        False,
        note="two classes: 0 to 1; more: summed over the classes, 0 to 2",
    ),
    Metric.RMSE: MetricInfo("RMSE", Kind.REGRESSION, False, has_target_unit=True),
    Metric.MAE: MetricInfo("MAE", Kind.REGRESSION, False, has_target_unit=True),
    Metric.MEDIAN_AE: MetricInfo("median AE", Kind.REGRESSION, False, has_target_unit=True),
    Metric.R2: MetricInfo("R²", Kind.REGRESSION, True),
    Metric.MAPE: MetricInfo("MAPE", Kind.REGRESSION, False, note="a fraction, not a percentage"),
}

GREATER_IS_BETTER: dict[Metric, bool] = {
    name: info.greater_is_better for name, info in INFO.items()
}


def names(kind: Kind) -> list[Metric]:
    """Metrics of a kind, in the order in which they are shown."""
    return [name for name, info in INFO.items() if info.kind is kind]


# --- values ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Classified:
    """Held-out rows of a classification, labels as places in `classes`."""

    codes: Array
    proba: Array
    predicted: Array
    classes: tuple[Any, ...]
    n_present: int

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def is_complete(self) -> bool:
        """Every class occurs, and there are at least two."""
        return self.n_present == self.n_classes > 1


@dataclass(frozen=True)
class _Estimated:
    """Held-out rows of a regression."""

    actual: Array
    predicted: Array


def classification(
    y_true: Any, proba: Any, classes: Sequence[Any], *, y_pred: Any = None
) -> dict[str, float]:
    """Metrics of class probabilities.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels. One that is not in `classes` counts as a class of probability 0.
    proba : array-like of shape (n, n_classes)
        Probabilities, columns in the order of `classes`; rows are scaled to sum to 1.
    classes : sequence
        The model's labels.
    y_pred : array-like of shape (n,), optional
        Predicted labels; the most probable ones if not given.

    Returns
    -------
    dict of metric name to value
        MCC needs two classes among the rows; ROC AUC and average precision need every class.
        They are left out otherwise.

    Raises
    ------
    InputError
        If no label is among `classes`.

    Examples
    --------
    >>> found = classification(["no", "yes"], [[0.9, 0.1], [0.2, 0.8]], ["no", "yes"])
    >>> found["accuracy"], round(found["brier"], 3)
    (1.0, 0.025)
    """
    return _measured(_classified(y_true, proba, classes, y_pred), Kind.CLASSIFICATION)


def regression(y_true: Any, y_pred: Any) -> dict[str, float]:
    """Metrics of predicted numbers.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)

    Returns
    -------
    dict of metric name to value
        R² is left out where all targets are equal, MAPE where one of them is zero.

    Examples
    --------
    >>> regression([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])["mae"]
    0.3333333333333333
    """
    return _measured(_estimated(y_true, y_pred), Kind.REGRESSION)


class Scores(dict[str, float]):
    """Value of each metric by its name; a notebook shows a table."""

    def _repr_html_(self) -> str:
        known = {name: INFO[Metric(name)] for name in self}
        rows = [
            [info.label, self[name], "higher" if info.greater_is_better else "lower", info.note]
            for name, info in known.items()
        ]
        return display.table(("metric", "value", "better", ""), rows)


def evaluate(kind: Kind, y_true: Any, output: Any, classes: Sequence[Any] = ()) -> Scores:
    """Metrics of either kind: `output` is probabilities of `classes`, or predicted numbers."""
    if kind is Kind.CLASSIFICATION:
        return Scores(classification(y_true, output, classes))
    return Scores(regression(y_true, output))


def score(metric: str, y_true: Any, output: Any, classes: Sequence[Any] = ()) -> float | None:
    """One metric, as :func:`evaluate` gives it; None where it is not defined.

    Raises
    ------
    InputError
        If there is no such metric.
    """
    name = parse(metric)
    if INFO[name].kind is Kind.CLASSIFICATION:
        return _measure(name, _classified(y_true, output, classes, None))
    return _measure(name, _estimated(y_true, output))


def parse(metric: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return Metric(metric)
    except ValueError:
        raise InputError(f"unknown metric {metric!r}; there are: {', '.join(Metric)}") from None


def baseline(
    kind: Kind, y_train: Any, y_test: Any, classes: Sequence[Any] = ()
) -> dict[str, float]:
    """Metrics of a model that ignores every column.

    Returns
    -------
    dict of metric name to value
        Of the class frequencies (`DummyClassifier`, prior) or of the mean (`DummyRegressor`)
        among the training rows, on the test rows.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    n_test = len(y_test)
    if kind is Kind.REGRESSION:
        dummy = DummyRegressor().fit(np.zeros((len(y_train), 1)), _floats(y_train))
        return regression(y_test, dummy.predict(np.zeros((n_test, 1))))
    codes, labels = _codes(y_train, classes)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(codes), 1)), codes)
    proba = np.zeros((n_test, len(labels)))
    proba[:, dummy.classes_] = dummy.predict_proba(np.zeros((n_test, 1)))
    return classification(y_test, proba, labels)


def _measured(held: _Classified | _Estimated, kind: Kind) -> dict[str, float]:
    found = {name.value: _measure(name, held) for name in names(kind)}
    return {name: value for name, value in found.items() if value is not None}


def _measure(name: Metric, held: Any) -> float | None:
    if len(held.predicted) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = _VALUES[name](held)
    return None if value is None or not math.isfinite(value) else float(value)


def _classified(y_true: Any, proba: Any, classes: Sequence[Any], y_pred: Any) -> _Classified:
    codes, labels = _codes(y_true, classes)
    given = np.asarray(proba, dtype=np.float64).reshape(len(codes), len(classes))
    padded = np.zeros((len(codes), len(labels)))
    with np.errstate(invalid="ignore", divide="ignore"):
        padded[:, : len(classes)] = given / given.sum(axis=1, keepdims=True)
    predicted = padded.argmax(axis=1) if y_pred is None else _codes(y_pred, labels)[0]
    return _Classified(codes, padded, predicted, labels, len(np.unique(codes)))


def _codes(values: Any, classes: Sequence[Any]) -> tuple[Array, tuple[Any, ...]]:
    """Places of labels among the classes, which labels that the model never saw extend."""
    import pandas as pd

    labels = np.asarray(values)
    codes = np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(labels)))
    unseen = codes < 0
    if not unseen.any():
        return codes, tuple(classes)
    if unseen.all():
        raise InputError(
            f"no label is a class of the model: found {labels.tolist()[0]!r}, classes are"
            f" {', '.join(map(repr, list(classes)[:5]))}"
        )
    extra, others = pd.factorize(labels[unseen], sort=True)
    codes[unseen] = extra + len(classes)
    return codes, (*classes, *others.tolist())


def _estimated(y_true: Any, y_pred: Any) -> _Estimated:
    return _Estimated(_floats(y_true), _floats(y_pred))


def _floats(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(-1)


def _accuracy(held: _Classified) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(held.codes, held.predicted))


def _balanced_accuracy(held: _Classified) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(held.codes, held.predicted))


def _mcc(held: _Classified) -> float | None:
    from sklearn.metrics import matthews_corrcoef

    if held.n_present < 2:
        return None
    return float(matthews_corrcoef(held.codes, held.predicted))


def _f1_macro(held: _Classified) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(held.codes, held.predicted, average="macro"))


def _log_loss(held: _Classified) -> float | None:
    from sklearn.metrics import log_loss

    if held.n_classes < 2:
        return None
    return float(log_loss(held.codes, held.proba, labels=np.arange(held.n_classes)))


def _brier(held: _Classified) -> float | None:
    from sklearn.metrics import brier_score_loss

    if held.n_classes < 2:
        return None
    return float(brier_score_loss(held.codes, held.proba, labels=np.arange(held.n_classes)))


def _roc_auc(held: _Classified) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not held.is_complete:
        return None
    output = held.proba[:, 1] if held.n_classes == 2 else held.proba
    return float(roc_auc_score(held.codes, output, multi_class="ovr"))


def _average_precision(held: _Classified) -> float | None:
    from sklearn.metrics import average_precision_score

    if not held.is_complete:
        return None
    output = held.proba[:, 1] if held.n_classes == 2 else held.proba
    return float(average_precision_score(held.codes, output))


def _rmse(held: _Estimated) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(held.actual, held.predicted))


def _mae(held: _Estimated) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(held.actual, held.predicted))


def _median_ae(held: _Estimated) -> float:
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(held.actual, held.predicted))


def _r2(held: _Estimated) -> float | None:
    from sklearn.metrics import r2_score

    if np.ptp(held.actual) == 0:
        return None
    return float(r2_score(held.actual, held.predicted))


def _mape(held: _Estimated) -> float | None:
    from sklearn.metrics import mean_absolute_percentage_error

    if not held.actual.all():
        return None
    return float(mean_absolute_percentage_error(held.actual, held.predicted))


_VALUES: dict[Metric, Callable[[Any], float | None]] = {
    Metric.ACCURACY: _accuracy,
    Metric.BALANCED_ACCURACY: _balanced_accuracy,
    Metric.MCC: _mcc,
    Metric.F1_MACRO: _f1_macro,
    Metric.LOG_LOSS: _log_loss,
    Metric.ROC_AUC: _roc_auc,
    Metric.AVERAGE_PRECISION: _average_precision,
    Metric.BRIER: _brier,
    Metric.RMSE: _rmse,
    Metric.MAE: _mae,
    Metric.MEDIAN_AE: _median_ae,
    Metric.R2: _r2,
    Metric.MAPE: _mape,
}


# --- intervals ------------------------------------------------------------------------------------


def resamples(n_rows: int, wanted: int = N_RESAMPLES) -> int:
    """Resamples that :func:`intervals` draws: fewer, never below 50, above 1.5 million rows."""
    return min(wanted, max(_FEWEST_RESAMPLES, _RESAMPLED_ROWS // max(n_rows, 1)))


def intervals(
    kind: Kind,
    y_true: Any,
    output: Any,
    classes: Sequence[Any] = (),
    *,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Percentile-bootstrap interval of every metric.

    Parameters
    ----------
    kind, y_true, output, classes
        As in :func:`evaluate`.
    n_resamples : int
        See :func:`resamples` for what very many rows make of it.
    level : float in (0, 1)
    seed : int

    Returns
    -------
    dict of metric name to (low, high)
        Of the metrics that :func:`evaluate` gives, those defined in at least half of the
        resamples. Above 3·10⁹ rows × classes × resamples, ROC AUC and average precision have
        none: their cost is the only one that grows with the classes.

    Notes
    -----
    All rows are resampled: a resample is a count for every row. What a metric needs is reduced
    once, exactly, and weighted by the counts in each resample: means and sums by per-row losses;
    accuracy, MCC and F1 by the confusion matrix, whose resamples are themselves multinomial;
    ROC AUC, average precision and the median by one sort.
    """
    n_rows, n_drawn = len(y_true), resamples(len(y_true), n_resamples)
    if n_rows == 0:
        return {}
    if kind is Kind.CLASSIFICATION:
        held = _classified(y_true, output, classes, None)
        draws = _confusion_draws(held, n_drawn, np.random.default_rng(seed))
        draws |= _row_draws(_classification_kernel(held, n_drawn), n_rows, n_drawn, seed)
    else:
        kernel = _regression_kernel(_estimated(y_true, output))
        draws = _row_draws(kernel, n_rows, n_drawn, seed)
    ranges = {name.value: _range(draws[name], level) for name in names(kind) if name in draws}
    return {name: found for name, found in ranges.items() if found is not None}


def _range(values: Array, level: float) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) < len(values) / 2:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _row_draws(kernel: Kernel, n_rows: int, n_drawn: int, seed: int) -> dict[Metric, Array]:
    """Metrics of every resample; each has a random stream of its own, so threads change nothing."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    def draw(child: np.random.SeedSequence) -> dict[Metric, float]:
        rows = np.random.default_rng(child).integers(0, n_rows, n_rows)
        return kernel(np.bincount(rows, minlength=n_rows))

    children = np.random.SeedSequence([seed, 1]).spawn(n_drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        if n_rows < 10_000:  # threads would only wait for one another
            found = [draw(child) for child in children]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                found = list(pool.map(draw, children))
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def _confusion_draws(
    held: _Classified, n_drawn: int, rng: np.random.Generator
) -> dict[Metric, Array]:
    """Metrics of resampled confusion matrices."""
    n_rows, size = len(held.codes), held.n_classes
    cells, counts = np.unique(held.codes * size + held.predicted, return_counts=True)
    drawn = rng.multinomial(n_rows, counts / n_rows, size=n_drawn)
    matrices = np.zeros((n_drawn, size * size))
    matrices[:, cells] = drawn
    return _of_confusion(matrices.reshape(n_drawn, size, size))


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


def _classification_kernel(held: _Classified, n_drawn: int) -> Kernel:
    n_rows, size = held.proba.shape
    if size < 2:
        return lambda counts: {}  # noqa: ARG005
    losses = _losses(held)
    is_ranked = held.is_complete and n_rows * size * n_drawn <= _RANKED_CELLS
    rankings = list(_rankings(held)) if is_ranked else []

    def kernel(counts: Array) -> dict[Metric, float]:
        log_loss, brier = _weighted(losses, counts)
        found = {Metric.LOG_LOSS: float(log_loss), Metric.BRIER: float(brier)}
        if rankings:
            few = counts.astype(np.uint8 if counts.max() < 256 else np.int64)
            areas = np.mean([ranking.areas(few) for ranking in rankings], axis=0)
            found |= {Metric.ROC_AUC: float(areas[0]), Metric.AVERAGE_PRECISION: float(areas[1])}
        return found

    return kernel


def _losses(held: _Classified) -> Array:
    """Log loss and Brier score of every row: array of shape (2, n)."""
    rows = np.arange(len(held.codes))
    epsilon = np.finfo(np.float64).eps  # scikit-learn's clipping
    of_true = held.proba[rows, held.codes]
    squares = (held.proba**2).sum(axis=1) - of_true**2 + (1 - of_true) ** 2
    halved = 0.5 if held.n_classes == 2 else 1.0
    return np.stack([-np.log(np.clip(of_true, epsilon, 1 - epsilon)), halved * squares])


def _rankings(held: _Classified) -> Iterator[_Ranking]:
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
        until = np.empty(len(self.order) + 1, dtype=np.int32)  # half the memory, half the time
        until[0] = 0
        np.cumsum(counts.take(self.order), out=until[1:])
        begun, ended = until.take(self.starts), until.take(self.tied)
        gained = until.take(self.ends)
        gained -= begun
        hits = np.cumsum(gained, dtype=np.int32)
        n_positive = int(hits[-1])
        n_negative = int(until[-1]) - n_positive
        if n_positive == 0 or n_negative == 0:
            return math.nan, math.nan
        precision = hits / np.maximum(ended, 1)
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
    return np.asarray(np.einsum("mn,n->m", values, counts.astype(np.float64)) / values.shape[1])


def _regression_kernel(held: _Estimated) -> Kernel:
    n_rows = len(held.actual)
    errors = np.abs(held.actual - held.predicted)
    centred = held.actual - held.actual.mean()
    scale = np.abs(held.actual) if held.actual.all() else np.full(n_rows, np.nan)  # as _mape
    sums = np.stack([errors**2, errors, errors / scale, centred, centred**2])
    order = np.argsort(errors)
    middle = [(n_rows - 1) // 2 + 1, n_rows // 2 + 1]

    def kernel(counts: Array) -> dict[Metric, float]:
        square, absolute, part, first, second = _weighted(sums, counts)
        ranks = np.searchsorted(np.cumsum(counts[order]), middle)
        variance = second - first**2
        return {
            Metric.RMSE: math.sqrt(square),
            Metric.MAE: float(absolute),
            Metric.MEDIAN_AE: float(errors[order[ranks]].mean()),
            Metric.R2: float(1 - square / variance) if variance > 1e-12 * second else math.nan,
            Metric.MAPE: float(part),
        }

    return kernel


# --- cross-validation -----------------------------------------------------------------------------


@dataclass(frozen=True)
class CrossValidation:
    """Metrics of every fold; those that some fold leaves undefined are not among them."""

    scores: dict[str, tuple[float, ...]]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of every metric over the folds."""
        return {name: float(np.mean(values)) for name, values in self.scores.items()}

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation of every metric over the folds (as numpy's, ``ddof=0``)."""
        return {name: float(np.std(values)) for name, values in self.scores.items()}


def cross_validate(
    table: pd.DataFrame,
    target: str,
    kind: Kind,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Any = None,
    fit: Callable[[pd.DataFrame], Any] | None = None,
) -> CrossValidation:
    """Fit and score on shuffled folds, stratified for a classification.

    Parameters
    ----------
    table : DataFrame of shape (n, k + 1)
        The columns to learn from and the target.
    target : str
    kind : Kind
    folds : int
    seed : int
        Of the folds and of the default `fit`.
    groups : array-like of shape (n,), optional
        Rows of one group are never on both sides of a fold.
    fit : callable, optional
        From training rows to a fitted model (`predict`, `predict_proba`, `classes`);
        :func:`baton.models.fit` with its defaults if not given.

    Raises
    ------
    InputError
        If there are fewer rows, or fewer rows of every class, than folds.
    """
    from baton import models

    learn = fit or (lambda rows: models.fit(rows, target, kind, seed=seed))
    found = []
    for train, test in parted(table[target], kind, folds, seed, groups):
        model, held = learn(table.iloc[train]), table.iloc[test]
        found.append(evaluate(kind, held[target], model_output(model, held), model.classes))
    common = [name for name in found[0] if all(name in one for one in found)]
    return CrossValidation({name: tuple(one[name] for one in found) for name in common})


def model_output(model: Any, table: pd.DataFrame) -> Array:
    """What :func:`evaluate` wants of a fitted model: probabilities, or predicted numbers."""
    if model.kind is Kind.CLASSIFICATION:
        return np.asarray(model.predict_proba(table))
    return np.asarray(model.predict(table))


def parted(
    y: pd.Series, kind: Kind, folds: int, seed: int, groups: Any = None
) -> list[tuple[Array, Array]]:
    """Shuffled folds, stratified for a classification: positions to fit and to score.

    Parameters
    ----------
    y : Series of shape (n,)
        The target.
    kind : Kind
    folds : int
    seed : int
    groups : array-like of shape (n,), optional
        Rows of one group are never on both sides of a fold.

    Raises
    ------
    InputError
        If there are fewer rows, or fewer rows of every class, than folds.
    """
    from sklearn import model_selection as ways

    is_class = kind is Kind.CLASSIFICATION
    chosen = ways.StratifiedKFold if is_class else ways.KFold
    if groups is not None:
        chosen = ways.StratifiedGroupKFold if is_class else ways.GroupKFold
    codes = _codes(y, list(y.unique()))[0] if is_class else y.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class of fewer rows than folds
        try:
            way = chosen(folds, shuffle=True, random_state=seed)
            return list(way.split(np.zeros(len(y)), codes, groups))
        except ValueError:
            raise InputError(
                f"{len(y)} rows are too few for {folds} folds; ask for fewer folds"
            ) from None


# --- data of plots --------------------------------------------------------------------------------


def confusion(y_true: Any, y_pred: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """Confusion matrix.

    Returns
    -------
    DataFrame of shape (n_classes, n_classes)
        Counts; rows are true labels, columns predicted ones. Labels that the model never saw
        come last.
    """
    import pandas as pd
    from sklearn.metrics import confusion_matrix

    actual, labels = _codes(y_true, classes)
    predicted, labels = _codes(y_pred, labels)
    counts = confusion_matrix(actual, predicted, labels=np.arange(len(labels)))
    return pd.DataFrame(
        counts,
        index=pd.Index(list(labels), name="true"),
        columns=pd.Index(list(labels), name="predicted"),
    )


def calibration(
    y_true: Any, proba: Any, classes: Sequence[Any], *, n_bins: int = 10
) -> pd.DataFrame:
    """Calibration curve of every class, or of the second one of two.

    Returns
    -------
    DataFrame
        A line per class and bin of equal width that holds rows: ``class``, ``mean_predicted``,
        ``observed`` (part of the rows that are of the class) and ``n_rows``.
    """
    import pandas as pd
    from sklearn.calibration import calibration_curve

    curves = []
    for label, is_class, predicted in _one_against_rest(y_true, proba, classes):
        observed, mean = calibration_curve(is_class, predicted, n_bins=n_bins, pos_label=True)
        edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]  # calibration_curve's own bins
        counts = np.bincount(np.searchsorted(edges, predicted), minlength=n_bins)
        columns = {"mean_predicted": mean, "observed": observed, "n_rows": counts[counts > 0]}
        curves.append(_labelled(label, columns))
    return pd.concat(curves, ignore_index=True)


def roc(y_true: Any, proba: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """ROC curve of every class that has rows in it and out of it, or of the second one of two.

    Returns
    -------
    DataFrame
        ``class``, ``false_positive_rate``, ``true_positive_rate``, corners only.
    """
    from sklearn.metrics import roc_curve

    def points(is_class: Array, predicted: Array) -> dict[str, Array]:
        false, true, _ = roc_curve(is_class, predicted, pos_label=True)
        return {"false_positive_rate": false, "true_positive_rate": true}

    return _curves(y_true, proba, classes, points, ["false_positive_rate", "true_positive_rate"])


def precision_recall(y_true: Any, proba: Any, classes: Sequence[Any]) -> pd.DataFrame:
    """Precision-recall curve of every class, as :func:`roc`.

    Returns
    -------
    DataFrame
        ``class``, ``recall``, ``precision``.
    """
    from sklearn.metrics import precision_recall_curve

    def points(is_class: Array, predicted: Array) -> dict[str, Array]:
        precision, recall, _ = precision_recall_curve(
            is_class, predicted, pos_label=True, drop_intermediate=True
        )
        return {"recall": recall, "precision": precision}

    return _curves(y_true, proba, classes, points, ["recall", "precision"])


def _curves(
    y_true: Any,
    proba: Any,
    classes: Sequence[Any],
    points: Callable[[Array, Array], dict[str, Array]],
    columns: list[str],
) -> pd.DataFrame:
    import pandas as pd

    curves = [
        _labelled(label, points(is_class, predicted))
        for label, is_class, predicted in _one_against_rest(y_true, proba, classes)
        if is_class.any() and not is_class.all()
    ]
    if not curves:
        return pd.DataFrame(columns=["class", *columns])
    return pd.concat(curves, ignore_index=True)


def _one_against_rest(
    y_true: Any, proba: Any, classes: Sequence[Any]
) -> Iterator[tuple[Any, Array, Array]]:
    held = _classified(y_true, proba, classes, None)
    for place in [1] if held.n_classes == 2 else range(held.n_classes):
        yield held.classes[place], held.codes == place, held.proba[:, place]


def _labelled(label: Any, columns: dict[str, Array]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns)
    frame.insert(0, "class", [label] * len(frame))
    return frame
