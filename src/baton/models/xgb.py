"""XGBoost's gradient-boosted trees, in its own binary format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from baton.errors import InputError
from baton.models import stopping
from baton.models.interface import Explain, Family, FitSpec, is_small
from baton.models.space import Float, Int
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

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


class XGBoost(Family):
    """Gradient-boosted trees; categories natively, missing values as they are."""

    explain = Explain.TREE
    takes_missing = True

    FOLDS_ROWS = 2_000
    _FOLDS = 5
    _STOPPING_PART = 0.15
    ROUNDS = 20

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """XGBoost's names and types, and whether the number of trees is found or given."""
        is_class = kind is Kind.CLASSIFICATION
        return {**_PARAMETERS, "scale_pos_weight": float} if is_class else _PARAMETERS

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """At most 300 trees, shallow ones on few rows."""
        return {
            **super().defaults(kind, n_rows),
            "n_estimators": 300,
            "learning_rate": 0.1,
            "max_depth": 3 if n_rows < self.FOLDS_ROWS else 6,
            "early_stopping": True,
        }

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Size and weight of the trees, penalties, and the parts of the table each sees."""
        return {
            "n_estimators": Int(50, 500, step=50),
            "learning_rate": Float(0.01, 0.3, log=True),
            "max_depth": Int(2, 12),
            "min_child_weight": Float(0.5, 20.0, log=True),
            "subsample": Float(0.5, 1.0, step=0.05),
            "colsample_bytree": Float(0.3, 1.0, step=0.05),
            "reg_alpha": Float(1e-3, 10.0, log=True),
            "reg_lambda": Float(1e-3, 10.0, log=True),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit with as many trees as rows that were not fitted find useful.

        Few rows are too precious, and too few, to set some aside: there the number of trees is
        that of cross-validation, and all rows are fitted. None of them is held out for a score.
        With ``early_stopping`` off all rows are fitted with as many trees as are asked for.
        """
        import xgboost

        settings = {
            "n_jobs": 1 if is_small(X) else None,
            "tree_method": "hist",
            **spec.without("early_stopping").params,
            "random_state": spec.seed,
            "feature_types": list(spec.feature_types),
            "enable_categorical": bool(spec.categories),
        }
        wrapper = self._wrapper(spec.kind)
        if not spec.params.get("early_stopping", True):
            return wrapper(**settings).fit(X, y)
        if X.shape[0] < self.FOLDS_ROWS or spec.n_classes == len(y):
            rounds = self._rounds_of_folds(wrapper(**settings), X, y, spec)
            return wrapper(**settings | {"n_estimators": rounds}).fit(X, y)
        fitted, watched = self.parted(y, spec)
        stopping = xgboost.callback.EarlyStopping(rounds=self.ROUNDS, save_best=True)
        return wrapper(**settings, callbacks=[stopping]).fit(
            X[fitted], y[fitted], eval_set=[(X[watched], y[watched])], verbose=False
        )

    def _rounds_of_folds(self, estimator: Any, X: Any, y: Any, spec: FitSpec) -> int:
        """Number of trees at which the mean loss of the folds is least."""
        import xgboost

        most = int(estimator.n_estimators)
        if X.shape[0] < 2 * self._FOLDS:
            return most
        settings = _of_booster(estimator, spec)
        rows = xgboost.DMatrix(X, y, feature_types=estimator.feature_types, enable_categorical=True)
        found = xgboost.cv(
            settings,
            rows,
            num_boost_round=most,
            folds=stopping.folds(y, spec, self._FOLDS),
            early_stopping_rounds=self.ROUNDS,
        )
        return len(found)

    def parted(self, y: Any, spec: FitSpec) -> tuple[Any, Any]:
        """Rows to fit and rows to watch; every class keeps a row among the fitted."""
        return stopping.parted(y, spec, self._STOPPING_PART)

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
        estimator = self._wrapper(spec.kind)(**own, random_state=spec.seed)
        return _of_booster(estimator, spec)

    @staticmethod
    def _wrapper(kind: Kind) -> Callable[..., Any]:
        import xgboost

        return xgboost.XGBClassifier if kind is Kind.CLASSIFICATION else xgboost.XGBRegressor  # type: ignore[no-any-return]


def _of_booster(estimator: Any, spec: FitSpec) -> dict[str, Any]:
    """Return an estimator's hyperparameters as a booster takes them, objective and all."""
    settings: dict[str, Any] = estimator.get_xgb_params()
    settings.pop("feature_types", None)
    settings.pop("enable_categorical", None)
    if spec.n_classes > 2:
        settings |= {"objective": "multi:softprob", "num_class": spec.n_classes}
    if own := spec.params.get("objective"):
        settings["objective"] = own
    return settings
