"""Rows that stand on both sides of the split: a model that has seen them is judged by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.one_column import values_of
from baton.warning import DataWarning, WarningKind
from baton.words.text import counted, percent

if TYPE_CHECKING:
    import pandas as pd

    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

_FEWEST, _LEAST_SHARE, _BY_CHANCE = 5, 0.005, 0.1


def duplicates(sides: Sides) -> list[DataWarning]:
    """Warn of held-out rows that are training rows too, features and target alike.

    Rows of few columns with few values are equal by chance, which is no mistake: those are not
    warned of.
    """
    hashes = _hashes(sides)
    is_twin = np.isin(hashes[sides.is_test], hashes[~sides.is_test])
    n_twins, share = int(is_twin.sum()), float(is_twin.mean()) if len(is_twin) else 0.0
    if n_twins < _FEWEST or share < _LEAST_SHARE or by_chance(sides) > _BY_CHANCE * share:
        return []
    return [
        DataWarning(
            WarningKind.DUPLICATES,
            (),
            f"{counted(n_twins, 'held-out row')} ({percent(share)}) stand among the training rows"
            f" too, with the same '{sides.name}': the score flatters; take rows that are in the"
            " table twice out of it",
        )
    ]


def _hashes(sides: Sides) -> Array:
    """Hash of every row: 64 bits, so that none are equal by accident."""
    import pandas as pd

    table: pd.DataFrame = sides.features.assign(**{"": sides.target})
    return np.asarray(pd.util.hash_pandas_object(table, index=False))


def by_chance(sides: Sides) -> float:
    """Part of the held-out rows, at most, that would have a twin were all rows drawn apart.

    Columns go together, so that rows agree more often than independent columns say: half of the
    bits of information count, in the sense of the collision entropy of each column.
    """
    columns = [sides.train[name] for name in sides.train]
    bits = sum(_bits(values_of(one).numbers) for one in columns) / 2
    n_train = int((~sides.is_test).sum())
    return float(min(1.0, n_train * 2.0**-bits))


def _bits(numbers: Array) -> float:
    shares = np.unique(numbers, return_counts=True)[1] / max(len(numbers), 1)
    return float(-np.log2((shares**2).sum())) if len(shares) else 0.0
