"""Tables that models are tried on: small, with columns of every type and values missing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import Kind

if TYPE_CHECKING:
    import pandas as pd

TASKS = ("binary", "classes", "regression")
"""What may be learnt of the table: two classes, four, or a number."""


def kind_of(task: str) -> Kind:
    """Kind of one of the tasks."""
    return Kind.REGRESSION if task == "regression" else Kind.CLASSIFICATION


@cache
def table_of(task: str) -> pd.DataFrame:
    """160 rows of numbers, categories, dates and flags, with a target `label`.

    Values are missing in every column but the flag and the target.
    """
    import pandas as pd

    random, n = np.random.default_rng(3), 160
    nothing: Any = None
    size, weight = random.normal(size=(2, n))
    colour = random.choice(["red", "green", "blue", "naïve"], n)
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 9999, n), "h")
    is_new = random.random(n) < 0.5
    table = pd.DataFrame(
        {
            "size [m]<": np.where(random.random(n) < 0.2, np.nan, size),
            "weight": 1e3 * weight,
            "colour": pd.Categorical(np.where(random.random(n) < 0.1, nothing, colour)),
            "when": pd.Series(when).where(random.random(n) > 0.1),
            "is_new": is_new,
        }
    )
    value = size + 2 * (colour == "red") + weight * is_new + (when.month > 6)
    return table.assign(label=_labels(task, value))


def _labels(task: str, value: pd.Index) -> Any:
    import pandas as pd

    if task == "binary":
        return np.where(value > 1, "yes", "no")
    if task == "classes":
        return pd.qcut(value, 4, labels=["a", "b", "c", "d"]).astype(object)
    return value


@cache
def strange_rows() -> pd.DataFrame:
    """Three rows unlike those: nothing known, huge numbers, a level and a date never seen."""
    import pandas as pd

    return pd.DataFrame(
        {
            "size [m]<": [None, 1e300, 0.0],
            "weight": [None, -np.inf, 1.0],
            "colour": [None, "green", "mauve"],
            "when": [None, pd.Timestamp("1999-12-31"), pd.Timestamp("2300-01-01")],
            "is_new": [None, True, False],
        }
    )
