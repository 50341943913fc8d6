"""New rows in a profile's bins, added batch by batch: what is kept does not grow with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.monitoring.columns import ColumnProfile, Counted, Profile, Side, counted
from baton.terms import RESERVED
from baton.words.text import counted as written

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_MANY_CELLS = 200_000
"""From so many on, columns are counted side by side."""


class Counts:
    """How many new rows fall into each bin of a profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.n_rows = 0
        self.values: list[Array] = [np.zeros(one.n_bins, np.int64) for one in profile.columns]
        """Of each column, rows in each bin."""
        self.missing: Array = np.zeros(len(profile.columns), np.int64)
        self.rows: Array = np.zeros(len(profile.columns), np.int64)
        """Of each column, rows that should have it."""
        self._n_batches: Counter[Side] = Counter()
        self._lacking: Counter[int] = Counter()
        self._new: dict[str, None] = {}
        self._changed: dict[str, None] = {}

    def add(self, features: pd.DataFrame, answers: pd.DataFrame | None = None) -> None:
        """Count a batch of new rows.

        A column that is missing, new or of another kind is no error: it is said in
        `schema_changes`. Cells of a missing column, and those that cannot be read as the column's
        kind, count as missing.

        Parameters
        ----------
        features : DataFrame of shape (n, k)
        answers : DataFrame of shape (m, l), optional
            What the model predicted; where it is not given, no column of it is taken for missing.
        """
        self.n_rows += len(features)
        self._add(features, "feature")
        if answers is not None:
            self._add(answers, "prediction")

    def _add(self, frame: pd.DataFrame, kind: Side) -> None:
        """Count the columns of one side."""
        if not len(frame):
            return
        self._n_batches[kind] += 1
        places = {str(name): place for place, name in enumerate(frame.columns)}
        mine = [i for i, one in enumerate(self.profile.columns) if one.kind == kind]
        here = [i for i in mine if self.profile.columns[i].name in places]
        known = {self.profile.columns[i].name for i in mine}
        self._new |= dict.fromkeys(name for name in places if name not in {*known, *RESERVED})
        for i, found in zip(here, _each(self._count, frame, places, here), strict=True):
            self.values[i] += found.counts
            self.missing[i] += found.n_missing
            if found.changed:
                self._changed[found.changed] = None
        for i in set(mine) - set(here):
            self.missing[i] += len(frame)
            self._lacking[i] += 1
        self.rows[mine] += len(frame)

    def _count(self, frame: pd.DataFrame, places: dict[str, int], i: int) -> Counted:
        column = self.profile.columns[i]
        return counted(frame.iloc[:, places[column.name]], column)

    @property
    def lost(self) -> tuple[str, ...]:
        """Names of columns that no batch had."""
        return tuple(column.name for column, n in self._lacked() if self._is_lost(column, n))

    @property
    def schema_changes(self) -> tuple[str, ...]:
        """How the columns differ from the profile's, in words."""
        missing = [self._lack(column, n) for column, n in self._lacked()]
        return (*missing, *(f"'{name}' is new" for name in self._new), *self._changed)

    def _lack(self, column: ColumnProfile, n: int) -> str:
        if self._is_lost(column, n):
            return f"'{column.name}' is missing"
        total = written(self._n_batches[column.kind], "batch", "batches")
        return f"'{column.name}' is missing in {n:,} of {total}"

    def _lacked(self) -> Iterator[tuple[ColumnProfile, int]]:
        for i in sorted(self._lacking):
            yield self.profile.columns[i], self._lacking[i]

    def _is_lost(self, column: ColumnProfile, n: int) -> bool:
        return n == self._n_batches[column.kind]


def _each(
    count: Callable[..., Counted], frame: pd.DataFrame, places: dict[str, int], which: list[int]
) -> list[Counted]:
    """Count these columns, in their order."""
    if frame.size < _MANY_CELLS:
        return [count(frame, places, i) for i in which]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda i: count(frame, places, i), which))
