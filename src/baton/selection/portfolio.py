"""Which candidates `quality=best` tries, in the order in which they are worth trying.

Families whose Shapley values are exact, and settings that did well on many tables: the tuned
defaults of Holzmüller, Grinsztajn and Steinwart (2024, arXiv 2407.04491), which are each family's
own, and settings of the portfolio that was learnt from TabRepo's results (Salinas and Erickson
2024, TabRepo, arXiv 2311.02971; AutoGluon's ``zeroshot_2023``), rounded, in its order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from baton import models
from baton.models.cat import is_installed
from baton.terms import Kind


@dataclass(frozen=True)
class Candidate:
    """A family with settings, before it has seen a row."""

    name: str
    family: str
    params: dict[str, Any] = field(default_factory=dict)
    """Settings beside the family's defaults."""
    cost: float = 1.0
    """Seconds to fit, about, where XGBoost's defaults take one."""


GOOD = ("xgboost", "lightgbm")
"""Candidates that are `quality=good` together."""

_SLOW_RATE = 0.02
_SLOW_TREES = 4000
"""Most trees of a booster whose learning rate is below that."""


def _xgboost(number: int, rate: float, depth: int, weight: float, part: float) -> Candidate:
    params = {
        "learning_rate": rate,
        "max_depth": depth,
        "min_child_weight": weight,
        "colsample_bytree": part,
        "colsample_bylevel": 1.0,
        "subsample": 1.0,
        "reg_lambda": 1.0,
    }
    return _booster(f"xgboost_{number}", "xgboost", params, 1.5)


def _lightgbm(
    number: int, rate: float, leaves: int, least: int, part: float, *, extra: bool = False
) -> Candidate:
    params: dict[str, Any] = {
        "learning_rate": rate,
        "num_leaves": leaves,
        "min_data_in_leaf": least,
        "feature_fraction": part,
        "extra_trees": extra,
        "bagging_freq": 0,
        "bagging_fraction": 1.0,
    }
    return _booster(f"lightgbm_{number}", "lightgbm", params, 1.0)


def _booster(name: str, family: str, params: dict[str, Any], cost: float) -> Candidate:
    """Candidate with as many trees as its learning rate asks for."""
    if params["learning_rate"] >= _SLOW_RATE:
        return Candidate(name, family, params, cost)
    return Candidate(name, family, {**params, "n_estimators": _SLOW_TREES}, 3 * cost)


def _catboost(number: int, rate: float, depth: int, penalty: float, hot: int) -> Candidate:
    params = {
        "learning_rate": rate,
        "depth": depth,
        "l2_leaf_reg": penalty,
        "one_hot_max_size": hot,
    }
    return Candidate(f"catboost_{number}", "catboost", params, 4.0)


_FOREST = {"n_estimators": 100, "max_features": 0.75}
"""Fewer trees than the portfolio's 300: a forest of full trees is large at rest."""

_BOTH = (
    Candidate("xgboost", "xgboost"),
    Candidate("lightgbm", "lightgbm"),
    Candidate("catboost", "catboost", cost=4.0),
    _lightgbm(96, 0.0152, 16, 48, 0.564, extra=True),
    _lightgbm(131, 0.0121, 53, 14, 0.702),
    Candidate("extra_trees_42", "extra_trees", {**_FOREST, "min_samples_leaf": 1}, 0.7),
    _xgboost(33, 0.0181, 10, 0.603, 0.692),
    _catboost(177, 0.0686, 6, 2.15, 10),
    _lightgbm(188, 0.0339, 127, 6, 0.828, extra=True),
    Candidate("random_forest_39", "random_forest", {**_FOREST, "min_samples_leaf": 2}, 1.0),
    _xgboost(89, 0.0878, 5, 0.629, 0.663),
    _catboost(137, 0.0494, 4, 4.56, 3),
    _lightgbm(130, 0.0471, 89, 56, 0.625),
    _lightgbm(15, 0.0186, 22, 6, 0.742),
    _xgboost(31, 0.00997, 4, 0.924, 0.751),
    _catboost(50, 0.0709, 4, 2.70, 2),
    _xgboost(194, 0.0929, 7, 0.804, 0.909),
    _lightgbm(94, 0.0403, 16, 33, 0.434, extra=True),
)

_LINEAR = {
    Kind.CLASSIFICATION: Candidate("logistic_regression", "logistic_regression", {}, 0.5),
    Kind.REGRESSION: Candidate("lasso", "lasso", {}, 0.5),
}


def portfolio(kind: Kind) -> tuple[Candidate, ...]:
    """Candidates of a kind, those that `GOOD` names first, without what is not installed."""
    every = (*_BOTH[:3], _LINEAR[kind], *_BOTH[3:])
    missing = set() if is_installed() else {"catboost"}
    return tuple(
        one
        for one in every
        if one.family not in missing and kind in models.family(one.family).kinds
    )


def settings_of(family: str, kind: Kind) -> list[dict[str, Any]]:
    """Settings of a family that are worth a search's first trials, beside its defaults."""
    if family == "boosters":
        each = [
            [{f"{name}__{key}": v for key, v in one.items()} for one in settings_of(name, kind)]
            for name in GOOD
        ]
        return [one | other for one, other in zip(*each, strict=False)]
    return [one.params for one in portfolio(kind) if one.family == family and one.params]
