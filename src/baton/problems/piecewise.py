"""Features of a part of a raw table, made where the part is read: in this process or another.

What decides the split, which wants the targets of all parts, belongs in ``targets``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.problems.splits import marked
from baton.terms import GROUP, ROW, SPLIT, TIME, WEIGHT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from baton.partitions import Partition
    from baton.problems.base import Params, Problem


def hidden(
    problem: Problem[Any], params: Params, features: pd.DataFrame, raw: pd.DataFrame, split: Any
) -> dict[str, Any]:
    """Columns that nobody is shown who reads one side: it, what rows hang together by, weights."""
    ways = {GROUP: problem.groups, TIME: problem.times, WEIGHT: problem.weights}
    found = {name: way(features, raw, params) for name, way in ways.items()}
    return {SPLIT: split} | {name: one for name, one in found.items() if one is not None}


@dataclass(frozen=True)
class Part:
    """A part of the raw table, and which of its rows are held out."""

    rows: Partition
    is_held: np.ndarray[Any, Any]
    """Shape (n,), bool."""


@dataclass(frozen=True)
class Featuring:
    """What makes the features of a part."""

    problem: Problem[Any]
    params: Params
    schema: dict[str, Any]

    def __call__(self, part: Part) -> pa.Table:
        """Features of the part's rows, their split and what else is hidden."""
        import pyarrow as pa

        raw = part.rows.read().to_pandas()
        features = self.problem.features_of_piece(raw, self.params, self.schema)
        split = marked(features.index, part.is_held[features[ROW].to_numpy()])
        whole = features.assign(**hidden(self.problem, self.params, features, raw, split))
        whole[ROW] += part.rows.begin
        return _wide(pa.Table.from_pandas(whole, preserve_index=False))


def _wide(table: pa.Table) -> pa.Table:
    """Table whose categories may become more in a later part."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and field.name != SPLIT:
            wide = pa.dictionary(pa.int32(), field.type.value_type)
            table = table.set_column(place, field.name, table[field.name].cast(wide))
    return table
