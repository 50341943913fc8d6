"""How much each row counts, where a table says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import WEIGHT

if TYPE_CHECKING:
    import pandas as pd


def weights_of(table: pd.DataFrame) -> Any:
    """Weights that a table's hidden column says: array of shape (n,); None if all count the same.

    Those of one table are brought to a mean of 1, so that penalties keep their meaning.
    """
    if WEIGHT not in table:
        return None
    found = table[WEIGHT].to_numpy(dtype=np.float64)
    return found / found.mean() if found.any() else np.ones(len(found))
