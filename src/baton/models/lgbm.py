"""LightGBM's gradient-boosted trees, by its own engine and in its own text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from baton.errors import InputError
from baton.models.interface import Explain, Family, FitSpec, is_small
from baton.models.space import Float, Int
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from baton.models.space import Space

    Array = np.ndarray[Any, np.dtype[Any]]

_FILE = "model.txt"

_LOSSES = Literal["regression", "regression_l1", "huber", "fair", "quantile", "mape"]

_PARAMETERS: dict[str, Any] = {
    "n_estimators": int,
    "learning_rate": float,
    "num_leaves": int,
    "max_depth": int,
    "min_data_in_leaf": int,
    "min_sum_hessian_in_leaf": float,
    "max_bin": int,
    "min_data_in_bin": int,
    "lambda_l1": float,
    "lambda_l2": float,
    "min_gain_to_split": float,
    "max_delta_step": float,
    "path_smooth": float,
    "bagging_fraction": float,
    "bagging_freq": int,
    "feature_fraction": float,
    "feature_fraction_bynode": float,
    "extra_trees": bool,
    "boosting": Literal["gbdt", "dart"],
    "min_data_per_group": int,
    "max_cat_threshold": int,
    "max_cat_to_onehot": int,
    "cat_smooth": float,
    "cat_l2": float,
    "n_jobs": int | None,
}
"""LightGBM's own names; those of its scikit-learn wrapper would be two names for one thing."""


class Boosted:
    """A booster that answers as scikit-learn's regressors do."""

    def __init__(self, booster: Any) -> None:
        self.booster_ = booster

    def predict(self, X: Any) -> Array:
        """Predict numbers: array of shape (n_rows,)."""
        return self._answers(X)

    def _answers(self, X: Any) -> Array:
        threads = {"num_threads": 1} if is_small(X) else {}
        return np.asarray(self.booster_.predict(X, **threads))


class BoostedClassifier(Boosted):
    """A booster that answers as scikit-learn's classifiers do; classes are codes."""

    @property
    def classes_(self) -> Array:
        """Codes of the classes."""
        return np.arange(max(2, self.booster_.num_model_per_iteration()))

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities: array of shape (n_rows, n_classes)."""
        found = self._answers(X)
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found

    def predict(self, X: Any) -> Array:
        """Predict codes: array of shape (n_rows,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))


class LightGBM(Family):
    """Leaf-wise gradient-boosted trees; categories natively, missing values as they are."""

    explain = Explain.TREE
    takes_missing = True

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """LightGBM's own names and types."""
        if kind is Kind.CLASSIFICATION:
            return {**_PARAMETERS, "is_unbalance": bool, "scale_pos_weight": float}
        return {**_PARAMETERS, "objective": _LOSSES, "alpha": float}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """LightGBM's own, but few rows may make leaves and groups of categories."""
        few = max(1, min(20, n_rows // 20))
        return {
            **super().defaults(kind, n_rows),
            "n_estimators": 100,
            "learning_rate": 0.1,
            "num_leaves": 31,
            "min_data_in_leaf": few,
            "min_data_per_group": min(100, 5 * few),
            # Without it LightGBM passes over bagging_fraction in silence.
            "bagging_freq": 1,
        }

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """The space that was searched for customers' churn on AdventureWorks."""
        return {
            "n_estimators": Int(20, 150),
            "learning_rate": Float(0.01, 0.2),
            "num_leaves": Int(20, 50, step=10),
            "max_depth": Int(6, 12),
            "min_data_in_leaf": Int(20, 50, step=5),
            "max_bin": Int(200, 300),
            "lambda_l1": Float(0.0, 10.0),
            "lambda_l2": Float(0.0, 10.0),
            "min_gain_to_split": Float(0.0, 15.0),
            "bagging_fraction": Float(0.2, 0.95, step=0.05),
            "feature_fraction": Float(0.2, 0.95, step=0.05),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit all rows with as many trees as are asked for."""
        import lightgbm

        params = spec.params
        settings = {
            "num_threads": 1 if is_small(X) else 0,
            **_objective(spec),
            **spec.without("n_estimators", "n_jobs").params,
            **({} if params.get("n_jobs") is None else {"num_threads": params["n_jobs"]}),
            "seed": spec.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        try:
            rows = lightgbm.Dataset(X, y, categorical_feature=spec.categories, params=settings)
            booster = lightgbm.train(settings, rows, num_boost_round=params["n_estimators"])
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(str(error)) from error
        return self._wrapped(booster, spec.kind)

    def save(self, estimator: Any, folder: Path) -> None:
        """Write LightGBM's own text."""
        (folder / _FILE).write_text(estimator.booster_.model_to_string(), "utf-8", newline="\n")

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read LightGBM's own text."""
        import lightgbm

        try:
            content = (folder / _FILE).read_text("utf-8")
            return self._wrapped(lightgbm.Booster(model_str=content), kind)
        except (OSError, ValueError, lightgbm.basic.LightGBMError) as error:
            raise InputError(f"no model can be read from {folder / _FILE}: {error}") from None

    @staticmethod
    def _wrapped(booster: Any, kind: Kind) -> Boosted:
        return BoostedClassifier(booster) if kind is Kind.CLASSIFICATION else Boosted(booster)


def _objective(spec: FitSpec) -> dict[str, Any]:
    if spec.kind is Kind.REGRESSION:
        return {"objective": "regression"}
    if spec.n_classes == 2:
        return {"objective": "binary"}
    return {"objective": "multiclass", "num_class": spec.n_classes}
