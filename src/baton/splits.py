"""Ways to part a table into training and test rows.

A problem chooses one; what is peculiar to one problem stays in its file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.problems.base import SPLIT, Split

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
    from sklearn.model_selection import train_test_split

    positions = np.arange(len(target))
    sizes = target.map(target.value_counts())
    frequent = (sizes > 1).to_numpy()
    classes = target[frequent].nunique()
    try:
        _, test = train_test_split(
            positions[frequent], test_size=test_size, random_state=seed, stratify=target[frequent]
        )
    except ValueError:
        raise InputError(
            f"{len(target)} rows are too few to hold out {test_size:g} of each of"
            f" {classes} classes; add rows, drop rare classes or change test_size"
        ) from None
    return _marked(target.index, test)


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
    return _marked(index, test)


def _marked(index: pd.Index, test: np.ndarray) -> pd.Series:
    import numpy as np
    import pandas as pd

    codes = np.zeros(len(index), dtype=np.int8)
    codes[test] = 1
    sides = pd.Categorical.from_codes(
        codes, categories=pd.Index([Split.TRAIN.value, Split.TEST.value])
    )
    return pd.Series(sides, index=index, name=SPLIT)
