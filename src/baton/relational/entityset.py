"""The rows of a schema's tables, and for each relationship the place of a row's parent.

Keys are compared once, here; whoever follows a relationship then does so by row number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from baton.errors import InputError
from baton.relational.beginnings import Children
from baton.relational.schema import Path, RelationalSchema, Relationship

ROW = "_row"
PARENT = "_parent"


@dataclass(frozen=True)
class EntitySet:
    """Tables in the order of their time index, then of their key."""

    schema: RelationalSchema
    frames: dict[str, pl.DataFrame]
    links: dict[Relationship, pl.Series]
    """For each row of the child the number of the parent's row; missing where there is none."""

    @classmethod
    def build(cls, schema: RelationalSchema, frames: Mapping[str, pl.DataFrame]) -> EntitySet:
        """Put rows to a schema.

        Raises
        ------
        InputError
            If a table or a column of the schema is not there.
        """
        ordered = {}
        for entity in schema.entities:
            if entity.name not in frames:
                raise InputError(
                    f"table {entity.name!r} is missing; there are: {', '.join(frames)}"
                )
            frame = frames[entity.name]
            _require(frame, entity.name, entity.key, entity.time_index)
            by = [entity.time_index, entity.key] if entity.time_index else [entity.key]
            ordered[entity.name] = frame.sort(by, maintain_order=True)
        links = {link: parents_of(link, ordered) for link in schema.relationships}
        return cls(schema, ordered, links)

    def children(self, link: Relationship) -> Children:
        """Rows of a relationship's child by their parents; put so when first asked for."""
        if link not in self._children:
            times = self.times(link.child)
            is_known = None if times is None else times.is_not_null()
            self._children[link] = Children.of(self.links[link], is_known)
        return self._children[link]

    @cached_property
    def _children(self) -> dict[Relationship, Children]:
        return {}

    def times(self, entity: str) -> pl.Series | None:
        """From when on each row is known; None if always."""
        index = self.schema.entity(entity).time_index
        return self.frames[entity][index] if index else None

    def n_children(self, path: Path, rows: pl.Series) -> int:
        """Count the rows at a path's end that are below these rows, as often as they occur."""
        counts = pl.Series([1]).new_from_index(0, len(self.frames[path[-1].child]))
        for link in reversed(path):
            below = pl.DataFrame({PARENT: self.links[link], "n": counts.cast(pl.Int64)})
            sums = below.drop_nulls(PARENT).group_by(PARENT).agg(pl.col("n").sum())
            size = len(self.frames[link.parent])
            every = pl.DataFrame({PARENT: pl.Series(range(size), dtype=sums[PARENT].dtype)})
            joined = every.join(sums, on=PARENT, how="left", maintain_order="left")
            counts = joined["n"].fill_null(0)
        return int(counts.gather(rows).sum())


def _require(frame: pl.DataFrame, table: str, *columns: str | None) -> None:
    for column in columns:
        if column is not None and column not in frame.columns:
            raise InputError(
                f"table {table!r} has no column {column!r}; it has: {', '.join(frame.columns)}"
            )


def parents_of(link: Relationship, frames: Mapping[str, pl.DataFrame]) -> pl.Series:
    """Row numbers of the parents; of two parents with one key, the first."""
    parent, child = frames[link.parent], frames[link.child]
    _require(parent, link.parent, link.parent_key)
    _require(child, link.child, link.foreign_key)
    keys = parent.select(key=text_key(parent[link.parent_key])).with_row_index(PARENT)
    wanted = child.select(key=text_key(child[link.foreign_key]))
    unique = keys.unique("key", keep="first", maintain_order=True)
    return wanted.join(unique, on="key", how="left", maintain_order="left")[PARENT]


def text_key(values: pl.Series) -> pl.Series:
    """Key as text, so that 7, 7.0 (an integer column with gaps) and '7' are one."""
    if values.dtype.is_float():
        whole = values.drop_nulls().drop_nans() % 1 == 0
        if whole.all():
            values = values.fill_nan(None).cast(pl.Int64)
    return values.cast(pl.String)
