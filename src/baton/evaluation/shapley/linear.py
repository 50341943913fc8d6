"""Exact Shapley values of linear models: coefficient times distance from the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.evaluation.shapley.matrices import Groups, is_sparse, numbers

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


def coefficients_of(estimator: Any) -> tuple[Array, Array] | None:
    """Coefficients (n_outputs, n_features) and intercepts (n_outputs,) of a linear model."""
    if type(estimator).__name__ == "OneVsRestClassifier":
        found = [coefficients_of(one) for one in estimator.estimators_]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        return np.concatenate([one[0] for one in known]), np.concatenate([one[1] for one in known])
    is_linear = hasattr(estimator, "coef_") and hasattr(estimator, "intercept_")
    if not is_linear or hasattr(estimator, "kernel"):
        return None
    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    return coefficients, np.broadcast_to(np.ravel(estimator.intercept_), len(coefficients))


def linear_values(
    coefficients: Array, intercepts: Array, background: Any, groups: Groups | None, X: Any
) -> tuple[Array, Array]:
    """Coefficient times distance from the background's mean; never densifies a sparse matrix."""
    from scipy.sparse import csr_matrix

    n_encoded = coefficients.shape[1]
    sources = np.arange(n_encoded) if groups is None else groups.sources
    shape = n_encoded, (n_encoded if groups is None else groups.n_features)
    rows, behind = (one if is_sparse(one) else numbers(one) for one in (X, background))
    mean = np.asarray(behind.mean(axis=0)).ravel()
    values = []
    for weights in coefficients:
        by_user = csr_matrix((weights, (np.arange(n_encoded), sources)), shape=shape)
        moved = rows @ by_user
        values.append((moved.toarray() if is_sparse(moved) else moved) - mean @ by_user)
    return np.stack(values, axis=2), np.asarray(intercepts + coefficients @ mean)
