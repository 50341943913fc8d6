"""XGBoost's, LightGBM's and CatBoost's own TreeSHAP, and their raw output.

Other trees belong in ``trees``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.matrices import is_sparse, n_rows_of
from baton.evaluation.shapley.values import Scale
from baton.models.cat import Cat

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


def catboost_values(model: Cat, X: Any) -> tuple[Array, Array]:
    """Shapley values (n, n_features, n_outputs) and base values by CatBoost."""
    n_rows = n_rows_of(X)
    if n_rows == 0:  # the base values need a row
        values, base = catboost_values(model, np.zeros((1, X.shape[1]), dtype=np.float32))
        return values[:0], base
    return _parted(model.contributions(X).reshape(n_rows, -1, X.shape[1] + 1))


def catboost_margin(model: Cat, X: Any) -> Array:
    """Raw output of CatBoost: array of shape (n, n_outputs)."""
    return np.asarray(model.margin(X)).reshape(n_rows_of(X), -1)


def is_from(estimator: Any, package: str) -> bool:
    """Whether its class, or a class that it derives from, is that package's."""
    return any(one.__module__.split(".")[0] == package for one in type(estimator).__mro__)


def is_lightgbm(estimator: Any) -> bool:
    """Whether it is LightGBM's, or wraps a booster of LightGBM's."""
    return any(is_from(one, "lightgbm") for one in (estimator, getattr(estimator, "booster_", "")))


def xgboost_values(model: Any, X: Any, *, feature_types: list[str] | None) -> tuple[Array, Array]:
    """Shapley values (n, n_features, n_outputs) and base values by XGBoost, best iteration."""
    if n_rows_of(X) == 0:  # the base values need a row
        row = np.full((1, X.shape[1]), np.nan)
        values, base = xgboost_values(model, row, feature_types=feature_types)
        return values[:0], base
    return _parted(_predicted(model, X, feature_types, pred_contribs=True))


def xgboost_margin(model: Any, X: Any, *, feature_types: list[str] | None) -> Array:
    """Raw output of XGBoost's best iteration: array of shape (n, n_outputs)."""
    found = _predicted(model, X, feature_types, output_margin=True)
    return found.reshape(n_rows_of(X), -1)


def _predicted(model: Any, X: Any, feature_types: list[str] | None, **what: bool) -> Array:
    import xgboost

    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    types = feature_types or (None if hasattr(X, "columns") else booster.feature_types)
    missing = getattr(model, "missing", None)
    data = xgboost.DMatrix(
        X,
        missing=np.nan if missing is None else missing,
        nthread=getattr(model, "n_jobs", None),
        feature_types=getattr(model, "feature_types", None) or types,
        enable_categorical=True,
    )
    last = getattr(booster, "best_iteration", -1) + 1  # 0 is all of them
    return np.asarray(
        booster.predict(data, iteration_range=(0, last), validate_features=False, **what)
    )


def xgboost_scale(model: Any) -> Scale:
    """Whether XGBoost's values are numbers of the target or, by a link function, margins."""
    import json

    booster = model.get_booster() if hasattr(model, "get_booster") else model
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    has_no_link = objective in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")
    return Scale.VALUE if has_no_link else Scale.MARGIN


def lightgbm_values(model: Any, X: Any) -> tuple[Array, Array]:
    """Shapley values (n, n_features, n_outputs) and base values by LightGBM."""
    n_rows = n_rows_of(X)
    if n_rows == 0:  # the base values need a row
        values, base = lightgbm_values(model, np.full((1, X.shape[1]), np.nan))
        return values[:0], base
    rows = X.toarray() if is_sparse(X) else X  # what is not stored is a zero to LightGBM
    found = np.asarray(getattr(model, "booster_", model).predict(rows, pred_contrib=True))
    return _parted(found.reshape(n_rows, -1, X.shape[1] + 1))


def lightgbm_margin(model: Any, X: Any) -> Array:
    """Raw output of LightGBM: array of shape (n, n_outputs)."""
    found = getattr(model, "booster_", model).predict(X, raw_score=True)
    return np.reshape(found, (n_rows_of(X), -1))


def _parted(contributions: Array) -> tuple[Array, Array]:
    """Values and base values from an engine's array of shape (n, [outputs,] features + 1)."""
    whole = contributions[:, None, :] if contributions.ndim == 2 else contributions
    return np.moveaxis(whole[:, :, :-1], 1, 2), whole[0, :, -1].astype(np.float64)
