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
        goes cluster by cluster and rows are shuffled at the end, so all points are held once,
        with the order of the rows: 28 bytes a row in three dimensions, 4 for another draw.

        Yields
        ------
        (ndarray of shape (m, dims), ndarray of shape (m,))
        """
        random = np.random.RandomState(self.seed)
        centres = random.uniform(*_BOX, size=(self.modes, self.dims))
        points = self._drawn(random, centres, n_at_once, is_kept=not draw)
        order = shuffled_places(self.n_rows, random)
        noise, ends = np.random.default_rng([self.seed, draw]), self._ends
        for begin in range(0, self.n_rows, n_at_once):
            places = order[begin : begin + n_at_once]
            cluster = np.searchsorted(ends, places, side="right")
            if points is None:
                moved = noise.normal(scale=self.std, size=(len(places), self.dims))
                yield centres[cluster] + moved, cluster
            else:
                yield points[places], cluster

    def _drawn(
        self, random: np.random.RandomState, centres: Array, n_at_once: int, *, is_kept: bool
    ) -> Array | None:
        """Points cluster by cluster; only drawn where the order that follows is wanted."""
        points = np.empty((self.n_rows, self.dims)) if is_kept else None
        begin = 0
        for centre, end in zip(centres, self._ends, strict=True):
            for first in range(begin, end, n_at_once):
                last = min(first + n_at_once, end)
                found = random.normal(centre, self.std, size=(last - first, self.dims))
                if points is not None:
                    points[first:last] = found
            begin = end
        return points
