"""XGBoost and LightGBM, each fitted by itself, and the mean of their margins as the answer."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.models.interface import Encoding, Explain, Family, FitSpec, is_small
from baton.models.lgbm import LightGBM
from baton.models.xgb import XGBoost
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from baton.models.space import Space

    Array = np.ndarray[Any, np.dtype[Any]]

_MEMBERS: dict[str, Family] = {"xgboost": XGBoost(), "lightgbm": LightGBM()}

_SHARED = ("n_estimators", "early_stopping", "n_jobs")
"""Hyperparameters that both are given under one name."""


_ONE_SCALE = ("objective", "eval_metric", "base_score", "alpha")
"""Hyperparameters that are not offered: margins of two scales have no mean."""


class MeanMargin:
    """A booster of XGBoost and one of LightGBM that answer as one, by the mean of their margins."""

    def __init__(self, members: tuple[Any, Any]) -> None:
        self.members = members

    def margin(self, X: Any) -> Array:
        """Mean of the raw outputs: array of shape (n_rows,) or (n_rows, n_classes)."""
        xgboost, lightgbm = self.members
        both = xgboost.predict(X, output_margin=True), lightgbm.margin(X)
        return np.asarray(np.mean([np.asarray(one, dtype=np.float64) for one in both], axis=0))

    def predict(self, X: Any) -> Array:
        """Predict numbers: array of shape (n_rows,)."""
        return self.margin(X)


class MeanMarginClassifier(MeanMargin):
    """The same for classes, which are codes."""

    @property
    def classes_(self) -> Array:
        """Codes of the classes."""
        return np.asarray(self.members[1].classes_)

    def predict_proba(self, X: Any) -> Array:
        """Predict class probabilities: array of shape (n_rows, n_classes)."""
        from scipy.special import expit, softmax

        margin = self.margin(X)
        if margin.ndim == 1:
            return np.column_stack([expit(-margin), expit(margin)])
        return np.asarray(softmax(margin, axis=1))

    def predict(self, X: Any) -> Array:
        """Predict codes: array of shape (n_rows,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))


class Boosters(Family):
    """XGBoost's and LightGBM's trees together; missing values as they are."""

    explain = Explain.TREE
    encodings = (Encoding.TARGET, Encoding.NATIVE, Encoding.ONE_HOT)
    takes_missing = True

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of each, its name and two underscores before them, and what both are given."""
        own = {
            f"{name}__{one}": of
            for name, member in _MEMBERS.items()
            for one, of in member.parameters(kind).items()
            if one not in _SHARED and one not in _ONE_SCALE
        }
        known = _MEMBERS["xgboost"].parameters(kind)
        return {**{one: known[one] for one in _SHARED}, **own}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Each one's own."""
        found = super().defaults(kind, n_rows)
        for name, member in _MEMBERS.items():
            own = member.defaults(kind, n_rows)
            found |= {one: own[one] for one in _SHARED if one in own}
            found |= {
                f"{name}__{one}": value
                for one, value in own.items()
                if one not in _SHARED and one != "encoding"
            }
        return found

    def space(self, kind: Kind) -> Space:
        """Each one's own."""
        return {
            f"{name}__{one}": values
            for name, member in _MEMBERS.items()
            for one, values in member.space(kind).items()
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit both at the same time with one thread each, or one after the other with many.

        Threads of one booster wait for each other thousands of times; two boosters never do.
        """
        if "n_jobs" in spec.params or not (is_small(X) or has_few_cores()):
            return self._joined([fit() for fit in _fits(X, y, spec)], spec.kind)
        single = spec.having({**spec.params, "n_jobs": 1})
        with ThreadPoolExecutor(len(_MEMBERS)) as pool:
            begun = [pool.submit(fit) for fit in _fits(X, y, single)]
        return self._joined([one.result() for one in begun], spec.kind)

    def settled(self, estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
        """With the numbers of trees that each has found."""
        found = {one: value for one, value in params.items() if one != "n_estimators"}
        for (name, member), one in zip(_MEMBERS.items(), estimator.members, strict=True):
            n_trees = member.settled(one, {})["n_estimators"]
            found[f"{name}__n_estimators"] = n_trees
        return {**found, "early_stopping": False}

    def save(self, estimator: Any, folder: Path) -> None:
        """Write each in its engine's own format."""
        for member, one in zip(_MEMBERS.values(), estimator.members, strict=True):
            member.save(one, folder)

    def load(self, folder: Path, kind: Kind) -> Any:
        """Read each in its engine's own format."""
        return self._joined([one.load(folder, kind) for one in _MEMBERS.values()], kind)

    @staticmethod
    def _joined(members: list[Any], kind: Kind) -> MeanMargin:
        xgboost, lightgbm = members
        is_class = kind is Kind.CLASSIFICATION
        return (MeanMarginClassifier if is_class else MeanMargin)((xgboost, lightgbm))


def has_few_cores() -> bool:
    """Whether there are no more cores than boosters."""
    return (os.cpu_count() or 1) <= len(_MEMBERS)


def _fits(X: Any, y: Any, spec: FitSpec) -> list[Callable[[], Any]]:
    """What fits each of the two."""
    return [
        partial(member.fit, X, y, spec.having(_of_member(name, spec.params)))
        for name, member in _MEMBERS.items()
    ]


def _of_member(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters of one of the two."""
    shared = {one: params[one] for one in _SHARED if one in params}
    begin = f"{name}__"
    own = {one.removeprefix(begin): v for one, v in params.items() if one.startswith(begin)}
    return shared | own
