"""What parents have seen of their children by a time, as numbers of rows and statistics of them.

Children stand in the order in which they came to be known, so that what a parent has seen by any
time is a beginning of its children: two bisections find it, and no table of pairs is made.
Which feature is made of what belongs in ``quickened``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_HALF = 32
"""Bits of a row's number: a parent's stands before its child's in one whole number."""

_LONGEST_IN_ONE = 16
"""Values of a segment up to which segments are sorted beside each other whatever their lengths."""


@dataclass(frozen=True)
class Children:
    """Rows of a table by their parents, each parent's in the order of their table."""

    keys: Array
    """Parent and row in one number, rising."""

    @classmethod
    def of(cls, parents: pl.Series, is_known: pl.Series | None) -> Children:
        """Put rows to their parents.

        Parameters
        ----------
        parents : Series of shape (n_rows,)
            Row numbers of the parents; missing where there is none.
        is_known : Series of shape (n_rows,), optional
            Whether a row is ever seen; by default all are.
        """
        is_child = parents.is_not_null() if is_known is None else parents.is_not_null() & is_known
        rows = is_child.arg_true().cast(pl.Int64).to_numpy()
        keys = parents.filter(is_child).cast(pl.Int64).to_numpy() << _HALF
        return cls(pl.Series(keys | rows).sort().to_numpy())

    def seen(self, parents: Array, n_known: Array | int) -> Seen:
        """Beginnings of parents' children.

        Parameters
        ----------
        parents : int64 array of shape (n,)
        n_known : int64 array of shape (n,) or int
            So many rows of the children's table are known by then.
        """
        low = parents << _HALF
        begins = np.searchsorted(self.keys, low)
        return Seen(self.keys, begins, np.searchsorted(self.keys, low | n_known) - begins)


@dataclass(frozen=True)
class Seen:
    """Beginnings of parents' children, the same twice, too."""

    keys: Array
    begins: Array
    sizes: Array

    def part(self, of: slice) -> Seen:
        """Some of them."""
        return Seen(self.keys, self.begins[of], self.sizes[of])

    @cached_property
    def rows(self) -> pl.Series:
        """Numbers of all rows that are seen, one beginning after the other."""
        shifts = self.begins - (np.cumsum(self.sizes) - self.sizes)
        places = np.repeat(shifts, self.sizes)
        places += np.arange(len(places))
        return self._rows(places)

    @property
    def firsts(self) -> pl.Series:
        """Number of each one's first row; missing of an empty one."""
        return self._ends(self.begins)

    @property
    def lasts(self) -> pl.Series:
        """Number of each one's last row; missing of an empty one."""
        return self._ends(self.begins + self.sizes - 1)

    def _ends(self, places: Array) -> pl.Series:
        is_there = pl.Series(self.sizes > 0)
        return pl.select(pl.when(is_there).then(self._rows(places))).to_series()

    def _rows(self, places: Array) -> pl.Series:
        keys = self.keys.take(places, mode="clip") if len(self.keys) else np.zeros_like(places)
        return pl.Series(keys.astype(np.uint32))  # the lower half


@dataclass(frozen=True)
class Segments:
    """Values that lie one segment after the other; none is missing."""

    values: Array
    sizes: Array

    @cached_property
    def _is_there(self) -> Array:
        return self.sizes > 0

    @cached_property
    def _held(self) -> Array:
        return self.sizes[self._is_there]

    @cached_property
    def _begins(self) -> Array:
        return np.cumsum(self._held) - self._held

    def _placed(self, of_held: Array) -> Array:
        found = np.full(len(self.sizes), np.nan)
        found[self._is_there] = of_held
        return found

    @cached_property
    def sum(self) -> Array:
        """Sums; 0 of nothing."""
        found = np.zeros(len(self.sizes))
        found[self._is_there] = np.add.reduceat(self.values, self._begins)
        return found

    @cached_property
    def mean(self) -> Array:
        """Means, NaN of nothing; so are those below."""
        return self._placed(self.sum[self._is_there] / self._held)

    @cached_property
    def min(self) -> Array:
        """Least values."""
        return self._placed(np.minimum.reduceat(self.values, self._begins))

    @cached_property
    def max(self) -> Array:
        """Greatest values."""
        return self._placed(np.maximum.reduceat(self.values, self._begins))

    @cached_property
    def _apart(self) -> Array:
        """Values less the mean of their segment; 0, to the bit, where all are equal."""
        is_flat = (self.min == self.max)[self._is_there]
        means = np.where(is_flat, self.min[self._is_there], self.mean[self._is_there])
        apart: Array = self.values - np.repeat(means, self._held)
        return apart

    @cached_property
    def squares(self) -> Array:
        """Sums of squared differences from the mean."""
        return self._placed(np.add.reduceat(self._apart**2, self._begins))

    @cached_property
    def cubes(self) -> Array:
        """Sums of cubed differences from the mean."""
        return self._placed(np.add.reduceat(self._apart**2 * self._apart, self._begins))

    @cached_property
    def median(self) -> Array:
        """Medians."""
        found = np.empty(len(self._held))
        widths = np.maximum(_LONGEST_IN_ONE, 2 ** np.ceil(np.log2(self._held))).astype(int)
        for width in np.unique(widths):
            some = np.flatnonzero(widths == width)
            found[some] = self._medians(self._begins[some], self._held[some], int(width))
        return self._placed(found)

    def _medians(self, begins: Array, sizes: Array, width: int) -> Array:
        """Medians of segments of similar length, which are sorted side by side."""
        places = begins[:, None] + np.arange(width)
        beside = self.values.take(places, mode="clip")
        beside[np.arange(width) >= sizes[:, None]] = np.inf
        beside.sort(axis=1)
        every = np.arange(len(sizes))
        medians: Array = (beside[every, (sizes - 1) // 2] + beside[every, sizes // 2]) / 2
        return medians


@dataclass(frozen=True)
class Coded:
    """Codes of levels that lie one segment after the other; none is missing."""

    codes: Array
    n_levels: int
    sizes: Array

    @cached_property
    def _runs(self) -> tuple[Array, Array, Array]:
        """Segment, code and count of each level that a segment has, in this order."""
        segments = np.repeat(np.arange(len(self.sizes)) * self.n_levels, self.sizes)
        keys = pl.Series(segments + self.codes).sort().to_numpy()
        begins = np.flatnonzero(np.diff(keys, prepend=-1))
        counts = np.diff(begins, append=len(keys))
        return *np.divmod(keys[begins], max(self.n_levels, 1)), counts

    @cached_property
    def n_unique(self) -> Array:
        """Number of different codes."""
        return np.bincount(self._runs[0], minlength=len(self.sizes))

    @cached_property
    def mode(self) -> Array:
        """Smallest of the most frequent codes; -1 of nothing."""
        segments, codes, counts = self._runs
        found = np.full(len(self.sizes), -1)
        if len(codes):
            begins = np.flatnonzero(np.diff(segments, prepend=-1))
            scores = counts * self.n_levels + (self.n_levels - 1 - codes)
            best = np.maximum.reduceat(scores, begins) % self.n_levels
            found[segments[begins]] = self.n_levels - 1 - best
        return found
