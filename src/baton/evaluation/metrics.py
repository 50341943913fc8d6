"""Metrics computed from predictions, and the baseline that they are compared with.

Pure functions of arrays; every value is scikit-learn's. A metric that is not defined on the rows
at hand is left out, never NaN. How uncertain they are belongs in ``intervals``, what is drawn in
``curves``; loading tables and logging to MLflow belong in ``tasks/``.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.held_out import (
    Classified,
    Estimated,
    classified,
    coded,
    estimated,
    floats,
    log_losses,
)
from baton.metric import GREATER_IS_BETTER, INFO, Metric, MetricInfo, names, parse
from baton.terms import Kind
from baton.words import display

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "GREATER_IS_BETTER",
    "INFO",
    "Metric",
    "MetricInfo",
    "Scores",
    "baseline",
    "classification",
    "evaluate",
    "measure",
    "names",
    "parse",
    "regression",
    "score",
]


def classification(
    y_true: Any,
    proba: Any,
    classes: Sequence[Any],
    *,
    y_pred: Any = None,
    weights: Any = None,
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
    weights : array-like of shape (n,), optional
        How much each row counts; all the same if not given.

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
    return _measured(classified(y_true, proba, classes, y_pred, weights), Kind.CLASSIFICATION)


def regression(y_true: Any, y_pred: Any, *, weights: Any = None) -> dict[str, float]:
    """Metrics of predicted numbers.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
    weights : array-like of shape (n,), optional
        How much each row counts; all the same if not given.

    Returns
    -------
    dict of metric name to value
        R² is left out where all targets are equal, MAPE where one of them is zero.

    Examples
    --------
    >>> regression([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])["mae"]
    0.3333333333333333
    """
    return _measured(estimated(y_true, y_pred, weights), Kind.REGRESSION)


class Scores(dict[str, float]):
    """Value of each metric by its name; a notebook shows a table."""

    def _repr_html_(self) -> str:
        known = {name: INFO[Metric(name)] for name in self}
        rows = [
            [info.label, self[name], "higher" if info.greater_is_better else "lower", info.note]
            for name, info in known.items()
        ]
        return display.table(("metric", "value", "better", ""), rows)


def evaluate(
    kind: Kind,
    y_true: Any,
    output: Any,
    classes: Sequence[Any] = (),
    *,
    y_pred: Any = None,
    weights: Any = None,
) -> Scores:
    """Metrics of either kind: `output` is probabilities of `classes`, or predicted numbers.

    Labels, `y_pred`, are the most probable ones if not given; `weights` says how much rows count.
    """
    if kind is Kind.CLASSIFICATION:
        return Scores(classification(y_true, output, classes, y_pred=y_pred, weights=weights))
    return Scores(regression(y_true, output, weights=weights))


def score(
    metric: str,
    y_true: Any,
    output: Any,
    classes: Sequence[Any] = (),
    *,
    y_pred: Any = None,
    weights: Any = None,
) -> float | None:
    """One metric, as :func:`evaluate` gives it; None where it is not defined.

    Raises
    ------
    InputError
        If there is no such metric.
    """
    name = parse(metric)
    if INFO[name].kind is Kind.CLASSIFICATION:
        return measure(name, classified(y_true, output, classes, y_pred, weights))
    return measure(name, estimated(y_true, output, weights))


def baseline(
    kind: Kind,
    y_train: Any,
    y_test: Any,
    classes: Sequence[Any] = (),
    *,
    weights: tuple[Any, Any] = (None, None),
) -> dict[str, float]:
    """Metrics of a model that ignores every column.

    `weights` say how much each training row, and each test row, counts.

    Returns
    -------
    dict of metric name to value
        Of the class frequencies (`DummyClassifier`, prior) or of the mean (`DummyRegressor`)
        among the training rows, on the test rows.
    """
    from sklearn.dummy import DummyClassifier, DummyRegressor

    n_test, (of_train, of_test) = len(y_test), weights
    if kind is Kind.REGRESSION:
        dummy = DummyRegressor().fit(np.zeros((len(y_train), 1)), floats(y_train), of_train)
        return regression(y_test, dummy.predict(np.zeros((n_test, 1))), weights=of_test)
    codes, labels = coded(y_train, classes)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((len(codes), 1)), codes, of_train)
    proba = np.zeros((n_test, len(labels)))
    proba[:, dummy.classes_] = dummy.predict_proba(np.zeros((n_test, 1)))
    return classification(y_test, proba, labels, weights=of_test)


def _measured(held: Classified | Estimated, kind: Kind) -> dict[str, float]:
    found = {name.value: measure(name, held) for name in names(kind)}
    return {name: value for name, value in found.items() if value is not None}


def measure(name: Metric, held: Any) -> float | None:
    """One metric of held-out rows; None where it is not defined on them."""
    if len(held.predicted) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = _VALUES[name](held)
    return None if value is None or not math.isfinite(value) else float(value)


def _accuracy(held: Classified) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(held.codes, held.predicted, sample_weight=held.weights))


def _balanced_accuracy(held: Classified) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(held.codes, held.predicted, sample_weight=held.weights))


def _mcc(held: Classified) -> float | None:
    from sklearn.metrics import matthews_corrcoef

    if held.n_present < 2:
        return None
    return float(matthews_corrcoef(held.codes, held.predicted, sample_weight=held.weights))


def _f1_macro(held: Classified) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(held.codes, held.predicted, average="macro", sample_weight=held.weights))


def _log_loss(held: Classified) -> float | None:
    """By row, where scikit-learn looks at all probabilities several times."""
    if held.n_classes < 2:
        return None
    return float(np.average(log_losses(held), weights=held.weights))


def _brier(held: Classified) -> float | None:
    from sklearn.metrics import brier_score_loss

    if held.n_classes < 2:
        return None
    return float(
        brier_score_loss(
            held.codes, held.proba, labels=np.arange(held.n_classes), sample_weight=held.weights
        )
    )


def _roc_auc(held: Classified) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not held.is_complete:
        return None
    output = held.proba[:, 1] if held.n_classes == 2 else held.proba
    return float(roc_auc_score(held.codes, output, multi_class="ovr", sample_weight=held.weights))


def _average_precision(held: Classified) -> float | None:
    from sklearn.metrics import average_precision_score

    if not held.is_complete:
        return None
    output = held.proba[:, 1] if held.n_classes == 2 else held.proba
    return float(average_precision_score(held.codes, output, sample_weight=held.weights))


def _rmse(held: Estimated) -> float:
    from sklearn.metrics import root_mean_squared_error

    return float(root_mean_squared_error(held.actual, held.predicted, sample_weight=held.weights))


def _mae(held: Estimated) -> float:
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(held.actual, held.predicted, sample_weight=held.weights))


def _median_ae(held: Estimated) -> float:
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(held.actual, held.predicted, sample_weight=held.weights))


def _r2(held: Estimated) -> float | None:
    from sklearn.metrics import r2_score

    if np.ptp(held.actual) == 0:
        return None
    return float(r2_score(held.actual, held.predicted, sample_weight=held.weights))


def _mape(held: Estimated) -> float | None:
    from sklearn.metrics import mean_absolute_percentage_error

    if not held.actual.all():
        return None
    return float(
        mean_absolute_percentage_error(held.actual, held.predicted, sample_weight=held.weights)
    )


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
