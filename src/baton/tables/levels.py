"""Text columns by their distinct values: each is looked at once, however many rows have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.arrow import is_unusable, plain, trim
from baton.tables.typed import MISSING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

MISSING_NUMBER = frozenset(
    {"-", "--", ".", "none", "missing", "unknown", *(token.lower() for token in MISSING)}
)
"""What counts as missing, in lower case, where the other values are numbers or dates."""


@dataclass(frozen=True)
class Levels:
    """Distinct values of a text column, and how many rows have each."""

    values: pa.Array[Any]
    counts: np.ndarray

    @property
    def total(self) -> int:
        """Rows that have a value."""
        return int(self.counts.sum())

    def share(self, read: np.ndarray) -> float:
        """Part of the rows whose value could be read."""
        import pandas as pd

        return float(self.counts[pd.notna(read)].sum() / max(self.total, 1))

    def without_missing(self) -> Levels:
        """Levels without those that say *missing* among numbers or dates."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        tokens = pa.array(sorted(MISSING_NUMBER), self.values.type)
        real = ~np.asarray(pc.is_in(pc.utf8_lower(self.values), value_set=tokens))
        return Levels(self.values.filter(pa.array(real)), self.counts[real])

    def part(self, most: int) -> Levels:
        """At most so many of the levels, evenly spread."""
        import numpy as np

        if len(self.values) <= most:
            return self
        some = np.linspace(0, len(self.values) - 1, most).astype(int)
        return Levels(self.values.take(some), self.counts[some])


def levels_of(text: pa.ChunkedArray[Any]) -> Levels:
    """Distinct values of a text, in the order of their first row."""
    counted = text.drop_null().value_counts()
    return Levels(counted.field("values"), counted.field("counts").to_numpy())


def lost(cells: pd.Series, read: Any) -> Levels:
    """Distinct values of cells that say something and are missing as they were read.

    Parameters
    ----------
    cells : Series of shape (n,)
        Of which those that cannot be text say nothing.
    read : array-like of shape (n,)
        What was made of them.
    """
    import pandas as pd
    import pyarrow as pa

    text = text_if_any(cells[pd.isna(read)])
    return levels_of(pa.chunked_array([], pa.string()) if text is None else text).without_missing()


def encode(series: pd.Series) -> tuple[np.ndarray, pa.Array[Any]]:
    """Position of each row's text in the distinct ones (-1 if missing), and those."""
    encoded = text_of(series).combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), encoded.dictionary


def text_of(series: pd.Series) -> pa.ChunkedArray[Any]:
    """Column as trimmed text, blank ones missing.

    Raises
    ------
    InputError
        If its values are lists, structs or bytes.
    """
    text = text_if_any(series)
    if text is None:
        raise InputError(f"column '{series.name}' holds neither text nor numbers; drop it")
    return text


def text_if_any(series: pd.Series) -> pa.ChunkedArray[Any] | None:
    """Column as trimmed text, blank ones missing, or None if its values cannot be such."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _arrow(series)
    if is_unusable(column.type):
        return None
    column = plain(column)
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "True", "False")
    return trim(column.cast(pa.large_string()))


def _arrow(series: pd.Series) -> pa.ChunkedArray[Any]:
    """Column of pyarrow; values of mixed types as text."""
    import pyarrow as pa

    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = pa.array(series.map(str, na_action="ignore"), from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
