"""XGBoost's gradient-boosted trees, in its own binary format."""

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
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from baton.models.interface import Matrix
    from baton.models.space import Space

_FILE = "model.ubj"

_PARAMETERS: dict[str, Any] = {
    "n_estimators": int,
    "learning_rate": float,
    "max_depth": int,
    "max_leaves": int,
    "max_bin": int,
    "tree_method": Literal["hist", "approx", "exact"],
    "grow_policy": Literal["depthwise", "lossguide"],
    "booster": Literal["gbtree", "dart"],
    "objective": str,
    "eval_metric": str,
    "gamma": float,
    "min_child_weight": float,
    "max_delta_step": float,
    "subsample": float,
    "sampling_method": Literal["uniform", "gradient_based"],
    "colsample_bytree": float,
    "colsample_bylevel": float,
    "colsample_bynode": float,
    "reg_alpha": float,
    "reg_lambda": float,
    "base_score": float,
    "num_parallel_tree": int,
    "max_cat_to_onehot": int,
    "max_cat_threshold": int,
    "device": str,
    "n_jobs": int | None,
    "early_stopping": bool,
}

_TREES_OF_XGBOOST = 100

_METRICS: dict[Metric, tuple[str, str]] = {
    Metric.ACCURACY: ("error", "merror"),
    Metric.LOG_LOSS: ("logloss", "mlogloss"),
    Metric.ROC_AUC: ("auc", "auc"),
    Metric.AVERAGE_PRECISION: ("aucpr", "aucpr"),
    Metric.BRIER: ("rmse", "mlogloss"),
    Metric.RMSE: ("rmse", ""),
    Metric.R2: ("rmse", ""),
    Metric.MAE: ("mae", ""),
    Metric.MEDIAN_AE: ("mae", ""),
    Metric.MAPE: ("mape", ""),
}
"""XGBoost's name of a metric, or of what stands closest: of two classes or numbers, of more."""

_TUNED_CLASSES = {
    "learning_rate": 0.08,
    "max_depth": 6,
    "min_child_weight": 5e-6,
    # The paper has 0, tuned for the error rate: rare classes then get probabilities that ruin the
    # log loss (3.5 in place of 0.9 on the quality of white wine).
    "reg_lambda": 1.0,
    "subsample": 0.65,
    "colsample_bylevel": 0.9,
}
_TUNED_NUMBERS = {
    "learning_rate": 0.05,
    "max_depth": 9,
    "min_child_weight": 2.0,
    "reg_lambda": 0.0,
    "subsample": 0.7,
}
_EVERY_LEVEL = 256
"""More than a column has codes for: a split sets one level apart. The sets that XGBoost makes of
five levels or more learn the training rows by heart, as the tuned weight of a leaf is so small."""

_FEW_CLASSES = {"max_depth": 4, "min_child_weight": 0.01}
_FEW_NUMBERS = {"max_depth": 3}
"""Smaller trees, for rows that are fewer than the defaults were tuned on."""


_GREATER_IS_BETTER = ("auc", "map", "ndcg", "pre")
"""How XGBoost's names of metrics begin that are no losses."""


