"""Held-out rows as the arrays that every metric, interval and curve is computed from.

What is computed from them belongs in the modules above this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Classified:
    """Held-out rows of a classification, labels as places in `classes`."""

    codes: Array
    proba: Array
    predicted: Array
    classes: tuple[Any, ...]
    n_present: int
    weights: Array | None = None
    """How much each row counts; None where all count the same."""

    @property
    def n_classes(self) -> int:
        """Number of classes, those included that the model never saw."""
        return len(self.classes)

    @property
    def is_complete(self) -> bool:
        """Every class occurs, and there are at least two."""
        return self.n_present == self.n_classes > 1


@dataclass(frozen=True)
class Estimated:
    """Held-out rows of a regression."""

    actual: Array
    predicted: Array
    weights: Array | None = None
    """How much each row counts; None where all count the same."""


def classified(
    y_true: Any,
    proba: Any,
    classes: Sequence[Any],
    y_pred: Any = None,
    weights: Any = None,
) -> Classified:
    """Labels as places among the classes, probabilities scaled to sum to 1.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels. One that is not in `classes` extends them, as a class of probability 0.
    proba : array-like of shape (n, n_classes)
    classes : sequence
    y_pred : array-like of shape (n,), optional
        Predicted labels; the most probable ones if not given.
    weights : array-like of shape (n,), optional

    Raises
    ------
    InputError
        If no label is among `classes`.
    """
    codes, labels = coded(y_true, classes)
    given = np.asarray(proba, dtype=np.float64).reshape(len(codes), len(classes))
    padded = np.zeros((len(codes), len(labels)))
    with np.errstate(invalid="ignore", divide="ignore"):
        padded[:, : len(classes)] = given / given.sum(axis=1, keepdims=True)
    predicted = padded.argmax(axis=1) if y_pred is None else coded(y_pred, labels)[0]
    return Classified(codes, padded, predicted, labels, len(np.unique(codes)), _weights(weights))


def coded(values: Any, classes: Sequence[Any]) -> tuple[Array, tuple[Any, ...]]:
    """Places of labels among the classes, which labels that the model never saw extend.

    Returns
    -------
    (array of shape (n,), tuple)
        The places, and the classes with what extends them.

    Raises
    ------
    InputError
        If no label is among `classes`.
    """
    import pandas as pd

    labels = np.asarray(values)
    codes = np.asarray(pd.Index(list(classes)).get_indexer(pd.Index(labels)))
    unseen = codes < 0
    if not unseen.any():
        return codes, tuple(classes)
    if unseen.all():
        raise InputError(
            f"no label is a class of the model: found {labels.tolist()[0]!r}, classes are"
            f" {', '.join(map(repr, list(classes)[:5]))}"
        )
    extra, others = pd.factorize(labels[unseen], sort=True)
    codes[unseen] = extra + len(classes)
    return codes, (*classes, *others.tolist())


def estimated(y_true: Any, y_pred: Any, weights: Any = None) -> Estimated:
    """Actual and predicted numbers, and how much each row counts, each of shape (n,)."""
    return Estimated(floats(y_true), floats(y_pred), _weights(weights))


def log_losses(held: Classified) -> Array:
    """Log loss of every row, to the bit scikit-learn's."""
    least = np.finfo(np.float64).eps
    found: Array = -np.log(np.clip(_of_true(held), least, 1 - least))
    return found


def losses(held: Classified) -> Array:
    """Log loss and Brier score of every row: array of shape (2, n)."""
    of_true = _of_true(held)
    squares = (held.proba**2).sum(axis=1) - of_true**2 + (1 - of_true) ** 2
    halved = 0.5 if held.n_classes == 2 else 1.0
    return np.stack([log_losses(held), halved * squares])


def _of_true(held: Classified) -> Array:
    """Probability that each row's own class was given."""
    found: Array = held.proba[np.arange(len(held.codes)), held.codes]
    return found


def _weights(values: Any) -> Array | None:
    return None if values is None else floats(values)


def floats(values: Any) -> Array:
    """Values as an array of shape (n,), float64."""
    return np.asarray(values, dtype=np.float64).reshape(-1)
