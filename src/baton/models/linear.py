"""Models that weigh and add: logistic regression, linear regression, lasso.

They take a sparse matrix with a column per category level.
"""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, Literal

from baton.models.interface import Encoding, Explain, FitSpec
from baton.models.scikit import Scikit
from baton.models.space import Categorical, Float
from baton.terms import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from baton.models.space import Space

_DENSE_CELLS = 2_000_000
_DROPPED = 1e-12


class _Weighing(Scikit, ABC):
    explain = Explain.LINEAR
    encodings = (Encoding.ONE_HOT,)
    standardizes = True


class Logistic(_Weighing):
    """Logistic regression with an L2 penalty."""

    kinds = (Kind.CLASSIFICATION,)

    def estimator(self, kind: Kind) -> Any:  # noqa: ARG002
        """scikit-learn's logistic regression."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of the estimator, and what it does with more than two classes."""
        own = {name: one for name, one in super().parameters(kind).items() if name != "n_jobs"}
        return {**own, "multi_class": Literal["multinomial", "ovr"]}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """All classes at once, on standardised numbers."""
        found = {"C": 1.0, "max_iter": 1000, "multi_class": "multinomial", "standardize": True}
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Strength of the penalty, and one model or one per class."""
        return {
            "C": Float(1e-3, 1e2, log=True),
            "multi_class": Categorical(("multinomial", "ovr")),
        }

    def build(self, spec: FitSpec) -> Any:
        """One model, or one per class against the rest; for two classes they are the same."""
        made = super().build(spec.without("multi_class"))
        if spec.params.get("multi_class") != "ovr" or spec.n_classes <= 2:
            return made
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(made)


class Linear(_Weighing):
    """Ordinary least squares."""

    kinds = (Kind.REGRESSION,)

    def estimator(self, kind: Kind) -> Any:  # noqa: ARG002
        """scikit-learn's linear regression."""
        from sklearn.linear_model import LinearRegression

        return LinearRegression

    def parameters(self, kind: Kind) -> Mapping[str, Any]:
        """Those of the estimator that have an effect with one target."""
        return {name: one for name, one in super().parameters(kind).items() if name != "n_jobs"}

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Numbers as they are: their scale does not change a prediction."""
        return {**super().defaults(kind, n_rows), "fit_intercept": True, "standardize": False}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Nothing to tune but the intercept."""
        return {"fit_intercept": Categorical((True, False))}

    def fit(self, X: Any, y: Any, spec: FitSpec) -> Any:
        """Solve exactly where the matrix is small enough to be dense, by LSQR where it is not."""
        if X.shape[0] * X.shape[1] > _DENSE_CELLS:
            return super().fit(X, y, spec)
        # Directions are dropped by their size, which must not depend on a column's unit.
        rows = X.toarray()
        spread = rows.std(axis=0)
        spread[spread == 0] = 1.0
        fitted = super().fit(rows / spread, y, spec.having({"tol": _DROPPED, **spec.params}))
        fitted.coef_ = fitted.coef_ / spread
        return fitted


class Lasso(_Weighing):
    """Least squares with an L1 penalty, which leaves columns out."""

    kinds = (Kind.REGRESSION,)

    def estimator(self, kind: Kind) -> Any:  # noqa: ARG002
        """scikit-learn's lasso."""
        from sklearn import linear_model

        return linear_model.Lasso

    def defaults(self, kind: Kind, n_rows: int) -> dict[str, Any]:
        """Light penalty, on standardised numbers."""
        found = {"alpha": 0.01, "max_iter": 10_000, "standardize": True}
        return {**super().defaults(kind, n_rows), **found}

    def space(self, kind: Kind) -> Space:  # noqa: ARG002
        """Strength of the penalty, in the unit of the target."""
        return {"alpha": Float(1e-4, 10.0, log=True)}
