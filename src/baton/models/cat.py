"""CatBoost's gradient-boosted trees, in its own binary format; an extra of Baton's."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from baton.distribution import with_extra
from baton.errors import InputError
from baton.metric import Metric
from baton.models import stopping
from baton.models.interface import Encoding, Explain, Family, FitSpec, is_small
from baton.models.space import Float, Int
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from baton.models.space import Space

    Array = np.ndarray[Any, np.dtype[Any]]

_FILE = "model.cbm"
_CATEGORIES = "baton_categories"
"""Key of the model's own metadata: places of the columns that are categories."""

_OF_THE_MOMENT = ("model_guid", "train_finish_time")
"""Metadata that would make every file another one."""

_PARAMETERS: dict[str, Any] = {
    "n_estimators": int,
    "learning_rate": float,
    "depth": int,
    "l2_leaf_reg": float,
    "random_strength": float,
    "bagging_temperature": float,
    "bootstrap_type": Literal["Bayesian", "Bernoulli", "MVS", "No"],
    "subsample": float,
    "rsm": float,
    "grow_policy": Literal["SymmetricTree", "Depthwise", "Lossguide"],
    "min_data_in_leaf": int,
    "max_leaves": int,
    "max_bin": int,
    "one_hot_max_size": int,
    "max_ctr_complexity": int,
    "leaf_estimation_iterations": int,
    "n_jobs": int | None,
    "early_stopping": bool,
}

_TREES_OF_CATBOOST = 1000

_TUNED_CLASSES = {
    "learning_rate": 0.08,
    "depth": 7,
    # The paper has 1e-5, tuned for the error rate; CatBoost's own keeps rare classes' log loss.
    "l2_leaf_reg": 3.0,
    "random_strength": 0.8,
    "one_hot_max_size": 15,
}
_TUNED_NUMBERS = {
    "learning_rate": 0.09,
    "depth": 9,
    "l2_leaf_reg": 1e-5,
    "random_strength": 0.0,
    "one_hot_max_size": 20,
}
_FEW_DEPTH = 6


_METRICS: dict[Metric, tuple[str, str]] = {
    Metric.ACCURACY: ("Accuracy", "Accuracy"),
    Metric.ROC_AUC: ("AUC", ""),
    Metric.AVERAGE_PRECISION: ("PRAUC", ""),
    Metric.BRIER: ("BrierScore", ""),
    Metric.MAE: ("MAE", ""),
    Metric.MEDIAN_AE: ("MAE", ""),
    Metric.MAPE: ("MAPE", ""),
}
"""CatBoost's name of a metric, or of what stands closest: of two classes or numbers, of more."""

_MORE_IS_BETTER = {"Accuracy", "AUC", "PRAUC"}


def is_installed() -> bool:
    """Tell whether the extra is there."""
    return find_spec("catboost") is not None


class Cat:
    """A model of CatBoost's that answers as scikit-learn's regressors do."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def categories(self) -> list[int]:
        """Places of the matrix's columns that are categories."""
        found = self.inner.get_metadata().get(_CATEGORIES, "")
        return [int(place) for place in found.split(",") if place]

    def pool(self, X: Any) -> Any:
        """Rows as CatBoost takes them."""
        return _pool(X, self.categories)

    def margin(self, X: Any) -> Array:
        """Raw output: array of shape (n_rows,) or (n_rows, n_classes)."""
        return self._answers(X, "RawFormulaVal")

    def predict(self, X: Any) -> Array:
        """Predict numbers: array of shape (n_rows,)."""
        return self.margin(X)

    def contributions(self, X: Any) -> Array:
        """Shapley values and, last of the columns, the base value, by CatBoost's own TreeSHAP."""
        return np.asarray(self.inner.get_feature_importance(self.pool(X), type="ShapValues"))

    def _answers(self, X: Any, what: str) -> Array:
        threads = 1 if is_small(X) else -1
        return np.asarray(self.inner.predict(self.pool(X), what, thread_count=threads))


class CatClassifier(Cat):
    """The same for classes, which are codes."""

    @property
    def classes_(self) -> Array:
        """Codes of the classes."""
        return np.asarray(self.inner.classes_, dtype=np.intp)

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities: array of shape (n_rows, n_classes)."""
        return self._answers(X, "Probability")

    def predict(self, X: Any) -> Array:
        """Predict codes: array of shape (n_rows,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))