class XGBoost(Family):
    """Gradient-boosted trees; missing values as they are."""

    explain = Explain.TREE
    encodings = (Encoding.TARGET, Encoding.NATIVE, Encoding.ONE_HOT)
    takes_missing = True

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """XGBoost's names and types, and whether the number of trees is found or given."""
        is_class = kind is Kind.CLASSIFICATION
        return {**_PARAMETERS, "scale_pos_weight": float} if is_class else _PARAMETERS

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Defaults that were tuned on many tables; shallow trees on few rows.

        Holzmüller, Grinsztajn, Steinwart (2024), Better by default, NeurIPS, arXiv 2407.04491.
        """
        is_class = kind is Kind.CLASSIFICATION
        few = _FEW_CLASSES if is_class else _FEW_NUMBERS
        return {
            **super().defaults(kind, n_rows),
            "n_estimators": 1000,
            "early_stopping": True,
            "max_cat_to_onehot": _EVERY_LEVEL,
            **(_TUNED_CLASSES if is_class else _TUNED_NUMBERS),
            **(few if n_rows < FOLDS_ROWS else {}),
        }

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Size and weight of the trees, penalties, and the parts of the table each sees.

        Erickson et al. (2025), TabArena, arXiv 2506.16791.
        """
        return {
            "learning_rate": Float(0.005, 0.1, log=True),
            "max_depth": Int(4, 10),
            "min_child_weight": Float(0.001, 5.0, log=True),
            "subsample": Float(0.6, 1.0),
            "colsample_bylevel": Float(0.6, 1.0),
            "colsample_bynode": Float(0.6, 1.0),
            "reg_alpha": Float(1e-4, 5.0),
            "reg_lambda": Float(1e-4, 5.0),
            "grow_policy": Categorical(("depthwise", "lossguide")),
            "max_leaves": Int(8, 1024, log=True),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit all rows with as many trees as rows that were not fitted find useful.

        With ``early_stopping`` off there are as many trees as are asked for.
        """
        settings = {
            "n_jobs": 1 if is_small(X) else None,
            "tree_method": "hist",
            **spec.without("early_stopping").params,
            "random_state": spec.seed,
            "feature_types": list(spec.feature_types),
            "enable_categorical": bool(spec.categories),
        }
        if spec.params.get("early_stopping", True):
            settings["n_estimators"] = self._rounds(settings, X, y, spec)
        return self._wrapper(spec.kind)(**settings).fit(X, y, sample_weight=spec.weights)

    def settled(self, estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
        """With the number of trees that was found."""
        n_trees = estimator.get_booster().num_boosted_rounds()
        return {**params, "n_estimators": n_trees, "early_stopping": False}

    def _rounds(self, settings: dict[str, Any], X: Any, y: Any, spec: FitSpec) -> int:
        """Number of trees at which the loss of rows that were not fitted is least."""
        most = int(settings.get("n_estimators", _TREES_OF_XGBOOST))
        too_few = stopping.untried(y, most)
        if too_few is not None:
            return too_few
        if stopping.is_by_folds(y, spec):
            return self._rounds_of_folds(settings, X, y, spec)
        return self._rounds_of_part(settings, X, y, spec)

    def _rounds_of_folds(self, settings: dict[str, Any], X: Any, y: Any, spec: FitSpec) -> int:
        import xgboost

        folds = stopping.folds(y, spec)
        watching = _watching(spec, stopping.metric_of(y, spec, folds), settings)
        estimator = self._wrapper(spec.kind)(**settings, **watching)
        types = estimator.feature_types
        found = xgboost.cv(
            _of_booster(estimator, spec),
            xgboost.DMatrix(
                X, y, weight=spec.weights, feature_types=types, enable_categorical=True
            ),
            num_boost_round=int(estimator.n_estimators or _TREES_OF_XGBOOST),
            folds=folds,
            early_stopping_rounds=stopping.PATIENCE,
        )
        return len(found)

    def _rounds_of_part(self, settings: dict[str, Any], X: Any, y: Any, spec: FitSpec) -> int:
        import xgboost

        fitted, watched = stopping.parted(y, spec)
        patience = xgboost.callback.EarlyStopping(rounds=stopping.PATIENCE)
        watching = _watching(spec, stopping.metric_of(y, spec, [(fitted, watched)]), settings)
        tried = self._wrapper(spec.kind)(**settings, **watching, callbacks=[patience])
        of_fitted, of_watched = (_taken(spec.weights, one) for one in (fitted, watched))
        tried.fit(
            X[fitted],
            y[fitted],
            eval_set=[(X[watched], y[watched])],
            sample_weight=of_fitted,
            sample_weight_eval_set=None if of_watched is None else [of_watched],
            verbose=False,
        )
        return int(tried.best_iteration) + 1

    def learns_in_parts(self, params: Mapping[str, Any]) -> bool:
        """Trees of histograms do, whose bins all parts can share."""
        return params.get("booster") != "dart" and params.get("tree_method", "hist") == "hist"

    def fit_parts(
        self, some: Matrix, watched: Matrix, parts: Iterable[Matrix], n_parts: int, spec: FitSpec
    ) -> Any:
        """Add trees part by part: those before answer its rows, and it is learnt what they lack.

        Every part has the same number of rounds. Bins are those of `some` for all: a tree's
        thresholds are then edges of bins in every part.
        """
        bins = _binned(some, spec)
        held, params = _binned(watched, spec, bins), self.of_training(spec)
        most = int(spec.params.get("n_estimators", _TREES_OF_XGBOOST))
        course = _Course(most, is_stopped=spec.params.get("early_stopping", True))
        booster: Any = None
        for place, part in enumerate(parts):
            n_rounds = -(-(most - course.n_rounds) // (n_parts - place))
            rows = _binned(part, spec, bins)
            booster = course.follow(booster, params, rows, held, n_rounds)
            if course.is_over:
                break
        return self.of_bytes(bytes(booster[: course.n_best].save_raw("ubj")), spec.kind)

    def save(self, estimator: Any, folder: Path) -> None:
        """Write XGBoost's own UBJSON."""
        estimator.save_model(folder / _FILE)

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read XGBoost's own UBJSON."""
        estimator = self._wrapper(kind)()
        try:
            estimator.load_model(folder / _FILE)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"no model can be read from {folder / _FILE}: {reason}") from None
        return estimator

    def of_bytes(self, content: bytes, kind: Kind) -> Any:
        """Estimator from XGBoost's own UBJSON in memory."""
        estimator = self._wrapper(kind)()
        estimator.load_model(bytearray(content))
        return estimator

    def of_training(self, spec: FitSpec) -> dict[str, Any]:
        """Hyperparameters in the terms of ``xgboost.train``."""
        own = {"tree_method": "hist", **spec.without("early_stopping").params}
        own |= _watching(spec, spec.metric, own)
        estimator = self._wrapper(spec.kind)(**own, random_state=spec.seed)
        return _of_booster(estimator, spec)

    @staticmethod
    def _wrapper(kind: Kind) -> Callable[..., Any]:
        import xgboost

        return xgboost.XGBClassifier if kind is Kind.CLASSIFICATION else xgboost.XGBRegressor  # type: ignore[no-any-return]


