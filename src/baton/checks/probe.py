"""The small model that checks ask: boosted trees, fitted on other rows than they answer for.

It is a model to judge data by, never one that is kept; those belong in ``baton.models``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.one_column import explained
from baton.encoding.native import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_CELLS = 400_000
"""Rows times columns of one question, at most."""

MOST_CLASSES = 30
"""Trees of each round are as many as the classes: with more of them nothing is asked."""

_WIDE = 100
"""Columns of a table that is looked at more coarsely, to be done in time."""

_ROUNDS, _FOLDS, _FEW_ROWS, _FEWEST_ROWS = 60, 3, 5_000, 300


@dataclass(frozen=True)
class Matrix:
    """Features as trees take them."""

    values: Array
    """Shape (n, k), float32."""
    categories: tuple[int, ...]
    """Places of columns that are codes."""
    sources: Array
    """Place of the feature that each column is made from."""

    @classmethod
    def of(cls, table: pd.DataFrame) -> Matrix:
        """Encode a feature table."""
        encoder = Encoder.fit(table)
        codes = tuple(i for i, kind in enumerate(encoder.feature_types) if kind == "c")
        return cls(encoder.transform(table), codes, encoder.sources)

    def only(self, features: Array) -> Matrix:
        """Those columns that are made from these features."""
        kept = np.flatnonzero(np.isin(self.sources, features))
        codes = tuple(int(i) for i in np.flatnonzero(np.isin(kept, self.categories)))
        return Matrix(self.values[:, kept], codes, self.sources[kept])

    def take(self, rows: Array) -> Matrix:
        """These rows."""
        return Matrix(self.values[rows], self.categories, self.sources)


def affordable(n_rows: int, n_columns: int, most: int) -> int:
    """Rows that a question is asked about: at most so many, fewer of a wide table.

    Examples
    --------
    >>> affordable(50_000, 20, 6_000), affordable(50_000, 1_000, 6_000)
    (6000, 400)
    """
    return min(n_rows, most, max(_FEWEST_ROWS, MOST_CELLS // max(n_columns, 1)))


def folds(n_rows: int, codes: Array | None, seed: int) -> Iterator[tuple[Array, Array]]:
    """Rows to learn from and rows to answer for: each row is answered for once."""
    order = np.random.default_rng(seed).permutation(n_rows)
    if codes is not None:  # each class in its proportion
        order = order[np.argsort(codes[order], kind="stable")]
    fold = np.empty(n_rows, dtype=np.intp)
    fold[order] = np.arange(n_rows) % _FOLDS
    for number in range(_FOLDS):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def out_of_fold(
    matrix: Matrix, y: Array, n_classes: int, seed: int, importance: Array | None = None
) -> Array:
    """Answer for every row by trees that never saw it.

    Parameters
    ----------
    matrix : Matrix of n rows
    y : array of shape (n,)
        Codes of classes, or numbers.
    n_classes : int
        0 for numbers.
    seed : int
    importance : array of shape (k,), optional
        The trees' gain is added here.

    Returns
    -------
    array of shape (n, n_classes) of probabilities, or (n,) of numbers.
    """
    found = np.zeros((len(y), n_classes) if n_classes else len(y))
    for learn, judge in folds(len(y), y if n_classes else None, seed):
        trees = fitted(matrix.take(learn), y[learn], n_classes, seed)
        answer = np.asarray(trees.predict(matrix.values[judge]))
        is_flat = bool(n_classes) and answer.ndim == 1
        found[judge] = np.column_stack([1 - answer, answer]) if is_flat else answer
        if importance is not None:
            importance += trees.feature_importance("gain")
    return found


def fitted(matrix: Matrix, y: Array, n_classes: int, seed: int) -> Any:
    """Fit the trees, LightGBM's; `n_classes` is 0 for numbers."""
    import lightgbm as lgb

    way: dict[str, Any] = {"objective": "regression"}
    if n_classes:
        way = {"objective": "binary"} if n_classes == 2 else _multiclass(n_classes)
    few = len(y) < _FEW_ROWS
    settings = {
        "learning_rate": 0.1,
        "num_leaves": 7 if few else 31,
        "max_bin": 255 if matrix.values.shape[1] <= _WIDE else 31,
        "min_data_in_leaf": max(3, min(20, len(y) // 50)),
        "cat_smooth": 20.0,
        "min_data_per_group": 10,
        "num_threads": 1,  # others of the chain work beside it; so few rows gain nothing by more
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lgb.Dataset(
        matrix.values, y, categorical_feature=list(matrix.categories), free_raw_data=True
    )
    return lgb.train(way | settings, data, num_boost_round=_ROUNDS)


def _multiclass(n_classes: int) -> dict[str, Any]:
    return {"objective": "multiclass", "num_class": n_classes}


def skill(y: Array, answer: Array, n_classes: int) -> float:
    """Part of what the target's spread leaves unknown that an answer tells.

    R² for numbers; for classes the part of the entropy that the log loss lacks. 0 says nothing,
    1 all.
    """
    if not n_classes:
        return explained(y, answer)
    shares = np.bincount(y, minlength=n_classes) / len(y)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum())
    of_true = np.clip(answer[np.arange(len(y)), y], 1e-6, 1)
    return 1 + float(np.log(of_true).mean()) / entropy if entropy > 0 else 0.0
