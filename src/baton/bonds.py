"""Rows that hang together, by group or by time, and ways to part them that respect it.

Rows of one customer, or of neighbouring hours, are not independent: whatever parts rows (the
split, folds, early stopping, intervals) asks here. Rows that are independent are parted where
that is done.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.errors import InputError
from baton.terms import GROUP, TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]
    Parts = tuple[Array, Array]

_BALANCED_GROUPS = 2_000
"""Most groups whose sizes and classes are balanced; of more, chance does it."""
_FINEST = 20


@dataclass(frozen=True, eq=False)
class Bonds:
    """What rows hang together by; None where they do not."""

    groups: Any = None
    """Group of each row: array of shape (n,)."""
    times: Any = None
    """When each row was, a number or a date: array of shape (n,)."""

    def __bool__(self) -> bool:
        return self.groups is not None or self.times is not None

    def take(self, rows: Array) -> Bonds:
        """Bonds of some of the rows, by their positions."""
        groups, times = (None if one is None else one[rows] for one in (self.groups, self.times))
        return Bonds(groups, times)

    def units(self) -> Any:
        """Number of the unit that each row is of, of those that may be drawn independently.

        Returns
        -------
        array of shape (n,) or None
            Groups; or, of rows that have a time only, runs of about n^(1/3) rows that follow one
            another (Künsch 1989), rows of one time together; None where each is by itself.
        """
        if self.groups is not None:
            return _codes(self.groups)
        if self.times is None:
            return None
        begins, length = _places(self.times)[0], round(len(self.times) ** (1 / 3))
        return _codes(begins // max(length, 1))


NONE = Bonds()
"""Of rows that are independent."""


def bonds_of(table: pd.DataFrame) -> Bonds:
    """Bonds that a table's hidden columns say."""
    return Bonds(*(table[one].to_numpy() if one in table else None for one in (GROUP, TIME)))


def held_apart(bonds: Bonds, part: float, seed: int, classes: Any = None) -> Parts:
    """Hold out a part of the rows: later ones, other groups, or both.

    With a time, the last `part` of the rows, those of one time together. With groups, whole
    ones drawn at random, so that about `part` of the rows, in about the same classes, is held out.
    With both, time parts the rows; of the groups that are on both sides of it, `part` is drawn to
    be held out, and of every group the rows on the wrong side of time are in neither.

    Parameters
    ----------
    bonds : Bonds
        One of them at least is there.
    part : float in (0, 1)
        Of the rows, as near as whole groups and times allow.
    seed : int
    classes : array-like of shape (n,), optional

    Returns
    -------
    (array of shape (n,), array of shape (n,)), bool
        Whether a row is to learn from, and whether it is held out.

    Raises
    ------
    InputError
        If a side would be empty.
    """
    if bonds.times is None:
        held = _other_groups(_codes(bonds.groups), part, seed, classes)
        return ~held, held
    held = _later(bonds.times, part)
    if bonds.groups is None:
        return ~held, held
    return _later_of_others(_codes(bonds.groups), ~held, held, part, seed)


def folds(bonds: Bonds, n_folds: int, seed: int, classes: Any = None) -> list[Parts]:
    """Positions to fit and to score of each fold.

    Parameters
    ----------
    bonds : Bonds
        With a time, every fold learns from what was before the rows that it scores
        (`TimeSeriesSplit`), and few different times make fewer folds. With groups, none is on
        both sides of a fold; with both, as in :func:`held_apart`.
    n_folds : int
    seed : int
    classes : array-like of shape (n,), optional
        Of a classification.

    Raises
    ------
    InputError
        If there are too few groups or times.
    """
    if bonds.times is None:
        return _folds_of_groups(bonds.groups, n_folds, seed, classes)
    sides = list(_forward(bonds.times, n_folds))
    if bonds.groups is not None:
        codes = _codes(bonds.groups)
        sides = [_later_of_others(codes, *one, _part(one), seed + n) for n, one in enumerate(sides)]
    return [(np.flatnonzero(before), np.flatnonzero(after)) for before, after in sides]


def _part(sides: Parts) -> float:
    before, after = (int(side.sum()) for side in sides)
    return after / (before + after)


