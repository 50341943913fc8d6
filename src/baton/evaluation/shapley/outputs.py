"""What Shapley values sum to: an estimator's output, on the scale that it is explained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.boosters import (
    catboost_margin,
    is_from,
    is_lightgbm,
    lightgbm_margin,
    xgboost_margin,
)
from baton.evaluation.shapley.matrices import n_rows_of
from baton.evaluation.shapley.values import Scale
from baton.models.boosters import MeanMargin
from baton.models.cat import Cat

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


def raw_output(estimator: Any, X: Any, feature_types: list[str] | None = None) -> Array:
    """Output that Shapley values sum to: array of shape (n, n_outputs)."""
    if isinstance(estimator, MeanMargin):
        of_each = [raw_output(one, X, feature_types) for one in estimator.members]
        return np.asarray(np.mean(of_each, axis=0))
    of_engine = _of_engine(estimator, X, feature_types)
    if of_engine is not None:
        return of_engine
    if _answers(estimator) == "decision_function":
        found = np.asarray(estimator.decision_function(X), dtype=np.float64)
        return found.reshape(len(found), -1)
    if _answers(estimator) == "predict_proba":
        found = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        return found[:, 1:] if found.shape[1] == 2 else found
    return np.asarray(estimator.predict(X), dtype=np.float64).reshape(n_rows_of(X), -1)


def _of_engine(estimator: Any, X: Any, feature_types: list[str] | None) -> Array | None:
    """Margin of a booster, None of what is none."""
    if isinstance(estimator, Cat):
        return catboost_margin(estimator, X)
    if is_from(estimator, "xgboost"):
        return xgboost_margin(estimator, X, feature_types=feature_types)
    return lightgbm_margin(estimator, X) if is_lightgbm(estimator) else None


def _answers(estimator: Any) -> str:
    is_one_against_one = getattr(estimator, "decision_function_shape", "ovr") == "ovo"
    if hasattr(estimator, "decision_function") and not is_one_against_one:
        return "decision_function"
    return "predict_proba" if hasattr(estimator, "predict_proba") else "predict"


def scale_of(estimator: Any) -> Scale:
    """Scale of :func:`raw_output` of a scikit-learn estimator."""
    scales = {"decision_function": Scale.MARGIN, "predict_proba": Scale.PROBABILITY}
    return scales.get(_answers(estimator), Scale.VALUE)


def is_classifier(estimator: Any) -> bool:
    """Whether it predicts classes."""
    return hasattr(estimator, "classes_") and hasattr(estimator, "predict")
