"""Models: fitting, predicting, and their files.

Every family of models implements :class:`Family`; :class:`FittedModel` joins what it fitted
with the encoder and the class labels. Metrics and explanations have modules of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from baton.encoding import Encoder
from baton.errors import InputError
from baton.problems.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_CARD = "model.json"
DEFAULT = "xgboost"


class Explain(StrEnum):
    """How a family's predictions are explained exactly, if they can be."""

    TREE = "tree"
    LINEAR = "linear"
    ANY = "any"


class Family(Protocol):
    """One kind of estimator: how it is fitted, written and read."""

    explain: Explain

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Hyperparameters that are used where the user gives none."""

    def fit(
        self,
        X: Any,
        y: Any,
        kind: Kind,
        feature_types: list[str],
        params: dict[str, Any],
        seed: int,
    ) -> Any:
        """Fit an estimator with the scikit-learn interface."""

    def save(self, estimator: Any, folder: Path) -> None:
        """Write the estimator in a format that runs no code when it is read."""

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read what `save` wrote."""


class XGBoost:
    """Gradient-boosted trees; categories natively, missing values as they are."""

    explain: Explain = Explain.TREE

    # Threads cost more than they give on a small matrix, and far more on a busy machine.
    _THREADS_CELLS = 200_000
    _FOLDS_ROWS = 2_000
    _FOLDS = 5
    _STOPPING_PART = 0.15
    _ROUNDS = 20

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:  # noqa: ARG002
        """At most 300 trees, shallow ones on few rows."""
        depth = 3 if n_rows < self._FOLDS_ROWS else 6
        return {"n_estimators": 300, "learning_rate": 0.1, "max_depth": depth}

    def fit(
        self,
        X: Any,
        y: Any,
        kind: Kind,
        feature_types: list[str],
        params: dict[str, Any],
        seed: int,
    ) -> Any:
        """Fit with as many trees as rows that were not fitted find useful.

        Few rows are too precious, and too few, to set some aside: there the number of trees is
        that of cross-validation, and all rows are fitted. None of them is held out for a score.
        """
        import xgboost

        settings = {
            "n_jobs": 1 if X.size < self._THREADS_CELLS else None,
            **params,
            "random_state": seed,
            "feature_types": feature_types,
            "enable_categorical": True,
            "tree_method": "hist",
        }
        wrapper = self._wrapper(kind)
        if len(X) < self._FOLDS_ROWS or self._has_lone_classes_only(y, kind):
            rounds = self._rounds_of_folds(wrapper(**settings), X, y, kind, seed)
            return wrapper(**settings | {"n_estimators": rounds}).fit(X, y)
        fitted, watched = self._parted(y, kind, seed)
        stopping = xgboost.callback.EarlyStopping(rounds=self._ROUNDS, save_best=True)
        return wrapper(**settings, callbacks=[stopping]).fit(
            X[fitted], y[fitted], eval_set=[(X[watched], y[watched])], verbose=False
        )

    def _rounds_of_folds(self, estimator: Any, X: Any, y: Any, kind: Kind, seed: int) -> int:
        """Number of trees at which the mean loss of the folds is least."""
        import xgboost
        from sklearn.model_selection import KFold

        most = int(estimator.n_estimators)
        if len(X) < 2 * self._FOLDS:
            return most
        settings = estimator.get_xgb_params()
        settings.pop("feature_types", None)
        settings.pop("enable_categorical", None)
        n_classes = len(np.unique(y)) if kind is Kind.CLASSIFICATION else 0
        if n_classes == 2:
            settings["objective"] = "binary:logistic"
        elif n_classes:
            settings |= {"objective": "multi:softprob", "num_class": n_classes}
        rows = xgboost.DMatrix(X, y, feature_types=estimator.feature_types, enable_categorical=True)
        found = xgboost.cv(
            settings,
            rows,
            num_boost_round=most,
            folds=list(KFold(self._FOLDS, shuffle=True, random_state=seed).split(X)),
            early_stopping_rounds=self._ROUNDS,
        )
        return len(found)

    @staticmethod
    def _has_lone_classes_only(y: Any, kind: Kind) -> bool:
        return kind is Kind.CLASSIFICATION and len(np.unique(y)) == len(y)

    def _parted(self, y: Any, kind: Kind, seed: int) -> tuple[Any, Any]:
        """Rows to fit and rows to watch; every class keeps a row among the fitted."""
        from sklearn.model_selection import train_test_split

        rows = np.arange(len(y))
        if kind is Kind.REGRESSION:
            return tuple(train_test_split(rows, test_size=self._STOPPING_PART, random_state=seed))
        frequent = np.bincount(y)[y] >= 2
        few = rows[~frequent]
        part = max(self._STOPPING_PART, 1.5 * len(np.unique(y[frequent])) / frequent.sum())
        fitted, watched = train_test_split(
            rows[frequent], test_size=min(part, 0.5), random_state=seed, stratify=y[frequent]
        )
        return np.concatenate([fitted, few]), watched

    def save(self, estimator: Any, folder: Path) -> None:
        """Write XGBoost's own UBJSON."""
        estimator.save_model(folder / "model.ubj")

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read XGBoost's own UBJSON."""
        estimator = self._wrapper(kind)()
        estimator.load_model(folder / "model.ubj")
        return estimator

    @staticmethod
    def _wrapper(kind: Kind) -> Callable[..., Any]:
        import xgboost

        return xgboost.XGBClassifier if kind is Kind.CLASSIFICATION else xgboost.XGBRegressor  # type: ignore[no-any-return]


