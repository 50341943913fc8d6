"""What is found of a model once it is fitted, on rows that it did not learn from.

Calibration, threshold and interval are all found on the same answers out of fold: of models with
the same hyperparameters and number of trees, each fitted without the rows that it answers to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.bonds import bonds_of
from baton.models import calibration, prediction_interval, stopping, threshold
from baton.models.answers import output_of
from baton.models.deciding import Deciding
from baton.models.fitted import FittedModel, fit_settled, targets
from baton.models.interface import FitSpec
from baton.models.registry import family
from baton.terms import Kind
from baton.weights import weights_of

if TYPE_CHECKING:
    import pandas as pd

    from baton.models.recipe import Recipe

    Array = np.ndarray[Any, np.dtype[Any]]

FOLDED_ROWS = 20_000
"""Of more rows one part is answered to; it is large enough, and folds would take long."""

_LATEST = 2
"""Of rows with a time the last folds are answered to: the first learn from too few rows."""


@dataclass(frozen=True)
class Wanted:
    """What is to be found."""

    threshold: str | None = None
    """As `baton.choice.threshold_goal` reads it."""
    calibrate: bool = False
    interval: float = 0.0
    """Part of the rows that intervals of numbers hold; 0 for none."""

    def is_of(self, kind: Kind) -> bool:
        """Whether anything is to be found of such a model."""
        if kind is Kind.REGRESSION:
            return self.interval > 0
        return self.calibrate or self.threshold is not None


@dataclass(frozen=True)
class OutOfFold:
    """Answers to training rows of models that did not learn from them."""

    actual: Array
    """Codes or numbers: shape (n,)."""
    output: Array
    """Probabilities or numbers."""
    weights: Array | None
    units: Array | None
    """Unit of each row, where rows hang together."""


def finish(
    fitted: FittedModel,
    rows: pd.DataFrame,
    recipe: Recipe,
    wanted: Wanted,
    known: OutOfFold | None = None,
) -> FittedModel:
    """Return the model with what was found of it.

    Parameters
    ----------
    fitted : FittedModel
    rows : DataFrame
        What it was fitted on, see :func:`baton.models.fit`.
    recipe : Recipe
        What it was fitted by; of an ensemble, what any of its members was.
    wanted : Wanted
    known : OutOfFold, optional
        What models like it have answered already, see :func:`known`; of an ensemble it must be
        given. If not given, such models are fitted.
    """
    if not wanted.is_of(recipe.kind):
        return fitted
    held = out_of_fold(fitted, rows, recipe) if known is None else known
    way = _of_numbers if recipe.kind is Kind.REGRESSION else _of_classes
    return replace(fitted, deciding=way(held, wanted))


def _of_numbers(held: OutOfFold, wanted: Wanted) -> Deciding:
    found = prediction_interval.found(
        held.actual, held.output, wanted.interval, weights=held.weights, units=held.units
    )
    return Deciding(interval=found)


def _of_classes(held: OutOfFold, wanted: Wanted) -> Deciding:
    stretch = None
    if wanted.calibrate:
        stretch = calibration.inverse_temperature(held.actual, held.output, held.weights)
    found = Deciding(inverse_temperature=stretch)
    if wanted.threshold is None:
        return found
    proba = found.calibrated(held.output)[:, 1]
    chosen = threshold.found(wanted.threshold, held.actual == 1, proba, held.weights)
    return found.model_copy(update={"threshold": chosen})


def out_of_fold(fitted: FittedModel, rows: pd.DataFrame, recipe: Recipe) -> OutOfFold:
    """Answers to the training rows, or to a part of many, of models fitted without them."""
    params = family(recipe.family).settled(fitted.estimator, fitted.params)
    y = targets(rows[recipe.target], recipe.kind, recipe.positive)[1]
    held, outputs = [], []
    for learned, others in _parts(y, rows, fitted, recipe):
        model = fit_settled(rows.iloc[learned], recipe, params)
        outputs.append(output_of(model, rows.iloc[others]))
        held.append(others)
    return _beside(rows, recipe, np.concatenate(held), np.concatenate(outputs))


def known(rows: pd.DataFrame, recipe: Recipe, places: Array, output: Array) -> OutOfFold:
    """Answers to the training rows at these places that there are already.

    Of rows with a time the later ones only: what answered the others learned from too few.
    """
    times = bonds_of(rows).times
    if times is None:
        return _beside(rows, recipe, places, output)
    order = np.argsort(times[places], kind="stable")
    late = order[-round(len(order) * _LATEST / stopping.N_FOLDS) :]
    return _beside(rows, recipe, places[late], output[late])


def _beside(rows: pd.DataFrame, recipe: Recipe, places: Array, output: Array) -> OutOfFold:
    weights = weights_of(rows)
    return OutOfFold(
        actual=targets(rows[recipe.target], recipe.kind, recipe.positive)[1][places],
        output=output,
        weights=None if weights is None else weights[places],
        units=bonds_of(rows).take(places).units(),
    )


def _parts(
    y: Array, rows: pd.DataFrame, fitted: FittedModel, recipe: Recipe
) -> list[tuple[Array, Array]]:
    """Places to learn from and to answer to; every class keeps a row among the first."""
    bonds = bonds_of(rows)
    # Another parting than the one that found the number of trees.
    spec = FitSpec(
        kind=recipe.kind, n_classes=len(fitted.classes), seed=recipe.seed + 1, bonds=bonds
    )
    found = stopping.folds(y, spec) if len(y) <= FOLDED_ROWS else [stopping.parted(y, spec)]
    if bonds.times is not None:
        found = found[-_LATEST:]
    if recipe.kind is Kind.REGRESSION:
        return found
    return [_with_every_class(y, learned, others) for learned, others in found]


def _with_every_class(y: Array, learned: Array, others: Array) -> tuple[Array, Array]:
    is_strange = ~np.isin(y[others], np.unique(y[learned]))
    return np.concatenate([learned, others[is_strange]]), others[~is_strange]
