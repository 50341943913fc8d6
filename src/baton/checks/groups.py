"""A key that repeats: rows of one customer, patient or machine on both sides of the split."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.advice import hold_out_whole
from baton.checks.one_column import ranks, values_of
from baton.warning import DataWarning, WarningKind
from baton.words.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

_KEY = re.compile(
    r"(?i:(^|[\W_])(id|uuid|guid|key|nr|no|name|subject|patient|person|user|customer|client|account"
    r"|session|household|student|employee|player|driver|device|machine|sensor|store|shop)[#]?)$"
    r"|[a-z](ID|Id)$"
)
_FEWEST_GROUPS, _LEAST_REPEATED = 10, 1.2
_MANY_ROWS = 20
"""Rows of a level, at most, in the mean, of a category that names things though not by name."""
_ALIKE, _SURE = 0.05, 1e-6


def repeated_keys(sides: Sides) -> list[DataWarning]:
    """Warn of keys that repeat on both sides, their rows more alike in the target than others."""
    if sides.groups is not None and not _is_parted(sides, sides.groups):
        return []
    return [
        _warned(sides, name, alike, len(np.unique(keys)))
        for name, keys in _candidates(sides)
        if (alike := _alike(sides, keys)) >= _ALIKE and _is_parted(sides, keys)
    ][:3]


def _candidates(sides: Sides) -> Iterator[tuple[str, Array]]:
    """Columns that look like keys, features or left out; -1 where a row has none."""
    for name, column in _columns(sides):
        numbers = values_of(column).numbers
        is_whole = not np.isfinite(numbers).any() or (numbers[np.isfinite(numbers)] % 1 == 0).all()
        keys = np.where(np.isfinite(numbers), numbers, -1.0)
        n_groups, n_rows = len(np.unique(keys)), len(keys)
        repeated = n_rows / max(n_groups, 1)
        is_text = not _is_number(column)
        looks = _KEY.search(name) or (is_text and repeated <= _MANY_ROWS)
        is_many = n_groups >= _FEWEST_GROUPS and repeated >= _LEAST_REPEATED
        if looks and is_whole and is_many:
            yield name, keys


def _columns(sides: Sides) -> Iterator[tuple[str, pd.Series]]:
    """Features but for dates, then what the raw table has besides."""
    table = sides.features.select_dtypes(exclude=["datetime", "datetimetz", "bool"])
    yield from ((str(name), table[name]) for name in table)
    if sides.raw is not None:
        for name in sides.left_out:
            if name in sides.raw and sides.raw[name].dtype.kind not in "mM":
                yield name, sides.raw[name].loc[sides.rows]


def _is_number(column: pd.Series) -> bool:
    from pandas.api import types

    return bool(types.is_numeric_dtype(column.dtype))


def _is_parted(sides: Sides, keys: Array) -> bool:
    """Tell whether a key stands on both sides of the split."""
    return bool(np.isin(keys[sides.is_test], keys[~sides.is_test]).any())


def _alike(sides: Sides, keys: Array) -> float:
    """How much more alike the target is within a key than between keys; 0 if that may be chance.

    The intraclass correlation of a one-way analysis of variance (Fisher 1925), of the class that
    shows it most.
    """
    places = np.unique(keys[sides.sample], return_inverse=True)[1]
    y = sides.y
    if not sides.is_classes:
        return _intraclass(places, ranks(y))
    shown = np.argsort(-np.bincount(y), kind="stable")[:5]
    return max((_intraclass(places, (y == code).astype(float)) for code in shown), default=0.0)


def _intraclass(groups: Array, y: Array) -> float:
    from scipy.stats import f

    sizes = np.bincount(groups)
    n, k = len(y), len(sizes)
    if not 1 < k < n:
        return 0.0
    means = np.bincount(groups, y) / sizes
    between = float((sizes * (means - y.mean()) ** 2).sum()) / (k - 1)
    within = float(((y - means[groups]) ** 2).sum()) / (n - k)
    if between <= within or f.sf(between / max(within, 1e-12), k - 1, n - k) > _SURE:
        return 0.0
    size = (n - (sizes**2).sum() / n) / (k - 1)
    return float((between - within) / (between + (size - 1) * within))


def _warned(sides: Sides, name: str, alike: float, n_groups: int) -> DataWarning:
    return DataWarning(
        WarningKind.GROUP,
        (name,),
        f"rows of one '{name}' are alike in '{sides.name}' (intraclass correlation {alike:.2f},"
        f" {counted(n_groups, 'value')}) and stand on both sides of the split: if new rows are of"
        f" other values of '{name}', the score flatters; {hold_out_whole(sides, name)}",
    )
