"""The metrics that there are: their names, and what a reader needs to know of each.

How one is computed belongs in ``baton.evaluation.metrics``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from baton.errors import InputError
from baton.terms import Kind
from baton.words.text import did_you_mean


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
        hint = did_you_mean(metric, Metric)
        raise InputError(
            f"unknown metric {metric!r}; {hint}there are: {', '.join(Metric)}"
        ) from None