class CatBoost(Family):
    """Symmetric gradient-boosted trees with ordered statistics of categories."""

    explain = Explain.TREE
    encodings = (Encoding.NATIVE, Encoding.TARGET)
    takes_missing = True

    def parameters(self, kind: Kind) -> Mapping[str, Any]:  # noqa: ARG002
        """CatBoost's own names and types, and whether the number of trees is found or given."""
        return _PARAMETERS

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Defaults that were tuned on many tables; shallower trees on few rows.

        Holzmüller, Grinsztajn, Steinwart (2024), Better by default, NeurIPS, arXiv 2407.04491.
        """
        is_class = kind is Kind.CLASSIFICATION
        tuned = _TUNED_CLASSES if is_class else _TUNED_NUMBERS
        few = {"depth": _FEW_DEPTH, "l2_leaf_reg": 3.0}
        return {
            **super().defaults(kind, n_rows),
            "n_estimators": _TREES_OF_CATBOOST,
            "early_stopping": True,
            "bootstrap_type": "Bernoulli",
            "subsample": 0.9,
            "leaf_estimation_iterations": 1,
            "max_bin": 254,
            **tuned,
            **(few if n_rows < stopping.FOLDS_ROWS else {}),
        }

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Size and weight of the trees, and how categories are counted.

        Erickson et al. (2025), TabArena, arXiv 2506.16791.
        """
        return {
            "learning_rate": Float(0.005, 0.1, log=True),
            "depth": Int(4, 8),
            "l2_leaf_reg": Float(1e-4, 5.0, log=True),
            "random_strength": Float(0.0, 2.0),
            "max_ctr_complexity": Int(1, 5),
            "one_hot_max_size": Int(2, 100, log=True),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit all rows with as many trees as rows that were not fitted find useful."""
        _require()
        settings = _settings(X, spec)
        if spec.params.get("early_stopping", True):
            settings["iterations"] = _rounds(settings, X, y, spec)
        inner = _trained(settings, _rows(X, y, spec))
        known = inner.get_metadata()
        known[_CATEGORIES] = ",".join(map(str, spec.categories))
        for name in _OF_THE_MOMENT:
            known[name] = ""
        return _wrapped(inner, spec.kind)

    def settled(self, estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
        """With the number of trees that was found."""
        n_trees = estimator.inner.tree_count_
        return {**params, "n_estimators": n_trees, "early_stopping": False}

    def save(self, estimator: Any, folder: Path) -> None:
        """Write CatBoost's own binary."""
        estimator.inner.save_model(str(folder / _FILE))

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read CatBoost's own binary."""
        _require()
        import catboost

        try:
            inner = catboost.CatBoost().load_model(str(folder / _FILE))
        except catboost.CatBoostError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"no model can be read from {folder / _FILE}: {reason}") from None
        return _wrapped(inner, kind)


def _require() -> None:
    if not is_installed():
        raise InputError(f"catboost is not installed: {with_extra('catboost')}")


def _wrapped(inner: Any, kind: Kind) -> Cat:
    return CatClassifier(inner) if kind is Kind.CLASSIFICATION else Cat(inner)


def _settings(X: Any, spec: FitSpec) -> dict[str, Any]:
    """Hyperparameters in CatBoost's terms."""
    own = spec.without("n_estimators", "n_jobs", "early_stopping").params
    threads = spec.params.get("n_jobs") or (1 if is_small(X) else -1)
    return {
        "loss_function": _loss(spec),
        **own,
        "iterations": int(spec.params.get("n_estimators", _TREES_OF_CATBOOST)),
        "thread_count": threads,
        "random_seed": spec.seed,
        "allow_writing_files": False,
        "verbose": 0,
    }


def _loss(spec: FitSpec) -> str:
    if spec.kind is Kind.REGRESSION:
        return "RMSE"
    return "Logloss" if spec.n_classes == 2 else "MultiClass"


def _rows(X: Any, y: Any, spec: FitSpec, part: Any = slice(None)) -> Any:
    """Rows to learn from, or some of them, with their weights."""
    weights = None if spec.weights is None else spec.weights[part]
    return _pool(X[part], spec.categories, y[part], weights)


def _pool(X: Any, categories: list[int], y: Any = None, weights: Any = None) -> Any:
    """Rows as CatBoost takes them: a category is a whole number, −1 where it is missing."""
    import catboost
    import pandas as pd

    if not categories:
        return catboost.Pool(X, y, weight=weights)
    frame = pd.DataFrame(X)
    for place in categories:
        frame[place] = np.nan_to_num(X[:, place], nan=-1.0).astype(np.int64)
    return catboost.Pool(frame, y, weight=weights, cat_features=categories)


def _trained(settings: dict[str, Any], rows: Any, **watch: Any) -> Any:
    import catboost

    try:
        return catboost.CatBoost(settings).fit(rows, **watch)
    except catboost.CatBoostError as error:
        raise ValueError(str(error)) from error


def _rounds(settings: dict[str, Any], X: Any, y: Any, spec: FitSpec) -> int:
    """Number of trees at which rows that were not fitted are answered best."""
    most = int(settings["iterations"])
    too_few = stopping.untried(y, most)
    if too_few is not None:
        return too_few
    is_folded = stopping.is_by_folds(y, spec)
    parts = stopping.folds(y, spec) if is_folded else [stopping.parted(y, spec)]
    watched = _watched(spec, stopping.metric_of(y, spec, parts))
    settings = settings | ({"eval_metric": watched} if watched else {})
    curves = [_curve(settings, X, y, spec, *part) for part in parts]
    shortest = min(map(len, curves))
    return int(np.mean([one[:shortest] for one in curves], axis=0).argmin()) + 1


def _curve(
    settings: dict[str, Any], X: Any, y: Any, spec: FitSpec, fitted: Any, watched: Any
) -> Array:
    """Loss of the rows watched after each tree."""
    seen = _rows(X, y, spec, watched)
    patience = {"eval_set": seen, "early_stopping_rounds": stopping.PATIENCE}
    tried = _trained(settings, _rows(X, y, spec, fitted), **patience)
    name = settings.get("eval_metric", settings["loss_function"])
    curve = np.asarray(tried.get_evals_result()["validation"][name])
    return -curve if name in _MORE_IS_BETTER else curve


def _watched(spec: FitSpec, metric: Metric | None) -> str:
    """CatBoost's name of what says when to stop; empty where its own loss does."""
    found = _METRICS.get(metric) if metric else None
    return "" if found is None else found[spec.n_classes > 2]
