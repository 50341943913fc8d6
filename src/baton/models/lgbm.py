"""LightGBM's gradient-boosted trees, by its own engine and in its own text format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from baton.errors import InputError
from baton.metric import Metric
from baton.models import stopping
from baton.models.interface import Encoding, Explain, Family, FitSpec, is_small
from baton.models.space import Categorical, Float, Int
from baton.models.stopping import FOLDS_ROWS
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
    "early_stopping": bool,
}
"""LightGBM's own names; those of its scikit-learn wrapper would be two names for one thing."""


_TREES_OF_LIGHTGBM = 100

_METRICS: dict[Metric, tuple[str, str]] = {
    Metric.ACCURACY: ("binary_error", "multi_error"),
    Metric.LOG_LOSS: ("binary_logloss", "multi_logloss"),
    Metric.ROC_AUC: ("auc", "auc_mu"),
    Metric.AVERAGE_PRECISION: ("average_precision", "multi_logloss"),
    Metric.RMSE: ("rmse", ""),
    Metric.R2: ("rmse", ""),
    Metric.MAE: ("l1", ""),
    Metric.MEDIAN_AE: ("l1", ""),
    Metric.MAPE: ("mape", ""),
}
"""LightGBM's name of a metric, or of what stands closest: of two classes or numbers, of more."""

_TUNED_CLASSES = {
    "learning_rate": 0.04,
    "num_leaves": 50,
    "min_data_in_leaf": 40,
    "bagging_fraction": 0.75,
}
_TUNED_NUMBERS = {
    "learning_rate": 0.05,
    "num_leaves": 100,
    "min_data_in_leaf": 3,
    "bagging_fraction": 0.7,
}


