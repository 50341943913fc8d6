"""The families there are, by the name that a user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.models import linear, trees
from baton.models.boosters import Boosters
from baton.models.cat import CatBoost
from baton.models.lgbm import LightGBM
from baton.models.voting import Voting
from baton.models.xgb import XGBoost
from baton.words.text import did_you_mean

if TYPE_CHECKING:
    from baton.models.interface import Family
    from baton.terms import Kind

DEFAULT = "xgboost"

FAMILIES: dict[str, Family] = {
    "boosters": Boosters(),
    "xgboost": XGBoost(),
    "lightgbm": LightGBM(),
    "catboost": CatBoost(),
    "decision_tree": trees.DecisionTree(),
    "random_forest": trees.RandomForest(),
    "extra_trees": trees.ExtraTrees(),
    "adaboost": trees.AdaBoost(),
    "gradient_boosting": trees.GradientBoosting(),
    "hist_gradient_boosting": trees.HistGradientBoosting(),
    "logistic_regression": linear.Logistic(),
    "linear_regression": linear.Linear(),
    "lasso": linear.Lasso(),
    "voting": Voting(),
}


def family(name: str, kind: Kind | None = None) -> Family:
    """Return the family of that name.

    Parameters
    ----------
    name : str
    kind : Kind, optional
        What it has to be able to predict.

    Raises
    ------
    InputError
        If there is none, or it cannot predict that.
    """
    if name not in FAMILIES:
        hint = did_you_mean(name, FAMILIES)
        raise InputError(f"unknown model {name!r}; {hint}there are: {', '.join(sorted(FAMILIES))}")
    found = FAMILIES[name]
    if kind is not None and kind not in found.kinds:
        able = sorted(one for one, other in FAMILIES.items() if kind in other.kinds)
        raise InputError(f"{name} cannot do a {kind.value}; these can: {', '.join(able)}")
    return found
