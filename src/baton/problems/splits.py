"""Ways to part a table into training and test rows.

A problem chooses one; what is peculiar to one problem stays in its file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.settings import settings
from baton.terms import SPLIT, Split

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd

_CHUNK = 1 << 20
"""Rows that are counted at once."""

_SCANNED = 32
"""Classes up to which a look at all rows for each is the quicker way."""


def stratified(target: pd.Series, test_size: float, seed: int) -> pd.Series:
    """Split at random with every class in its proportion on both sides.

    A class of one row goes to training: it cannot stand on both sides, and a model must not
    be asked for a class it never saw.

    Parameters
    ----------
    target : Series of shape (n,)
        Class of each row.
    test_size : float in (0, 1)
        However near to 1 it is, a row of every class stays to learn from.
    seed : int

    Returns
    -------
    Series of shape (n,), `Split` by row.

    Raises
    ------
    InputError
        If a side would have fewer rows than there are classes.
    """
    import pandas as pd

    codes, _ = pd.factorize(target, sort=True)  # scikit-learn sorts texts a hundred times slower
    return marked(target.index, held_out_of_each(codes, test_size, seed))


def held_out_of_each(codes: np.ndarray, test_size: float, seed: int) -> np.ndarray:
    """Say which rows :func:`stratified` holds out, of rows whose classes are numbers.

    Parameters
    ----------
    codes : ndarray of shape (n,), int
        Place of each row's class in the order of classes; -1 for a row that has none.
    test_size, seed
        As there.

    Returns
    -------
    ndarray of shape (n,), bool

    Raises
    ------
    InputError
        As there.

    Notes
    -----
    They are scikit-learn's, in any case. It keeps every row's place as an object of Python, some
    100 bytes a row; here it is 16 bytes for each row of one class at a time.
    """
    import numpy as np

    sizes = np.append(_sizes(codes), 0)  # the last is for missing ones: code -1
    n_frequent = int(sizes[sizes > 1].sum())
    most = n_frequent - int((sizes > 1).sum())
    held = math.ceil(test_size * n_frequent)
    part = min(held, most)
    if part < 1 or min(part, n_frequent - part) < (sizes > 1).sum():
        raise InputError(
            f"{len(codes)} rows are too few to hold out {test_size:g} of each of"
            f" {(sizes > 1).sum()} classes; add rows, drop rare classes or change test_size"
        )
    way = _held_out_lean if settings().fast else _held_out_by_scikit
    found = way(codes, sizes[:-1], part, seed)
    return _held_out_by_scikit(codes, sizes[:-1], part, seed) if found is None else found


def _sizes(codes: np.ndarray) -> np.ndarray:
    """Rows of each class; numpy counts wide numbers only, so some at a time."""
    import numpy as np

    n_classes = int(codes.max(initial=-1)) + 1
    parts = (codes[begin : begin + _CHUNK] for begin in range(0, len(codes), _CHUNK))
    counts = (np.bincount(one[one >= 0], minlength=n_classes) for one in parts)
    return np.asarray(sum(counts, np.zeros(n_classes, dtype=np.int64)))


def _held_out_by_scikit(codes: np.ndarray, sizes: np.ndarray, part: int, seed: int) -> np.ndarray:
    """Rows held out; where that takes all of a class, one of it is learnt from."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    frequent = np.flatnonzero(np.append(sizes, 0)[codes] > 1)
    _, test = train_test_split(
        frequent, test_size=part, random_state=seed, stratify=codes[frequent]
    )
    found = np.zeros(len(codes), dtype=bool)
    found[_without_last_ones(test, codes)] = True
    return found


def _held_out_lean(codes: np.ndarray, sizes: np.ndarray, part: int, seed: int) -> np.ndarray | None:
    """Rows held out, by scikit-learn's own draws; None where that takes all of a class."""
    import numpy as np

    random = np.random.RandomState(seed)
    classes = np.flatnonzero(sizes > 1)
    counts = sizes[classes]
    learned = _shares(counts, int(counts.sum()) - part, random)
    held = _shares(counts - learned, part, random)
    if (held == counts).any():
        return None
    found = np.zeros(len(codes), dtype=bool)
    for places, n_learned, n_held in zip(_places(codes, classes), learned, held, strict=True):
        order = shuffled_places(len(places), random)
        found[places[order[n_learned : n_learned + n_held]]] = True
    return found


