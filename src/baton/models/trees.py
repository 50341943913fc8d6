"""scikit-learn's trees, their forests and their boosted ensembles.

A category is a column of codes to them, in the order of frequency; those that take no missing
value get a filled matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.models.interface import Encoding, Explain, FitSpec, is_small
from baton.models.scikit import Scikit
from baton.models.space import Float, Int
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from baton.models.space import Space


class DecisionTree(Scikit):
    """One tree."""

    takes_missing = True

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's decision tree."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        return DecisionTreeClassifier if kind is Kind.CLASSIFICATION else DecisionTreeRegressor

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Grow until every leaf is pure, as scikit-learn does."""
        return {**super().defaults(kind, n_rows), "max_depth": None, "min_samples_leaf": 1}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Depth, and how few rows a leaf may hold."""
        return {
            "max_depth": Int(2, 20),
            "min_samples_leaf": Int(1, 50, log=True),
            "max_features": Float(0.2, 1.0),
        }


class RandomForest(Scikit):
    """Trees on bootstrap samples."""

    takes_missing = True

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's random forest."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        return RandomForestClassifier if kind is Kind.CLASSIFICATION else RandomForestRegressor

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Hundred full trees, as scikit-learn does."""
        found = {"n_estimators": 100, "max_depth": None, "min_samples_leaf": 1}
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Number and size of the trees, and how different they are."""
        return {
            "n_estimators": Int(50, 300, step=50),
            "max_depth": Int(3, 30),
            "min_samples_leaf": Int(1, 20, log=True),
            "max_features": Float(0.2, 1.0),
        }


class ExtraTrees(RandomForest):
    """Trees whose thresholds are drawn at random."""

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's extremely randomised trees."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        return ExtraTreesClassifier if kind is Kind.CLASSIFICATION else ExtraTreesRegressor


class AdaBoost(Scikit):
    """Small trees, each on the rows that those before it got wrong."""

    explain = Explain.ANY

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's AdaBoost."""
        from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor

        return AdaBoostClassifier if kind is Kind.CLASSIFICATION else AdaBoostRegressor

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of the ensemble, and the depth of its trees."""
        return {**super().parameters(kind), "max_depth": int | None}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Fifty trees: stumps for classes, depth 3 for numbers, as scikit-learn does."""
        depth = 1 if kind is Kind.CLASSIFICATION else 3
        found = {"n_estimators": 50, "learning_rate": 1.0, "max_depth": depth}
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Number, weight and depth of the trees."""
        return {
            "n_estimators": Int(25, 200, step=25),
            "learning_rate": Float(0.05, 2.0, log=True),
            "max_depth": Int(1, 5),
        }

    def build(self, spec: FitSpec) -> Any:
        """Make the ensemble of trees of the depth that is asked for."""
        tree = DecisionTree().estimator(spec.kind)(max_depth=spec.params["max_depth"])
        return super().build(spec.without("max_depth")).set_params(estimator=tree)


class GradientBoosting(Scikit):
    """Gradient-boosted trees that try every threshold."""

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's gradient boosting."""
        from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

        is_class = kind is Kind.CLASSIFICATION
        return GradientBoostingClassifier if is_class else GradientBoostingRegressor

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Hundred trees of depth 3, as scikit-learn does."""
        found = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3}
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Number, weight and size of the trees, and the part of the rows each sees."""
        return {
            "n_estimators": Int(50, 300, step=50),
            "learning_rate": Float(0.01, 0.3, log=True),
            "max_depth": Int(2, 8),
            "min_samples_leaf": Int(1, 20, log=True),
            "subsample": Float(0.5, 1.0),
        }


class HistGradientBoosting(Scikit):
    """Gradient-boosted trees on histograms; categories natively, missing values as they are."""

    explain = Explain.ANY  # shap knows no split by category
    encodings = (Encoding.NATIVE,)
    takes_missing = True

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's histogram gradient boosting."""
        from sklearn.ensemble import (
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )

        is_class = kind is Kind.CLASSIFICATION
        return HistGradientBoostingClassifier if is_class else HistGradientBoostingRegressor

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Hundred trees, as scikit-learn does; no row is set aside unless that is asked for."""
        found = {
            "max_iter": 100,
            "learning_rate": 0.1,
            "max_leaf_nodes": 31,
            "min_samples_leaf": 20,
            "early_stopping": False,
        }
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Number, weight and size of the trees."""
        return {
            "max_iter": Int(50, 300, step=50),
            "learning_rate": Float(0.01, 0.3, log=True),
            "max_leaf_nodes": Int(7, 63, log=True),
            "min_samples_leaf": Int(5, 50),
            "l2_regularization": Float(0.0, 10.0),
        }

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit; its threads only wait for each other on a small matrix."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1 if is_small(X) else None, user_api="openmp"):
            return super().fit(X, y, spec)

    def build(self, spec: FitSpec) -> Any:
        """Tell it which columns are categories."""
        return super().build(spec).set_params(categorical_features=spec.categories or None)
