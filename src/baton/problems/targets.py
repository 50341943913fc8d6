"""What is kept of the targets of a table that is read piece by piece: a byte or two a row.

How rows are held out by them belongs in ``splits``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.choice import plain
from baton.problems.splits import held_out_by_chance, held_out_of_each
from baton.terms import Kind

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

_MOST_NARROW = np.iinfo(np.int16).max


class Targets:
    """The class of every row; of numbers whether each is there and is zero, and their range."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._codes: list[Array] = []
        self._labels: dict[Any, int] = {}
        self._range = (math.inf, -math.inf)

    def add(self, values: pd.Series) -> None:
        """Take the targets of the next rows; missing where a row has none."""
        way = self._of_numbers if self.kind is Kind.REGRESSION else self._of_classes
        self._codes.append(way(values))

    def _of_numbers(self, values: pd.Series) -> Array:
        low, high = self._range
        self._range = (min(low, float(values.min())), max(high, float(values.max())))
        return np.where(values.isna(), -1, values != 0).astype(np.int8)

    def _of_classes(self, values: pd.Series) -> Array:
        import pandas as pd

        codes, labels = pd.factorize(values)
        known = [self._labels.setdefault(plain(one), len(self._labels)) for one in labels]
        narrow = np.int16 if len(self._labels) <= _MOST_NARROW else np.int32
        return np.append(known, -1).astype(narrow)[codes]

    def held_out(self, test_size: float, seed: int) -> Array:
        """Rows that are held out by chance, of each class in its proportion: shape (n,), bool.

        Of the rows that have a target, those of the same table in memory.
        """
        codes = self._ranked()
        has_target = codes >= 0
        if self.kind is Kind.CLASSIFICATION:
            return held_out_of_each(codes, test_size, seed)
        found = np.zeros(len(codes), dtype=bool)
        found[has_target] = held_out_by_chance(int(has_target.sum()), test_size, seed)
        return found

    def _ranked(self) -> Array:
        """Place of each row's class in the order of classes; -1 where there is none."""
        if self.kind is Kind.REGRESSION:
            return np.concatenate(self._codes)
        order = [self._labels[one] for one in sorted(self._labels)]
        ranks = np.append(np.argsort(order), -1).astype(self._codes[-1].dtype)
        return np.concatenate([ranks[part] for part in self._codes])

    def counts(self, is_held: Array) -> tuple[int, int]:
        """Rows to learn from, and rows held out, of those that have a target."""
        n_held = n_all = 0
        for part, held in self._beside(is_held):
            n_all += int((part >= 0).sum())
            n_held += int((held & (part >= 0)).sum())
        return n_all - n_held, n_held

    def sides(self, is_held: Array) -> tuple[pd.Series, pd.Series]:
        """Stand-ins for the targets of both sides: each class once, or the ends of the numbers."""
        found: tuple[set[int], set[int]] = (set(), set())
        for part, held in self._beside(is_held):
            for side, chosen in zip(found, (~held, held), strict=True):
                side.update(np.unique(part[chosen]).tolist())
        learned, held_out = (self._shown(side - {-1}) for side in found)
        return learned, held_out

    def _shown(self, codes: set[int]) -> pd.Series:
        import pandas as pd

        if self.kind is Kind.CLASSIFICATION:
            return pd.Series([one for one, code in self._labels.items() if code in codes])
        return pd.Series([*self._range, *([0.0] if 0 in codes else [])])

    def _beside(self, is_held: Array) -> Any:
        ends = np.cumsum([len(part) for part in self._codes])
        return zip(self._codes, np.split(is_held, ends[:-1]), strict=True)
