"""Shapley values of any model: the mean over a background sample stands for "not known"."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.evaluation.shapley.matrices import Groups, coded, n_rows_of, placed
from baton.evaluation.shapley.outputs import raw_output
from baton.evaluation.shapley.values import Method

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int], None]
    Array = np.ndarray[Any, np.dtype[Any]]

BACKGROUND_ROWS = 50
"""Rows that stand for "not known" where a model has no exact method."""

N_PERMUTATIONS = 10
"""Orders of the columns tried per row where a model has no exact method."""

_ENUMERATED_FEATURES = 6


def over_background(
    estimator: Any,
    X: Any,
    background: Any,
    groups: Groups | None,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array, Method]:
    """Any model: the mean over a sample of the background stands for "not known"."""
    if n_rows_of(background) == 0:
        raise InputError("no rows to take a background sample from")
    behind = _sample(background, seed)
    rows, known, restore = coded(X, behind) if groups is None else placed(X, behind, groups)
    is_small = rows.shape[1] <= _ENUMERATED_FEATURES

    def output(coded: Array) -> Array:
        return raw_output(estimator, restore(coded))

    base = output(known).mean(axis=0)
    values = np.zeros((*rows.shape, len(base)))
    for place, row in enumerate(rows):
        differs = np.flatnonzero((known != row).any(axis=0))  # no other column can move it
        expect = partial(_expected, output, row, known, differs)
        if is_small:
            values[place, differs] = enumerated(expect, len(differs))
        else:
            values[place, differs] = permuted(expect, len(differs), [seed, place])
        progress(place + 1, len(rows))
    return values, base, Method.ENUMERATED if is_small else Method.SAMPLED


def _expected(
    output: Callable[[Array], Array], row: Array, known: Array, columns: Array, chosen: Array
) -> Array:
    """Mean output with the chosen of the columns as in the row, the others as in the background.

    Parameters
    ----------
    chosen : bool array of shape (n_subsets, number of `columns`)

    Returns
    -------
    array of shape (n_subsets, n_outputs)
    """
    masks = np.zeros((len(chosen), len(row)), dtype=bool)
    masks[:, columns] = chosen
    mixed = np.where(masks[:, None, :], row, known)
    found = output(mixed.reshape(-1, len(row)))
    return np.asarray(found.reshape(*mixed.shape[:2], -1).mean(axis=1))


def enumerated(expect: Callable[[Array], Array], n: int) -> Array:
    """Shapley's formula over every subset of `n` columns: array of shape (n, n_outputs)."""
    subsets = np.arange(2**n)
    chosen = (subsets[:, None] >> np.arange(n)) % 2 == 1
    worth = expect(chosen)
    sizes = chosen.sum(axis=1)
    values = np.zeros((n, worth.shape[1]))
    for place in range(n):
        without = subsets[~chosen[:, place]]
        weights = [1 / (n * math.comb(n - 1, size)) for size in sizes[without]]
        values[place] = weights @ (worth[without | 1 << place] - worth[without])
    return values


def permuted(expect: Callable[[Array], Array], n: int, seed: list[int]) -> Array:
    """What each of `n` columns adds in random orders, forward and backward: (n, n_outputs)."""
    random = np.random.default_rng(seed)
    total: Any = 0.0
    for order in (random.permutation(n) for _ in range(N_PERMUTATIONS)):
        for one in (order, order[::-1]):
            ranks = np.argsort(one)
            chosen = np.arange(n + 1)[:, None] > ranks
            total = total + np.diff(expect(chosen), axis=0)[ranks]
    return np.asarray(total / (2 * N_PERMUTATIONS))


def _sample(background: Any, seed: int) -> Any:
    n_rows = n_rows_of(background)
    chosen = np.random.default_rng(seed).permutation(n_rows)[:BACKGROUND_ROWS]
    places = np.sort(chosen)
    return background.iloc[places] if hasattr(background, "iloc") else background[places]
