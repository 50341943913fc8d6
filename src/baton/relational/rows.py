"""Features of a table's rows from everything that is related to them, as one frame.

What is predicted of the rows belongs in a problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from baton.errors import InputError
from baton.relational.account import Relations, account
from baton.relational.assembly import Target, assemble
from baton.relational.columns import typed
from baton.relational.compute import compute
from baton.relational.planner import Feature, plan
from baton.relational.reflection import Related, primary_key
from baton.relational.store import guessed_links
from baton.words.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd

    from baton.relational.entityset import EntitySet

TODAY = datetime(9999, 12, 31)
"""As of when all that is known is seen."""


@dataclass(frozen=True)
class Wish:
    """What is made of the tables."""

    target: Target
    related: Related
    times: Mapping[str, str]
    """Column that dates a table's rows, where it is named."""
    primitives: tuple[str, ...]
    depth: int
    max_features: int
    noun: str = "row"
    """What a row of the target's table is called."""


@dataclass(frozen=True)
class Rows:
    """A table's rows with what is to be computed for them."""

    wish: Wish
    entities: EntitySet
    features: tuple[Feature, ...]
    relations: Relations
    notes: tuple[str, ...]

    @property
    def frame(self) -> pl.DataFrame:
        """Rows of the target's table, in the order of their time, then of their key."""
        return self.entities.frames[self.wish.target.table]

    def values(self, rows: pl.Series) -> pl.DataFrame:
        """Features of some of the rows, by number: numbers and flags as floats.

        Parameters
        ----------
        rows : Series of shape (n,)
        """
        time = self.wish.target.time
        at = pl.repeat(TODAY, len(rows), dtype=pl.Datetime("us"), eager=True)
        cutoffs = at if time is None else self.frame[time].gather(rows)
        return plain(compute(self.entities, self.features, rows, cutoffs))


def gather(
    tables: Mapping[str, pl.DataFrame], keys: pd.DataFrame, primary: Mapping[str, str], wish: Wish
) -> Rows:
    """Put the tables together, and plan the features.

    Parameters
    ----------
    tables : mapping of str to DataFrame
    keys : DataFrame
        What `keys_of` says.
    primary : mapping of str to str
        Column that is a table's key, where that is not what the keys say.
    wish : Wish
    """
    target = wish.target
    own = {name: primary_key(keys, name) for name in wish.related.tables}
    assembly = assemble(tables, wish.related, own | dict(primary), target, wish.times)
    features = plan(
        assembly.entities.schema,
        target.table,
        wish.primitives,
        wish.depth,
        wish.max_features,
        is_joined=target.is_whole,
    )
    found = account(assembly.entities, target.table, features, guessed_links(keys))
    notes = (_on_features(len(features), assembly.entities, wish), *assembly.notes)
    return Rows(wish, assembly.entities, tuple(features), found, notes)


def dated(
    rows: pl.DataFrame, time: str, needed: list[str], said: str, place: str
) -> tuple[pl.DataFrame, int]:
    """Rows that have a date and whatever else they need, and how many have not.

    Parameters
    ----------
    rows : DataFrame
    time : str
        Column of the date.
    needed : list of str
        Columns that must be there, the date among them.
    said : str
        What the columns are, in words.
    place : str
        Table and parameter, for a message: ``orders`` and ``order_time``.
    """
    table, parameter = place.split(".")
    times = typed(rows.select(time))
    if not isinstance(times[time].dtype, pl.Datetime):
        raise InputError(
            f"{table}.{time} is no date in every row (such as"
            f" {rows[time].drop_nulls().head(1).to_list()});"
            f" name the column of the {said} by -p {parameter}=…"
        )
    whole = rows.with_columns(times).drop_nulls(needed)
    return whole, len(rows) - len(whole)


def _on_features(count: int, entities: EntitySet, wish: Wish) -> str:
    timeless = [e.name for e in entities.schema.entities if e.time_index is None]
    said = f"{counted(count, 'feature')} of {counted(len(entities.frames), 'table')}"
    if wish.target.time is None:
        return f"{said}, all as they stand today; a column of dates is named by time."
    if not timeless:
        return f"{said}, as of each {wish.noun}'s date."
    return (
        f"{said}, as of each {wish.noun}'s date; without dates, and so taken as they stand today:"
        f" {listed(timeless, 20, last=', ')}."
    )


def plain(values: pl.DataFrame) -> pl.DataFrame:
    """Numbers and flags as floats, whatever is missing among them; text and dates as they are."""
    return values.select(
        pl.col(name)
        if kind == pl.String or isinstance(kind, pl.Datetime)
        else pl.col(name).cast(pl.Float64)
        for name, kind in values.schema.items()
    )
