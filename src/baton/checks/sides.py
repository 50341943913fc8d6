"""What the checks look at: a data set's feature rows, its target, and which rows are held out.

How one column is made of numbers belongs in ``one_column``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.terms import GROUP, RESERVED, ROW, SPLIT, TIME, Kind, Split

if TYPE_CHECKING:
    import pandas as pd

    from baton.relational.account import Relations

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 20_000
"""Training rows that a check looks at, at most; the same for the same seed."""

MOST_CELLS = 2_000_000
"""Rows times columns, likewise: of a wide table fewer rows are looked at."""

_FEWEST = 1_000


@dataclass(frozen=True)
class Sides:
    """A feature table in its parts, rows in its order."""

    features: pd.DataFrame
    """Columns that a model may see, of all rows."""
    target: pd.Series
    kind: Kind
    is_test: Array
    """Whether a row is held out."""
    rows: Array
    """Id of each row: its position in the raw table."""
    groups: Array | None = None
    """Which rows belong together, where the problem says so."""
    times: Array | None = None
    """When each row was, where held-out rows are the later ones."""
    raw: pd.DataFrame | None = None
    """The table as it came, its index the rows' positions."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns of the raw table that are no features, and why."""
    parameters: Collection[str] = ()
    """Names of what the problem may be asked for: what to do is said by them."""
    seed: int = 0
    relations: Relations | None = None
    """Tables that the raw table was made from, where it was."""

    @classmethod
    def of(cls, table: pd.DataFrame, target: str, kind: Kind, **more: Any) -> Sides:
        """Take a feature table apart: `ROW`, the columns, the target and the split."""
        return cls(
            features=table.drop(columns=[*RESERVED, target], errors="ignore"),
            target=table[target],
            kind=kind,
            is_test=(table[SPLIT] == Split.TEST.value).to_numpy(dtype=bool),
            rows=table[ROW].to_numpy(),
            groups=table[GROUP].to_numpy() if GROUP in table else None,
            times=table[TIME].to_numpy() if TIME in table else None,
            **more,
        )

    @property
    def name(self) -> str:
        """Name of the target."""
        return str(self.target.name)

    @property
    def is_classes(self) -> bool:
        """Whether classes are predicted."""
        return self.kind is Kind.CLASSIFICATION

    @cached_property
    def sample(self) -> Array:
        """Places of training rows, a part at random if there are very many; in order."""
        places = np.flatnonzero(~self.is_test)
        most = min(MOST_ROWS, max(_FEWEST, MOST_CELLS // max(self.features.shape[1], 1)))
        return np.sort(self.random.permutation(places)[:most])

    @property
    def random(self) -> np.random.Generator:
        """Random numbers, the same each time that they are asked for."""
        return np.random.default_rng(self.seed)

    @cached_property
    def train(self) -> pd.DataFrame:
        """Features of the sample."""
        return self.features.iloc[self.sample].reset_index(drop=True)

    @cached_property
    def y(self) -> Array:
        """Target of the sample: codes of the classes, or numbers."""
        return self.codes[self.sample]

    @cached_property
    def codes(self) -> Array:
        """Target of all rows: codes of the classes, or numbers."""
        import pandas as pd

        if not self.is_classes:
            return self.target.to_numpy(dtype=float)
        return np.asarray(pd.factorize(self.target, sort=True)[0], dtype=np.intp)

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes in the order of their codes; none for numbers."""
        import pandas as pd

        if not self.is_classes:
            return []
        return [str(label) for label in pd.factorize(self.target, sort=True)[1]]
