"""How one set of hyperparameters is scored, step by step, on rows that it did not see.

Few rows are scored by cross-validation, a fold a step. Of many, one part is held out: the first
step learns from a quarter of the rest, the last from all of it. After a step a hopeless trial may
be given up. The rows that the model is scored on in the end are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.bonds import NONE, Bonds
from baton.errors import InputError
from baton.evaluation import metrics
from baton.evaluation.validation import split_folds
from baton.models.answers import output_of
from baton.terms import Kind
from baton.weights import weights_of

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
FOLDED_ROWS = 20_000
"""Most rows that are cross-validated; of more, a part is held out."""

_FIRST_PART = 0.25

Fit = Callable[["pd.DataFrame"], Any]
"""From training rows to a fitted model."""


@dataclass(frozen=True)
class Validation:
    """Steps of every trial: positions of the rows to learn from and to score."""

    steps: tuple[tuple[Any, Any], ...]
    is_folded: bool
    """Whether the score is the mean over the steps; else it is that of the last one."""

    def scores(self, rows: pd.DataFrame, target: str, metric: str, fit: Fit) -> Iterator[float]:
        """Score after each step, the last one counts.

        Parameters
        ----------
        rows : DataFrame of shape (n, k + 1)
        target : str
        metric : str
        fit : callable

        Raises
        ------
        InputError
            If the metric is not defined on the rows of a step.
        """
        found: list[float] = []
        for learned, held in self.steps:
            model, seen = fit(rows.iloc[learned]), rows.iloc[held]
            output = output_of(model, seen)
            weights = weights_of(seen)
            score = metrics.score(metric, seen[target], output, model.classes, weights=weights)
            if score is None:
                raise InputError(
                    f"{metric} is not defined on the rows of a validation step;"
                    " choose another metric"
                )
            found.append(score)
            yield float(np.mean(found)) if self.is_folded else score


def validation_of(target: pd.Series, kind: Kind, seed: int, bonds: Bonds = NONE) -> Validation:
    """Steps for a table, the same for every trial of a study.

    Parameters
    ----------
    target : Series of shape (n,)
    kind : Kind
    seed : int
    bonds : Bonds, optional
        What rows hang together by: what is scored is of other groups, or later.

    Raises
    ------
    InputError
        If the rows are too few.
    """
    folds = split_folds(target, kind, FOLDS, seed, bonds)
    if len(target) <= FOLDED_ROWS:
        return Validation(tuple(folds), is_folded=True)
    rest, held = folds[0] if bonds.times is None else folds[-1]  # the latest learns from most
    few = np.random.default_rng(seed).permutation(rest)[: int(len(rest) * _FIRST_PART)]
    return Validation(((np.sort(few), held), (rest, held)), is_folded=False)