FAMILIES: dict[str, Family] = {"xgboost": XGBoost()}


def family(name: str) -> Family:
    """Return the family of that name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in FAMILIES:
        raise InputError(f"unknown model {name!r}; there are: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[name]


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator that takes tables in the user's columns and answers in their labels."""

    family: str
    kind: Kind
    target: str
    encoder: Encoder
    classes: tuple[Any, ...]
    """Labels in the order of the estimator's codes; empty for regression."""
    estimator: Any
    params: dict[str, Any]

    def matrix(self, table: pd.DataFrame) -> Any:
        """Encode a table: array of shape (n_rows, n_encoded), float32."""
        return self.encoder.transform(table)

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Predict labels or values: array of shape (n_rows,)."""
        found = self.estimator.predict(self.matrix(table))
        if self.kind is Kind.REGRESSION:
            return np.asarray(found, dtype=np.float64)
        return self._labels(np.asarray(found, dtype=np.intp))

    def labels(self, proba: Any) -> Any:
        """Return the most probable label of each row of class probabilities."""
        return self._labels(proba.argmax(axis=1))

    def _labels(self, codes: Any) -> Any:
        return np.asarray(self.classes)[codes]

    def predict_proba(self, table: pd.DataFrame) -> Any:
        """Predict class probabilities: array of shape (n_rows, n_classes), rows sum to 1."""
        found = np.asarray(self.estimator.predict_proba(self.matrix(table)), dtype=np.float64)
        return found.reshape(len(table), len(self.classes))  # XGBoost miscounts classes of no rows

    def save(self, folder: Path) -> None:
        """Write the model: JSON beside the estimator's own format, never pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        family(self.family).save(self.estimator, folder)
        card = {
            "family": self.family,
            "kind": self.kind.value,
            "target": self.target,
            "classes": list(self.classes),
            "params": self.params,
            "encoder": self.encoder.model_dump(mode="json"),
        }
        (folder / _CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1), "utf-8")


def fit(
    table: pd.DataFrame,
    target: str,
    kind: Kind,
    *,
    name: str = DEFAULT,
    params: dict[str, Any] | None = None,
    seed: int = 0,
) -> FittedModel:
    """Fit a model on training rows.

    Parameters
    ----------
    table : DataFrame of shape (n, k + 1)
        The columns to learn from and the target, nothing else.
    target : str
    kind : Kind
    name : str
        Family, a key of `FAMILIES`.
    params : dict, optional
        Hyperparameters; the family's defaults fill the rest.
    seed : int

    Returns
    -------
    FittedModel

    Raises
    ------
    InputError
        If the table has no column to learn from, a target is missing or all are one class.
    """
    chosen = family(name)
    settings = chosen.defaults(kind, len(table)) | (params or {})
    X = table.drop(columns=target)
    encoder = Encoder.fit(X)
    classes, y = _targets(table[target], kind)
    estimator = chosen.fit(encoder.transform(X), y, kind, encoder.feature_types, settings, seed)
    return FittedModel(name, kind, target, encoder, classes, estimator, settings)


def _targets(values: pd.Series, kind: Kind) -> tuple[tuple[Any, ...], Any]:
    if values.isna().any():
        raise InputError(f"{values.isna().sum()} rows have no {values.name!r}; drop them first")
    if kind is Kind.REGRESSION:
        return (), values.to_numpy(dtype=np.float64)
    import pandas as pd

    codes, labels = pd.factorize(values.to_numpy(), sort=True)
    if len(labels) < 2:
        raise InputError(f"column {values.name!r} holds one class only; there must be two or more")
    return tuple(labels.tolist()), codes


def load(folder: Path) -> FittedModel:
    """Read a model that :meth:`FittedModel.save` wrote.

    Raises
    ------
    InputError
        If the folder holds no model of Baton's.
    """
    card = folder / _CARD
    if not card.is_file():
        raise InputError(f"no model in {folder}: {_CARD} is missing")
    content = json.loads(card.read_text("utf-8"))
    kind = Kind(content["kind"])
    return FittedModel(
        family=content["family"],
        kind=kind,
        target=content["target"],
        encoder=Encoder.model_validate(content["encoder"]),
        classes=tuple(content["classes"]),
        estimator=family(content["family"]).load(folder, kind),
        params=content["params"],
    )


def _load_pyfunc(path: str) -> FittedModel:
    """Entry point by which MLflow loads a registered model."""
    return load(Path(path))
