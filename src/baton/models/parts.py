"""Fitting a family on rows that do not fit into memory: part by part, each by chance.

Encoder and bins are learnt from one part of the rows, another one says when to stop, and each tree
learns from one of the others. What is read, and from where, belongs in ``tasks/training.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.encoding.by_target import with_averages
from baton.encoding.native import Encoder
from baton.encoding.statistics import averaged_targets
from baton.errors import InputError
from baton.models.checks import check, refusals
from baton.models.fitted import FittedModel, fitted_by, spec_of, targets
from baton.models.interface import Encoding, Matrix
from baton.models.recipe import Recipe
from baton.models.registry import family
from baton.terms import WEIGHT, Kind, visible

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BYTES_AT_ONCE = 2**29
"""What the rows of one part may take while trees learn from them."""

READ_BYTES = 2**30
"""What the matrices of several parts may take, which are read in one pass."""

_BYTES_PER_ROW = 48
_LARGEST_SHARE = 0.1
"""Part of the rows that is set aside for the encoder, and for the stop, at most."""


@dataclass(frozen=True)
class Source:
    """Training rows, read part by part."""

    n_rows: int
    n_sampled: int
    """Rows that a sample has."""
    between: Callable[[float, float, list[str] | None], Iterator[pa.Table]]
    """Rows whose chance lies between two numbers in [0, 1], of all columns or of some."""

    @property
    def share(self) -> float:
        """Part of the rows that a sample is."""
        return min(_LARGEST_SHARE, self.n_sampled / max(self.n_rows, 1))


def can_learn(recipe: Recipe, n_rows: int) -> bool:
    """Tell whether a recipe learns from all rows part by part; others learn from a sample."""
    chosen = family(recipe.family, recipe.kind)
    settings = chosen.defaults(recipe.kind, n_rows) | recipe.params
    is_dense = settings.get("encoding") in (Encoding.NATIVE, Encoding.TARGET)
    return is_dense and chosen.learns_in_parts(settings)


def fit_in_parts(source: Source, recipe: Recipe) -> FittedModel:
    """Fit a model on all rows of a source, a part of them in memory at a time.

    Raises
    ------
    InputError
        As :func:`baton.models.fit`.
    """
    chosen = family(recipe.family, recipe.kind)
    check(recipe.family, chosen, recipe.kind, recipe.params)
    settings = chosen.defaults(recipe.kind, source.n_rows) | recipe.params
    with refusals(recipe.family, chosen, recipe.kind, recipe.params):
        return _fitted(source, recipe, settings)


def _fitted(source: Source, recipe: Recipe, settings: dict[str, Any]) -> FittedModel:
    classes, some = _classes(source, recipe), _some(source)
    encoder = _encoder(some, recipe, settings, classes)
    spec = spec_of(recipe, settings, encoder, classes)
    n_parts = _n_parts(source.n_rows, len(encoder.names), len(classes))
    reader = _Reader(source, recipe, encoder, classes)
    estimator = family(recipe.family).fit_parts(
        reader.matrix_of(some),
        reader.rows(source.share, 2 * source.share),
        reader.parts(2 * source.share, n_parts),
        n_parts,
        spec,
    )
    return fitted_by(recipe, settings, encoder, classes, estimator)


def _n_parts(n_rows: int, n_columns: int, n_classes: int) -> int:
    """Parts that all rows make: gradients, margins and bins of one are there at a time."""
    size = _BYTES_PER_ROW + 6 * n_columns + 20 * max(n_classes, 1)
    return max(1, math.ceil(n_rows * size / BYTES_AT_ONCE))


def _classes(source: Source, recipe: Recipe) -> tuple[Any, ...]:
    """Labels of all rows in their order; none for a regression."""
    import pandas as pd

    if recipe.kind is Kind.REGRESSION:
        return ()
    found: set[Any] = set()
    for rows in source.between(0.0, 1.0, [recipe.target]):
        found.update(rows[recipe.target].unique().to_pylist())
    return targets(pd.Series(list(found), name=recipe.target), recipe.kind, recipe.positive)[0]


def _some(source: Source) -> pd.DataFrame:
    """Rows that no tree learns from."""
    import pyarrow as pa

    tables = list(source.between(0.0, source.share, None))
    return pa.concat_tables(tables).unify_dictionaries().to_pandas()


def _encoder(
    rows: pd.DataFrame, recipe: Recipe, settings: dict[str, Any], classes: tuple[Any, ...]
) -> Encoder:
    """Encoder of these rows."""
    X = rows[visible(rows.columns)].drop(columns=recipe.target)
    encoder = Encoder.fit(X)
    if settings["encoding"] != Encoding.TARGET:
        return encoder
    y = _coded(rows[recipe.target], classes)
    return with_averages(encoder, X, averaged_targets(y, recipe.kind, len(classes)))


def _coded(values: pd.Series, classes: tuple[Any, ...]) -> Any:
    """Places of labels among the classes; numbers as they are."""
    import pandas as pd

    if not classes:
        return values.to_numpy(dtype=np.float64)
    return pd.Index(classes).get_indexer(pd.Index(values))


@dataclass(frozen=True)
class _Reader:
    """Rows as matrices."""

    source: Source
    recipe: Recipe
    encoder: Encoder
    classes: tuple[Any, ...]

    def rows(self, low: float, high: float) -> Matrix:
        """Rows whose chance lies there, encoded as they are read, into one place.

        Many small arrays would leave holes where what is read in between was: several times the
        memory.
        """
        expected = self.source.n_rows * (high - low)
        most, end = int(expected + 6 * math.sqrt(expected)) + 100, 0
        shapes = ((most, len(self.encoder.names)), (most,), (most,))
        found = [np.empty(shape, dtype=np.float32) for shape in shapes]
        for table in self.source.between(low, high, None):
            some = self._encoded(table.to_pandas())
            begin, end = end, end + len(some[0])
            for one, more in zip(found, some, strict=True):
                one[begin:end] = more
        return self._matrix(*(one[:end] for one in found))

    def matrix_of(self, rows: pd.DataFrame) -> Matrix:
        """Rows that are there, encoded."""
        return self._matrix(*self._encoded(rows))

    def parts(self, low: float, n_parts: int) -> Iterator[Matrix]:
        """All rows whose chance lies above, in parts by chance; several are read in one pass."""
        size = 4 * (len(self.encoder.names) + 2) + 1
        n_passes = min(n_parts, math.ceil(self.source.n_rows * size / READ_BYTES))
        ends = np.linspace(low, 1.0, n_passes + 1).tolist()
        shares = [len(one) for one in np.array_split(np.arange(n_parts), n_passes)]
        for (begin, end), n_here in zip(pairwise(ends), shares, strict=True):
            yield from self._dealt(self.rows(begin, end), n_here)

    def _dealt(self, rows: Matrix, n_parts: int) -> Iterator[Matrix]:
        """Rows dealt out to so many parts."""
        if n_parts == 1:
            yield rows
            return
        random = np.random.default_rng([self.recipe.seed, len(rows.y)])
        places = random.integers(0, n_parts, len(rows.y), dtype=np.uint16)
        for place in range(n_parts):
            chosen = places == place
            weights = None if rows.weights is None else rows.weights[chosen]
            yield self._matrix(rows.X[chosen], rows.y[chosen], weights)

    def _encoded(self, rows: pd.DataFrame) -> tuple[Any, Any, Any]:
        """Matrix, targets and weights, which are 0 where all rows count the same."""
        y = _coded(rows[self.recipe.target], self.classes)
        weights = rows[WEIGHT].to_numpy() if WEIGHT in rows else np.zeros(len(y))
        return self.encoder.transform(rows), y, weights

    def _matrix(self, X: Any, y: Any, weights: Any) -> Matrix:
        if not len(y):
            raise InputError(f"{self.source.n_rows} rows are too few to be learnt from in parts")
        is_weighed = weights is not None and weights.any()
        return Matrix(X, y, weights / weights.mean() if is_weighed else None)
