"""The families there are, by the name that a user gives: Baton's own and those of other packages.

A package adds a family by an entry point in the group ``baton.models`` that names one
:class:`Family` object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.models import linear, trees
from baton.models.boosters import Boosters
from baton.models.cat import CatBoost
from baton.models.interface import Family
from baton.models.lgbm import LightGBM
from baton.models.voting import Voting
from baton.models.xgb import XGBoost
from baton.plugins import PlugIns

if TYPE_CHECKING:
    from baton.terms import Kind

DEFAULT = "xgboost"

ENSEMBLE = "ensemble"
"""What several models together are called."""

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
"""Baton's own."""

PLUG_INS = PlugIns("baton.models", "model", own=frozenset(FAMILIES), reserved=frozenset({ENSEMBLE}))


def names() -> list[str]:
    """Names of all families, sorted; no package is imported for it."""
    return sorted({*FAMILIES, *PLUG_INS.names})


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
        If there is none, it cannot predict that, or its package cannot be imported.
    """
    found: Family = FAMILIES.get(name) or PLUG_INS.load(name, Family)
    if kind is not None and kind not in found.kinds:
        able = sorted(one for one, other in loaded()[0].items() if kind in other.kinds)
        raise InputError(f"{name} cannot do a {kind.value}; these can: {', '.join(able)}")
    return found


def loaded() -> tuple[dict[str, Family], list[str]]:
    """Families by name whose packages can be imported, and what is to be said of the others."""
    found, refused = dict(FAMILIES), PLUG_INS.refused
    for name in PLUG_INS.names:
        try:
            found[name] = PLUG_INS.load(name, Family)
        except InputError as error:
            refused.append(str(error))
    return found, refused


def package_of(name: str) -> tuple[str, str] | None:
    """Name and version of the package that brings a family; None for Baton's own."""
    return None if name in FAMILIES else PLUG_INS.package(name)


def code_of(*families: str) -> set[str]:
    """Modules of other packages that bring some of these families, for a fingerprint.

    Baton's own families are in the fingerprint of whatever fits a model.
    """
    return {module for name in families if (module := PLUG_INS.module(name))}