class Boosted:
    """A booster that answers as scikit-learn's regressors do."""

    def __init__(self, booster: Any) -> None:
        self.booster_ = booster

    def predict(self, X: Any) -> Array:
        """Predict numbers: array of shape (n_rows,)."""
        return self._answers(X)

    def margin(self, X: Any) -> Array:
        """Raw output: array of shape (n_rows,) or (n_rows, n_classes)."""
        return self._answers(X, raw_score=True)

    def _answers(self, X: Any, **what: bool) -> Array:
        threads = {"num_threads": 1} if is_small(X) else {}
        return np.asarray(self.booster_.predict(X, **threads, **what))


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
    """Leaf-wise gradient-boosted trees; missing values as they are."""

    explain = Explain.TREE
    encodings = (Encoding.TARGET, Encoding.NATIVE, Encoding.ONE_HOT)
    takes_missing = True

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """LightGBM's own names and types."""
        if kind is Kind.CLASSIFICATION:
            return {**_PARAMETERS, "is_unbalance": bool, "scale_pos_weight": float}
        return {**_PARAMETERS, "objective": _LOSSES, "alpha": float}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Defaults that were tuned on many tables; few rows may make leaves on small ones.

        Holzmüller, Grinsztajn, Steinwart (2024), Better by default, NeurIPS, arXiv 2407.04491.
        """
        is_class = kind is Kind.CLASSIFICATION
        tuned = _TUNED_CLASSES if is_class else _TUNED_NUMBERS
        few = max(1, min(20, n_rows // 20))
        return {
            **super().defaults(kind, n_rows),
            "n_estimators": 1000,
            "early_stopping": True,
            "min_sum_hessian_in_leaf": 1e-7,
            "min_data_per_group": min(100, 5 * few),
            # Without it LightGBM passes over bagging_fraction in silence.
            "bagging_freq": 1,
            **tuned,
            **(_few_rows(kind, n_rows) if n_rows < FOLDS_ROWS else {}),
        }

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Size and weight of the trees, and the parts of the table each sees.

        Erickson et al. (2025), TabArena, arXiv 2506.16791.
        """
        return {
            "learning_rate": Float(0.005, 0.1, log=True),
            "num_leaves": Int(2, 200, log=True),
            "min_data_in_leaf": Int(1, 64, log=True),
            "feature_fraction": Float(0.4, 1.0),
            "bagging_fraction": Float(0.7, 1.0),
            "extra_trees": Categorical((False, True)),
            "cat_smooth": Float(0.001, 100.0, log=True),
            "cat_l2": Float(0.005, 2.0, log=True),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit all rows with as many trees as rows that were not fitted find useful.

        With ``early_stopping`` off there are as many trees as are asked for.
        """
        import lightgbm

        try:
            n_trees = self._rounds(X, y, spec)
            rows = _rows(X, y, spec, spec.weights)
            booster = lightgbm.train(_settings(X, spec), rows, n_trees)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(str(error)) from error
        return self._wrapped(booster, spec.kind)

    def settled(self, estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
        """With the number of trees that was found."""
        n_trees = estimator.booster_.current_iteration()
        return {**params, "n_estimators": n_trees, "early_stopping": False}

    def _rounds(self, X: Any, y: Any, spec: FitSpec) -> int:
        """Number of trees at which the loss of rows that were not fitted is least."""
        most = int(spec.params.get("n_estimators", _TREES_OF_LIGHTGBM))
        is_given = not spec.params.get("early_stopping", True)
        if is_given or spec.params.get("boosting") == "dart":  # its trees are changed later on
            return most
        too_few = stopping.untried(y, most)
        if too_few is not None:
            return too_few
        by = self._rounds_of_folds if stopping.is_by_folds(y, spec) else self._rounds_of_part
        return by(X, y, spec, most)

    def _rounds_of_folds(self, X: Any, y: Any, spec: FitSpec, most: int) -> int:
        import lightgbm

        folds = stopping.folds(y, spec)
        found = lightgbm.cv(
            _settings(X, spec) | _watching(spec, stopping.metric_of(y, spec, folds)),
            _rows(X, y, spec, spec.weights),
            most,
            folds=folds,
            callbacks=[lightgbm.early_stopping(stopping.PATIENCE, verbose=False)],
        )
        return len(next(iter(found.values())))

    def _rounds_of_part(self, X: Any, y: Any, spec: FitSpec, most: int) -> int:
        import lightgbm

        fitted, watched = stopping.parted(y, spec)
        rows = _rows(X[fitted], y[fitted], spec, _taken(spec.weights, fitted))
        weights = _taken(spec.weights, watched)
        tried = lightgbm.train(
            _settings(X, spec) | _watching(spec, stopping.metric_of(y, spec, [(fitted, watched)])),
            rows,
            most,
            valid_sets=[rows.create_valid(X[watched], y[watched], weight=weights)],
            callbacks=[lightgbm.early_stopping(stopping.PATIENCE, verbose=False)],
        )
        return int(tried.best_iteration) or most

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


def _settings(X: Any, spec: FitSpec) -> dict[str, Any]:
    """Hyperparameters in the terms of ``lightgbm.train``."""
    threads = spec.params.get("n_jobs")
    return {
        "num_threads": 1 if is_small(X) else 0,
        **_objective(spec),
        **spec.without("n_estimators", "n_jobs", "early_stopping").params,
        **({} if threads is None else {"num_threads": threads}),
        "seed": spec.seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _rows(X: Any, y: Any, spec: FitSpec, weights: Any) -> Any:
    import lightgbm

    settings = _settings(X, spec)
    return lightgbm.Dataset(
        X, y, weight=weights, categorical_feature=spec.categories, params=settings
    )


def _watching(spec: FitSpec, metric: Metric | None) -> dict[str, Any]:
    """Settings that say when to stop; nothing where LightGBM's own loss does."""
    found = _METRICS.get(metric) if metric else None
    return {} if found is None else {"metric": found[spec.n_classes > 2]}


def _taken(weights: Any, rows: Any) -> Any:
    return None if weights is None else weights[rows]


def _few_rows(kind: Kind, n_rows: int) -> dict[str, Any]:
    """Smaller trees, for rows that are fewer than the defaults were tuned on."""
    if kind is Kind.REGRESSION:
        return {"num_leaves": 8}
    return {"num_leaves": 16, "min_data_in_leaf": max(2, min(40, n_rows // 40))}


def _objective(spec: FitSpec) -> dict[str, Any]:
    if spec.kind is Kind.REGRESSION:
        return {"objective": "regression"}
    if spec.n_classes == 2:
        return {"objective": "binary"}
    return {"objective": "multiclass", "num_class": spec.n_classes}
