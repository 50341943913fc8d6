"""Soft voting: the mean of a random forest, extra trees and a linear model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baton.models.interface import Encoding, Explain, FitSpec
from baton.models.linear import Linear, Logistic
from baton.models.scikit import Scikit, in_one_thread
from baton.models.space import Float, Int
from baton.models.trees import ExtraTrees, RandomForest
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from baton.models.space import Space

_OF_FORESTS: dict[str, Any] = {
    "n_estimators": int,
    "max_depth": int | None,
    "min_samples_leaf": int,
    "n_jobs": int | None,
}


class Voting(Scikit):
    """Probabilities, or numbers, of three models, averaged."""

    explain = Explain.ANY
    encodings = (Encoding.ONE_HOT,)
    standardizes = True

    def estimator(self, kind: Kind) -> Any:
        """scikit-learn's voting ensemble."""
        from sklearn.ensemble import VotingClassifier, VotingRegressor

        return VotingClassifier if kind is Kind.CLASSIFICATION else VotingRegressor

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of both forests, of the logistic regression, and the weights of the three."""
        own = {**_OF_FORESTS, "weights": list[float] | None}
        return {**own, "C": float} if kind is Kind.CLASSIFICATION else own

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Forests of a hundred full trees, equal weights, standardised numbers."""
        found: dict[str, Any] = {
            **super().defaults(kind, n_rows),
            "n_estimators": 100,
            "max_depth": None,
            "min_samples_leaf": 1,
            "weights": None,
            "standardize": True,
        }
        return {**found, "C": 1.0} if kind is Kind.CLASSIFICATION else found

    def space(self, kind: Kind) -> Space:
        """Size of the forests and their trees."""
        found: dict[str, Any] = {
            "n_estimators": Int(50, 200, step=50),
            "max_depth": Int(3, 30),
            "min_samples_leaf": Int(1, 20, log=True),
        }
        is_class = kind is Kind.CLASSIFICATION
        return {**found, "C": Float(1e-3, 1e2, log=True)} if is_class else found

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Fit the three, and let each of them predict in one thread."""
        fitted = super().fit(X, y, spec)
        for one in [*fitted.estimators_, *(one for _, one in fitted.estimators)]:
            in_one_thread(one)
        return fitted

    def build(self, spec: FitSpec) -> Any:
        """Make the ensemble of three."""
        params = spec.params
        of_forests = spec.having({name: params[name] for name in _OF_FORESTS if name in params})
        members = [
            ("random_forest", RandomForest().build(of_forests)),
            ("extra_trees", ExtraTrees().build(of_forests)),
        ]
        if spec.kind is Kind.CLASSIFICATION:
            of_logistic = spec.having({"C": params["C"], "max_iter": 1000})
            members.append(("logistic", Logistic().build(of_logistic)))
            return self.estimator(spec.kind)(members, voting="soft", weights=params["weights"])
        members.append(("linear", Linear().build(spec.having({}))))
        return self.estimator(spec.kind)(members, weights=params["weights"])