def _folds_of_groups(groups: Any, n_folds: int, seed: int, classes: Any) -> list[Parts]:
    from sklearn import model_selection as ways

    chosen = ways.GroupKFold if classes is None else ways.StratifiedGroupKFold
    way = chosen(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class of fewer rows than folds
        try:
            return list(way.split(np.zeros(len(groups)), classes, groups))
        except ValueError:
            n_groups = len(np.unique(_codes(groups)))
            raise InputError(
                f"{n_groups} groups are too few for {n_folds} folds; ask for fewer folds"
            ) from None


def _forward(times: Any, n_folds: int) -> Iterator[Parts]:
    """Whether each row is before a fold's rows, and whether it is one of them."""
    from sklearn.model_selection import TimeSeriesSplit

    begins, ordered = _places(times)
    if len(np.unique(begins)) < 2:
        raise InputError("rows of one time only have no later ones; leave time out")
    if len(ordered) <= n_folds:
        raise InputError(f"{len(ordered)} rows are too few for {n_folds} folds")
    parts = TimeSeriesSplit(n_folds).split(ordered)
    starts = sorted({_nearest(ordered, int(held[0])) for _, held in parts} - {0, len(ordered)})
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        yield begins < start, (begins >= start) & (begins < end)


def _places(times: Any) -> Parts:
    """Place of each row's time in the order of all rows, that of its first; and those in order."""
    values = np.asarray(times)
    ordered = np.sort(values)
    begins = np.searchsorted(ordered, values, side="left")
    return begins, np.sort(begins)


def _later(times: Any, part: float) -> Array:
    """Whether a row is among the last `part` of them."""
    begins, ordered = _places(times)
    start = _nearest(ordered, len(ordered) - max(1, round(part * len(ordered))))
    if not 0 < start < len(ordered):
        raise InputError("rows of one time only have no later ones; leave time out")
    return np.asarray(begins >= start)


def _nearest(ordered: Array, place: int) -> int:
    """Place nearest to this one at which a time begins, with rows on either side if there are."""
    starts = np.unique(ordered)[1:]
    return int(starts[np.abs(starts - place).argmin()]) if len(starts) else 0


def _other_groups(codes: Array, part: float, seed: int, classes: Any) -> Array:
    """Whether a row is of a group that is held out."""
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    n_groups = int(codes.max()) + 1
    if n_groups < 2:
        raise InputError("rows of one group only cannot be parted by group; leave group out")
    held = np.zeros(len(codes), dtype=bool)
    if n_groups > _BALANCED_GROUPS:
        way = GroupShuffleSplit(1, test_size=part, random_state=seed)
        held[next(way.split(codes, groups=codes))[1]] = True
        return held
    n_held, n_folds = _as_folds(part, n_groups)
    balanced = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    labels = np.zeros(len(codes), dtype=int) if classes is None else _codes(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class of fewer rows than folds
        for _, fold in list(balanced.split(codes, labels, codes))[:n_held]:
            held[fold] = True
    return held


def _as_folds(part: float, n_groups: int) -> tuple[int, int]:
    """So many of so many folds that are nearest to a part, neither none nor all of them."""
    near = Fraction(part).limit_denominator(min(_FINEST, n_groups))
    if 0 < near < 1:
        return near.numerator, near.denominator
    most = min(_FINEST, n_groups)
    return (1, most) if near == 0 else (most - 1, most)


def _later_of_others(codes: Array, before: Array, after: Array, part: float, seed: int) -> Parts:
    """Rows before of some groups, and rows after of all others."""
    straddle = np.intersect1d(codes[before], codes[after])
    drawn = np.random.default_rng(seed).permutation(straddle)
    n_held = min(max(1, round(part * len(drawn))), len(drawn) - 1) if len(drawn) > 1 else 0
    learned = before & ~np.isin(codes, drawn[:n_held])
    held = after & ~np.isin(codes, drawn[n_held:])
    if not (learned.any() and held.any()):
        raise InputError("no later row is of another group; leave time or group out")
    return learned, held


def _codes(values: Any) -> Array:
    import pandas as pd

    return np.asarray(pd.factorize(np.asarray(values), use_na_sentinel=False)[0])
