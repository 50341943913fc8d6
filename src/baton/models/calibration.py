"""Probabilities brought to what is seen, by one number: temperature scaling.

Guo, Pleiss, Sun, Weinberger (2017), On Calibration of Modern Neural Networks, ICML. One number
cannot learn rows by heart, changes no order of two classes and no most probable class, and of a
model that adds up margins it only stretches them: what explains the margin goes on explaining it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_WIDEST = 3.0
"""Natural logarithm of how far margins are stretched or shrunk at most."""


def scaled(proba: Array, inverse_temperature: float) -> Array:
    """Probabilities whose margins are stretched: shape (n, n_classes), rows sum to 1.

    Examples
    --------
    >>> scaled(np.array([[0.2, 0.8]]), 0.5).round(3).tolist()
    [[0.333, 0.667]]
    """
    from scipy.special import softmax

    tiny = np.finfo(np.float64).eps
    return np.asarray(softmax(inverse_temperature * np.log(np.clip(proba, tiny, 1.0)), axis=1))


def inverse_temperature(codes: Array, proba: Array, weights: Array | None = None) -> float:
    """Number by which margins are stretched so that the log loss is least.

    Parameters
    ----------
    codes : int array of shape (n,)
    proba : array of shape (n, n_classes)
        Of rows that the model did not learn from.
    weights : array of shape (n,), optional
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(codes))
    tiny = np.finfo(np.float64).eps

    def loss(logarithm: float) -> float:
        of_true = scaled(proba, np.exp(logarithm))[rows, codes]
        return float(np.average(-np.log(np.maximum(of_true, tiny)), weights=weights))

    found = minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
