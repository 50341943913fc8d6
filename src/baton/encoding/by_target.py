"""The encoding that has seen the target: averages in place of the codes of many levels.

How an average is computed belongs in ``baton.encoding.statistics``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.encoding.native import ColumnEncoding, Encoder, level_counts, places_of
from baton.encoding.statistics import is_wanted, level_averages, out_of_fold
from baton.terms import ColumnType

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_LEAST_ROWS = 2
"""A level of fewer rows has no average of its own: it would be that row's target."""


def with_averages(
    encoder: Encoder, table: pd.DataFrame, targets: Array | None, weights: Any = None
) -> Encoder:
    """Encoder whose categories of many levels become the target's averages.

    Parameters
    ----------
    encoder : Encoder
        Fitted on the same rows, with codes.
    table : DataFrame of shape (n, k)
        Training rows.
    targets : array of shape (n, number of averages), optional
        What is averaged; the encoder stays as it is where there is nothing.
    weights : array of shape (n,), optional
        How much each row counts, 1 on average.
    """
    if targets is None:
        return encoder
    columns = tuple(_averaged(one, table[one.name], targets, weights) for one in encoder.columns)
    return encoder.model_copy(update={"columns": columns})


def _averaged(
    column: ColumnEncoding, values: pd.Series, targets: Array, weights: Any
) -> ColumnEncoding:
    if column.role is not ColumnType.CATEGORY:
        return column
    counts = level_counts(values)
    if not is_wanted(counts):
        return column
    levels = tuple(sorted(counts.index[counts >= _LEAST_ROWS]))
    listed = column.model_copy(update={"levels": levels, "keeps_rest": False})
    averages = level_averages(places_of(values, listed), targets, len(levels), weights)
    prior = np.average(targets, axis=0, weights=weights)
    found = {"averages": averages.tolist(), "prior": prior.tolist()}
    return ColumnEncoding.model_validate({**listed.model_dump(), **found})


def training_matrix(
    encoder: Encoder,
    table: pd.DataFrame,
    targets: Array | None,
    seed: int,
    groups: Any = None,
    weights: Any = None,
) -> Any:
    """Encode the training rows: no row's own target is part of the averages that it is given.

    Nor is that of another row of its group, where `groups`, an array of shape (n,), says them; how
    much each row counts, 1 on average, `weights` says.

    Returns
    -------
    As `encoder.transform` for the same rows, but for the averages.
    """
    matrix = encoder.transform(table)
    if targets is None:
        return matrix
    sources = encoder.sources
    for place, column in enumerate(encoder.columns):
        if column.prior:
            places = places_of(table[column.name], column)
            n_levels = len(column.levels)
            found = out_of_fold(places, targets, n_levels, seed, groups, weights)
            matrix[:, np.flatnonzero(sources == place)] = found
    return matrix
