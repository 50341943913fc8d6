"""Points around centres, drawn some at a time: scikit-learn's ``make_blobs``, to the bit.

What is learnt from them belongs in the problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.problems.splits import shuffled_places

if TYPE_CHECKING:
    from collections.abc import Iterator

    Array = np.ndarray[Any, np.dtype[Any]]

_BOX = (-10.0, 10.0)
"""Where centres lie: scikit-learn's default."""

_PARTS = 4
"""Of all points, one of which is held at once; for each, all are drawn."""


@dataclass(frozen=True)
class Blobs:
    """Clusters of points, as `make_blobs` takes them."""

    n_rows: int
    modes: int
    dims: int
    std: float
    seed: int

    @property
    def _ends(self) -> Array:
        """Where the points of each cluster end before they are shuffled."""
        sizes = np.full(self.modes, self.n_rows // self.modes)
        sizes[: self.n_rows % self.modes] += 1
        return np.cumsum(sizes)

    def pieces(self, n_at_once: int, draw: int = 0) -> Iterator[tuple[Array, Array]]:
        """Points and the number of their cluster, so many rows at a time.

        Of another `draw` the points are new and the clusters of the rows are the same. Drawing
        goes cluster by cluster and rows are shuffled at the end, by draws that follow the points':
        these are drawn for the order of the rows, and again for each part of them. A quarter of the
        points is held at once, with the order of all: 12 bytes a row in three dimensions, 4 for
        another draw.

        Yields
        ------
        (ndarray of shape (m, dims), ndarray of shape (m,))
        """
        random, centres = self._begun()
        for _ in self._drawn(random, centres, n_at_once):
            pass
        order = shuffled_places(self.n_rows, random)
        if draw:
            yield from self._drawn_anew(order, centres, n_at_once, draw)
            return
        rows = np.empty_like(order)
        rows[order] = np.arange(self.n_rows, dtype=order.dtype)
        del order
        n_held = n_at_once * -(-self.n_rows // (_PARTS * n_at_once))
        points, clusters = np.empty((n_held, self.dims)), np.empty(n_held, dtype=int)
        for first in range(0, self.n_rows, n_held):
            held = points[: self.n_rows - first], clusters[: self.n_rows - first]
            self._hold(rows, first, *held, n_at_once)
            for some, of in zip(*(_some(one, n_at_once) for one in held), strict=True):
                yield some.copy(), of.copy()

    def _drawn_anew(
        self, order: Array, centres: Array, n_at_once: int, draw: int
    ) -> Iterator[tuple[Array, Array]]:
        """Other points around the centres of the same rows."""
        noise = np.random.default_rng([self.seed, draw])
        for places in _some(order, n_at_once):
            cluster = np.searchsorted(self._ends, places, side="right")
            moved = noise.normal(scale=self.std, size=(len(places), self.dims))
            yield centres[cluster] + moved, cluster

    def _begun(self) -> tuple[np.random.RandomState, Array]:
        """What draws the points next, and the centres that it has drawn."""
        random = np.random.RandomState(self.seed)
        return random, random.uniform(*_BOX, size=(self.modes, self.dims))

    def _drawn(
        self, random: np.random.RandomState, centres: Array, n_at_once: int
    ) -> Iterator[tuple[int, Array]]:
        """Points with the number of their cluster, cluster by cluster."""
        begin = 0
        for cluster, end in enumerate(self._ends):
            for first in range(begin, end, n_at_once):
                size = (min(n_at_once, end - first), self.dims)
                yield cluster, random.normal(centres[cluster], self.std, size=size)
            begin = end

    def _hold(
        self, rows: Array, first: int, points: Array, clusters: Array, n_at_once: int
    ) -> None:
        """Write points and clusters of the rows from `first` on, as many as there is room for.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Row of each point, in the order in which they are drawn.
        first : int
        points : ndarray of shape (m, dims)
        clusters : ndarray of shape (m,)
        n_at_once : int
        """
        begin = 0
        for cluster, drawn in self._drawn(*self._begun(), n_at_once):
            at = rows[begin : begin + len(drawn)]
            (mine,) = np.nonzero((at >= first) & (at < first + len(points)))
            at = at[mine] - first
            points[at], clusters[at] = drawn[mine], cluster
            begin += len(drawn)


def _some(rows: Array, n_at_once: int) -> Iterator[Array]:
    return (rows[begin : begin + n_at_once] for begin in range(0, len(rows), n_at_once))