class _Course:
    """How the loss of the watched rows went, over all parts."""

    def __init__(self, most: int, *, is_stopped: bool) -> None:
        self.most, self.is_stopped = most, is_stopped
        self.losses: list[float] = []

    @property
    def n_rounds(self) -> int:
        """Rounds that there are."""
        return len(self.losses)

    @property
    def n_best(self) -> int:
        """Rounds that are kept."""
        return int(np.argmin(self.losses)) + 1 if self.is_stopped else self.n_rounds

    @property
    def is_over(self) -> bool:
        """Whether no more rounds are wanted."""
        is_idle = self.is_stopped and self.n_rounds - self.n_best >= stopping.PATIENCE
        return is_idle or self.n_rounds >= self.most

    def follow(
        self, booster: Any, params: dict[str, Any], rows: Any, held: Any, n_rounds: int
    ) -> Any:
        """Add rounds that learn from these rows, until they are there or nothing is gained."""
        import xgboost

        booster = booster or xgboost.Booster(params, [rows, held])
        for _ in range(n_rounds):
            booster.update(rows, self.n_rounds)
            name, value = booster.eval(held).rsplit(":", 1)
            is_greater = name.rsplit("-", 1)[-1].startswith(_GREATER_IS_BETTER)
            self.losses.append(-float(value) if is_greater else float(value))
            if self.is_over:
                break
        return booster


def _binned(rows: Matrix, spec: FitSpec, bins: Any = None) -> Any:
    import xgboost

    return xgboost.QuantileDMatrix(
        rows.X,
        rows.y,
        weight=rows.weights,
        ref=bins,
        max_bin=spec.params.get("max_bin"),
        feature_types=list(spec.feature_types),
        enable_categorical=bool(spec.categories),
    )


def _watching(spec: FitSpec, metric: Metric | None, settings: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameter that says when to stop; nothing where XGBoost's own loss does."""
    found = _METRICS.get(metric) if metric else None
    if found is None or "eval_metric" in settings:
        return {}
    return {"eval_metric": found[spec.n_classes > 2]}


def _taken(weights: Any, rows: Any) -> Any:
    return None if weights is None else weights[rows]


def _of_booster(estimator: Any, spec: FitSpec) -> dict[str, Any]:
    """Return an estimator's hyperparameters as a booster takes them, objective and all."""
    settings: dict[str, Any] = estimator.get_xgb_params()
    settings.pop("feature_types", None)
    settings.pop("enable_categorical", None)
    if spec.n_classes > 2:
        settings |= {"objective": "multi:softprob", "num_class": spec.n_classes}
    elif spec.n_classes:
        settings["objective"] = "binary:logistic"
    if own := spec.params.get("objective"):
        settings["objective"] = own
    return settings