def _shares(counts: np.ndarray, n_drawn: int, random: np.random.RandomState) -> np.ndarray:
    """How many of each class are drawn: in proportion, what is left over by its remainders.

    Of equal remainders chance takes some, as in scikit-learn.
    """
    import numpy as np

    exact = counts / counts.sum() * n_drawn
    found = np.floor(exact)
    remainders, left = exact - found, int(n_drawn - found.sum())
    for value in np.unique(remainders)[::-1] if left > 0 else ():
        (alike,) = np.where(remainders == value)
        more = min(len(alike), left)
        found[random.choice(alike, size=more, replace=False)] += 1
        left -= more
        if not left:
            break
    return np.asarray(found, dtype=int)


def _places(codes: np.ndarray, classes: np.ndarray) -> Iterator[np.ndarray]:
    """Places of the rows of each class, in their order."""
    import numpy as np

    if len(classes) <= _SCANNED:
        yield from (np.flatnonzero(codes == one) for one in classes)
        return
    order = np.argsort(codes, kind="stable")
    begins = np.searchsorted(codes, classes, sorter=order)
    ends = np.searchsorted(codes, classes, side="right", sorter=order)
    yield from (order[begin:end] for begin, end in zip(begins, ends, strict=True))


def shuffled_places(n_rows: int, random: np.random.RandomState) -> np.ndarray:
    """Places of rows in numpy's ``permutation``, in half of its memory where they are few enough.

    Examples
    --------
    >>> import numpy as np
    >>> shuffled_places(5, np.random.RandomState(0)).tolist()
    [2, 0, 1, 3, 4]
    """
    import numpy as np

    narrow = np.int32 if n_rows < np.iinfo(np.int32).max else np.int64
    order = np.arange(n_rows, dtype=narrow)
    random.shuffle(order)
    return order


def _without_last_ones(test: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Rows held out, without one of each class of which none would be left to learn from."""
    import numpy as np

    found, first = np.unique(codes[test], return_index=True)
    is_whole = np.bincount(codes[test], minlength=codes.max() + 1) == np.bincount(codes[codes >= 0])
    return np.delete(test, first[is_whole[found]])


def shuffled(index: pd.Index, test_size: float, seed: int) -> pd.Series:
    """Split at random.

    Parameters
    ----------
    index : Index of shape (n,)
    test_size : float in (0, 1)
    seed : int

    Returns
    -------
    Series of shape (n,), `Split` by row.

    Raises
    ------
    InputError
        If a side would be empty.
    """
    return marked(index, held_out_by_chance(len(index), test_size, seed))


def held_out_by_chance(n_rows: int, test_size: float, seed: int) -> np.ndarray:
    """Say which of so many rows :func:`shuffled` holds out: those that scikit-learn would.

    Raises
    ------
    InputError
        As there.
    """
    import numpy as np

    n_held = math.ceil(test_size * n_rows)
    if not 0 < n_held < n_rows:
        raise InputError(f"{n_rows} rows are too few to hold out {test_size:g} of them; add rows")
    random = np.random.RandomState(seed)
    found = np.zeros(n_rows, dtype=bool)
    found[shuffled_places(n_rows, random)[:n_held]] = True
    return found


def grouped(groups: pd.Series, test_size: float, seed: int) -> pd.Series:
    """Split at random with all rows of a group on one side.

    Parameters
    ----------
    groups : Series of shape (n,)
        Group of each row.
    test_size : float in (0, 1)
        Part of the groups, not of the rows.
    seed : int

    Returns
    -------
    Series of shape (n,), `Split` by row.

    Raises
    ------
    InputError
        If a side would be empty.
    """
    import numpy as np
    from sklearn.model_selection import GroupShuffleSplit

    parting = GroupShuffleSplit(1, test_size=test_size, random_state=seed)
    try:
        _, test = next(parting.split(np.arange(len(groups)), groups=groups.to_numpy()))
    except ValueError:
        raise InputError(
            f"{groups.nunique()} values of {groups.name} are too few to hold out {test_size:g} of"
            " them; add rows or change test_size"
        ) from None
    return marked(groups.index, np.isin(np.arange(len(groups)), test))


def marked(index: pd.Index, is_test: np.ndarray, is_train: np.ndarray | None = None) -> pd.Series:
    """Split that is decided already.

    Parameters
    ----------
    index : Index of shape (n,)
    is_test : ndarray of shape (n,), bool
    is_train : ndarray of shape (n,), bool, optional
        Where some rows are on neither side; all others if not given.

    Returns
    -------
    Series of shape (n,), `Split` by row.
    """
    import numpy as np
    import pandas as pd

    codes = np.asarray(is_test, dtype=np.int8)
    if is_train is not None:
        codes = np.where(is_test | is_train, codes, np.int8(-1))
    sides = pd.Categorical.from_codes(
        codes,
        categories=pd.Index([Split.TRAIN.value, Split.TEST.value]),
    )
    return pd.Series(sides, index=index, name=SPLIT)
