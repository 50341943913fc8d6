"""Answers of several models joined to one: in which scale they are averaged.

Pure functions of arrays; the models that are joined belong in ``ensemble``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[Any]]

_LEAST = 1e-12
"""Probabilities below it have no more say: a logarithm of zero would have all of it."""


class Mixing(StrEnum):
    """What of several models is averaged."""

    MARGINS = "margins"
    """Logarithms of probabilities, which margins are but for a constant of each row."""
    PROBABILITIES = "probabilities"
    """Probabilities of classes."""
    NUMBERS = "numbers"
    """Predicted numbers."""


def scaled(output: Any, mixing: Mixing) -> Array:
    """Output of one model in the scale in which it is averaged, of the same shape."""
    found = np.asarray(output, dtype=np.float64)
    return np.log(np.maximum(found, _LEAST)) if mixing is Mixing.MARGINS else found


def unscaled(mean: Array, mixing: Mixing) -> Array:
    """Probabilities or numbers from their mean in the scale of the averaging."""
    if mixing is not Mixing.MARGINS:
        return mean
    from scipy.special import softmax

    return np.asarray(softmax(mean, axis=-1))


def mixed(outputs: Sequence[Any], weights: Sequence[float], mixing: Mixing) -> Array:
    """Weighted mean of the outputs of several models.

    Parameters
    ----------
    outputs : sequence of arrays, all of shape (n, n_classes) or (n,)
        Probabilities or numbers.
    weights : sequence of float
        Their sum is 1.
    mixing : Mixing

    Examples
    --------
    >>> mixed([[1.0, 2.0], [3.0, 4.0]], [0.5, 0.5], Mixing.NUMBERS).tolist()
    [2.0, 3.0]
    """
    parts = [w * scaled(one, mixing) for one, w in zip(outputs, weights, strict=True)]
    return unscaled(np.asarray(np.sum(parts, axis=0)), mixing)
