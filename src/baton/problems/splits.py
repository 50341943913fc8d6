"""Ways to part a table into training and test rows.

A problem chooses one; what is peculiar to one problem stays in its file.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.terms import SPLIT, Split

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


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
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import train_test_split

    codes, _ = pd.factorize(target, sort=True)  # scikit-learn sorts texts a hundred times slower
    sizes = np.append(np.bincount(codes[codes >= 0]), 0)  # the last is for missing ones: code -1
    frequent = np.flatnonzero(sizes[codes] > 1)
    most = len(frequent) - int((sizes > 1).sum())
    part = test_size if math.ceil(test_size * len(frequent)) <= most else most
    try:
        _, test = train_test_split(
            frequent, test_size=part, random_state=seed, stratify=codes[frequent]
        )
    except ValueError:
        raise InputError(
            f"{len(target)} rows are too few to hold out {test_size:g} of each of"
            f" {(sizes > 1).sum()} classes; add rows, drop rare classes or change test_size"
        ) from None
    test = _without_last_ones(test, codes)
    return marked(target.index, np.isin(np.arange(len(target)), test))


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
    import numpy as np
    from sklearn.model_selection import train_test_split

    try:
        _, test = train_test_split(np.arange(len(index)), test_size=test_size, random_state=seed)
    except ValueError:
        raise InputError(
            f"{len(index)} rows are too few to hold out {test_size:g} of them; add rows"
        ) from None
    return marked(index, np.isin(np.arange(len(index)), test))


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
