"""Folds, and metrics over them.

How a single set of hyperparameters is scored while a search runs belongs in
``baton.tuning.validation``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton import bonds, models
from baton.bonds import NONE, Bonds, bonds_of
from baton.errors import InputError
from baton.evaluation.held_out import coded
from baton.evaluation.metrics import evaluate
from baton.models.answers import output_of
from baton.terms import Kind
from baton.weights import weights_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class CrossValidation:
    """Metrics of every fold; those that some fold leaves undefined are not among them."""

    scores: dict[str, tuple[float, ...]]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of every metric over the folds."""
        return {name: float(np.mean(values)) for name, values in self.scores.items()}

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation of every metric over the folds (as numpy's, ``ddof=0``)."""
        return {name: float(np.std(values)) for name, values in self.scores.items()}


def cross_validate(
    table: pd.DataFrame,
    target: str,
    kind: Kind,
    *,
    folds: int = 5,
    seed: int = 0,
    fit: Callable[[pd.DataFrame], Any] | None = None,
) -> CrossValidation:
    """Fit and score on folds: shuffled, stratified for a classification, or as rows hang together.

    Parameters
    ----------
    table : DataFrame of shape (n, k + 1)
        The columns to learn from and the target, and the hidden columns `GROUP` and `TIME` where
        rows hang together, and `WEIGHT` where they count differently; the rows that `fit` is given
        have them too.
    target : str
    kind : Kind
    folds : int
    seed : int
        Of the folds and of the default `fit`.
    fit : callable, optional
        From training rows to a fitted model (`predict`, `predict_proba`, `classes`, `labels`);
        :func:`baton.models.fit` with its defaults if not given.

    Raises
    ------
    InputError
        If there are fewer rows, or fewer rows of every class, than folds.
    """
    learn = fit or (lambda rows: models.fit(rows, models.Recipe(target, kind, seed=seed)))
    found = []
    for train, test in split_folds(table[target], kind, folds, seed, bonds_of(table)):
        model, held = learn(table.iloc[train]), table.iloc[test]
        output = output_of(model, held)
        said = model.labels(output) if model.classes else None
        weights = weights_of(held)
        found.append(
            evaluate(kind, held[target], output, model.classes, y_pred=said, weights=weights)
        )
    common = [name for name in found[0] if all(name in one for one in found)]
    return CrossValidation({name: tuple(one[name] for one in found) for name in common})


def split_folds(
    y: pd.Series, kind: Kind, folds: int, seed: int, hanging: Bonds = NONE
) -> list[tuple[Array, Array]]:
    """Folds, shuffled and stratified or as rows hang together: positions to fit and to score.

    Parameters
    ----------
    y : Series of shape (n,)
        The target.
    kind : Kind
    folds : int
    seed : int
    hanging : Bonds, optional
        See :func:`baton.bonds.folds`.

    Raises
    ------
    InputError
        If there are fewer rows, groups or times, or fewer rows of every class, than folds.
    """
    from sklearn import model_selection as ways

    is_class = kind is Kind.CLASSIFICATION
    codes = coded(y, list(y.unique()))[0] if is_class else None
    if hanging:
        return bonds.folds(hanging, folds, seed, codes)
    chosen = ways.StratifiedKFold if is_class else ways.KFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class of fewer rows than folds
        try:
            way = chosen(folds, shuffle=True, random_state=seed)
            return list(way.split(np.zeros(len(y)), codes))
        except ValueError:
            raise InputError(
                f"{len(y)} rows are too few for {folds} folds; ask for fewer folds"
            ) from None
