"""Reading a data set's rows back, as a model or a person is to see them.

Making them belongs in ``tasks/data.py``.
"""

from __future__ import annotations

from typing import Any

from baton.bonds import NONE, Bonds, bonds_of
from baton.chain.events import DatasetReady
from baton.lineage import lineage_of
from baton.terms import GROUP, ROW, SPLIT, TIME, WEIGHT, Split, visible
from baton.weights import weights_of
from tasks.platform import results

_EXAMPLE_ROWS = 5
_BACKGROUND_ROWS = 1000


def read_rows(data: DatasetReady, side: Split) -> Any:
    """Feature rows of one side, as a DataFrame: `ROW`, the features and the target."""
    table = results.read(data.features, filters=[(SPLIT, "==", side.value)])
    return table.select(visible(table.column_names)).to_pandas()


def read_training_rows(data: DatasetReady) -> Any:
    """Rows to learn from, as a model takes them: features, target, what they hang together by."""
    table = results.read(data.features, filters=[(SPLIT, "==", Split.TRAIN.value)])
    return table.drop_columns([ROW, SPLIT]).to_pandas()


def read_bonds(data: DatasetReady, side: Split) -> Bonds:
    """What the rows of one side hang together by."""
    there = [name for name in results.schema(data.features).names if name in {GROUP, TIME}]
    if not there:
        return NONE
    table = results.read(data.features, columns=there, filters=[(SPLIT, "==", side.value)])
    return bonds_of(table.to_pandas())


def read_weights(data: DatasetReady, side: Split) -> Any:
    """How much each row of one side counts; None where all count the same."""
    if WEIGHT not in results.schema(data.features).names:
        return None
    table = results.read(data.features, columns=[WEIGHT], filters=[(SPLIT, "==", side.value)])
    return weights_of(table.to_pandas())


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
