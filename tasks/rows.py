"""Reading a data set's rows back, as a model or a person is to see them.

Of a table beyond memory they are a sample, the same in every stage, but for who asks for `parts`.
Making them belongs in ``tasks/data.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from baton.bonds import NONE, Bonds, bonds_of
from baton.chain.events import DatasetReady
from baton.chance import chance_of
from baton.lineage import lineage_of
from baton.terms import GROUP, ROW, SPLIT, TIME, WEIGHT, Split, visible
from baton.weights import weights_of
from tasks.platform import results

log = logging.getLogger(__name__)

_EXAMPLE_ROWS = 5
_BACKGROUND_ROWS = 1000

SAMPLED_ROWS = 1_000_000
"""Rows of one side in a sample, at most."""

SAMPLED_CELLS = 20_000_000
"""Rows times columns, likewise."""

_AT_ONCE = 500_000
_FEWEST = 1_000


def is_beyond_memory(data: DatasetReady) -> bool:
    """Tell whether a data set's table is taken part by part."""
    return results.is_beyond_memory(data.features)


def sampled_rows(n_rows: int, n_columns: int) -> int:
    """Rows that a sample of so many has."""
    return min(n_rows, SAMPLED_ROWS, max(_FEWEST, SAMPLED_CELLS // max(n_columns, 1)))


def parts(
    data: DatasetReady, side: Split | None, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of one side, or of both, part by part; `ROW` and `SPLIT` are among the columns."""
    wanted = None if columns is None else [*dict.fromkeys([ROW, *columns, SPLIT])]
    for table in results.batches(data.features, _AT_ONCE, wanted):
        yield table if side is None else table.filter(pc.field(SPLIT) == side.value)


def sample(
    data: DatasetReady,
    side: Split | None,
    columns: list[str] | None = None,
    most: int = SAMPLED_ROWS,
) -> pa.Table:
    """Some rows of one side, or of both, by chance, in their order; as `parts` gives them."""
    n_rows = {None: data.features.n_rows, Split.TRAIN: data.n_train, Split.TEST: data.n_test}[side]
    n_columns = len(results.schema(data.features))
    share = min(most, sampled_rows(n_rows, n_columns)) / max(n_rows, 1)
    found = [
        table.filter(pa.array(chance_of(table[ROW].to_numpy(), data.seed) < share))
        for table in parts(data, side, columns)
    ]
    return pa.concat_tables(found).unify_dictionaries()


def read_side(data: DatasetReady, side: Split, columns: list[str] | None = None) -> pa.Table:
    """Rows of one side, hidden columns too: all of them, or a sample of those beyond memory."""
    if is_beyond_memory(data):
        return sample(data, side, columns)
    return results.read(data.features, columns=columns, filters=[(SPLIT, "==", side.value)])


def read_rows(data: DatasetReady, side: Split) -> Any:
    """Feature rows of one side, as a DataFrame: `ROW`, the features and the target."""
    table = read_side(data, side)
    return table.select(visible(table.column_names)).to_pandas()


def read_row(data: DatasetReady, row: int) -> Any:
    """One row by its id, as `read_rows` has it."""
    table = results.read(data.features, filters=[(ROW, "==", row)])
    return table.select(visible(table.column_names)).to_pandas()


def read_training_rows(data: DatasetReady) -> Any:
    """Rows to learn from, as a model takes them: features, target, what they hang together by."""
    table = read_side(data, Split.TRAIN)
    if len(table) < data.n_train:
        log.info("a sample of %d of the %d rows is learnt from", len(table), data.n_train)
    return table.drop_columns([ROW, SPLIT]).to_pandas()


def read_bonds(data: DatasetReady, side: Split) -> Bonds:
    """What the rows of one side hang together by."""
    there = [name for name in results.schema(data.features).names if name in {GROUP, TIME}]
    return bonds_of(read_side(data, side, there).to_pandas()) if there else NONE


def read_weights(data: DatasetReady, side: Split) -> Any:
    """How much each row of one side counts; None where all count the same."""
    if WEIGHT not in results.schema(data.features).names:
        return None
    return weights_of(read_side(data, side, [WEIGHT]).to_pandas())


def example_of(data: DatasetReady) -> Any:
    """First rows of the features, as a model takes them."""
    table = results.head(data.features, _EXAMPLE_ROWS)
    return features_of(table.select(visible(table.column_names)).to_pandas(), data)


def features_of(frame: Any, data: DatasetReady) -> Any:
    """Columns that a model may see."""
    return frame.drop(columns=[ROW, data.target])


def background_of(data: DatasetReady) -> Any:
    """Features of the first training rows, which explanations are drawn beside."""
    return features_of(read_rows(data, Split.TRAIN).head(_BACKGROUND_ROWS), data)


def facts_of(data: DatasetReady) -> dict[str, Any]:
    """What the feature table says of itself: parameters, schema, goal and the rest."""
    return lineage_of(results.schema(data.features))


def origin_of(data: DatasetReady) -> dict[str, Any]:
    """What a model must remember to read new rows as the training rows were read."""
    facts = facts_of(data)
    return {name: facts[name] for name in ("problem", "parameters", "schema")}
