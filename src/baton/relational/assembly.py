"""A target table and what is related to it, put together to an entity set.

Here it is decided from when on a row is known, so that nothing is summed up before it happened.
What a database declares is read in ``reflection``; what a column holds in ``columns``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from baton.errors import InputError
from baton.relational.columns import datetimes, described, typed
from baton.relational.entityset import EntitySet, parents_of
from baton.relational.integrity import broken_keys, shared_keys
from baton.relational.reflection import Related
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.terms import ColumnType
from baton.words.text import listed

KNOWN = "_known"
"""Column of the time from which on a row is known."""

KEY = "_key"
"""Key of a table that declares none: the order of its rows."""


@dataclass(frozen=True)
class Target:
    """The table whose rows get features."""

    table: str
    key: str
    time: str
    owner: str
    """Table of whom the rows belong to."""
    without: frozenset[str] = frozenset()
    """Columns that no feature is made of."""


@dataclass(frozen=True)
class Assembly:
    """An entity set, and what was found out about it, in sentences."""

    entities: EntitySet
    notes: tuple[str, ...]


def assemble(
    tables: Mapping[str, pl.DataFrame],
    related: Related,
    primary: Mapping[str, str | None],
    target: Target,
    times: Mapping[str, str],
) -> Assembly:
    """Put tables together.

    Parameters
    ----------
    tables : mapping of str to DataFrame
    related : Related
    primary : mapping of str to str or None
        Column that is a table's key; None where there is none.
    target : Target
    times : mapping of str to str
        Column that says when a row of a history was made, where the latest of its dates will
        not do.
    """
    keyed = {name: _keyed(frame, primary.get(name)) for name, frame in tables.items()}
    frames = {name: _typed(frame, name, related, primary) for name, frame in keyed.items()}
    known = _known_from(frames, related, target, times)
    undated = related.histories - set(known) - {target.owner}
    links = tuple(replace(r, is_history=r.is_history and r.child in known) for r in related.links)
    frames |= {name: frames[name].with_columns(times) for name, times in known.items()}
    entities = tuple(_entity(name, frames[name], primary, links, target) for name in tables)
    found = EntitySet.build(RelationalSchema(entities, links), frames)
    notes = [*_on_undated(sorted(undated)), *broken_keys(found), *shared_keys(found)]
    return Assembly(found, tuple(notes))


def _keyed(frame: pl.DataFrame, key: str | None) -> pl.DataFrame:
    return frame if key in frame.columns else frame.with_row_index(KEY)


def _keys_of(
    table: str, links: tuple[Relationship, ...], primary: Mapping[str, str | None]
) -> set[str]:
    own = {primary.get(table) or KEY}
    return (
        own
        | {r.foreign_key for r in links if r.child == table}
        | {r.parent_key for r in links if r.parent == table}
    )


def _typed(
    frame: pl.DataFrame, table: str, related: Related, primary: Mapping[str, str | None]
) -> pl.DataFrame:
    """Typed columns; keys stay as they are, in their own order."""
    keys = _keys_of(table, related.links, primary) & set(frame.columns)
    return frame.with_columns(typed(frame.drop(keys)))


def _entity(
    name: str,
    frame: pl.DataFrame,
    primary: Mapping[str, str | None],
    links: tuple[Relationship, ...],
    target: Target,
) -> Entity:
    """Entity with the columns that features may be made of.

    Dates other than the target's own say when a row was touched, often long after.
    """
    without = _keys_of(name, links, primary) | set(datetimes(frame))
    key = primary.get(name)
    key = key if key in frame.columns else KEY
    if name != target.table:
        index = KNOWN if KNOWN in frame.columns else None
        return Entity(name, str(key), described(frame, without), index)
    columns = described(frame, without | target.without)
    time = Attribute(target.time, ColumnType.DATETIME)
    return Entity(name, str(key), (time, *columns), target.time)


def _known_from(
    frames: Mapping[str, pl.DataFrame], related: Related, target: Target, times: Mapping[str, str]
) -> dict[str, pl.Series]:
    """From when on the rows of the histories are known.

    From the latest of their dates, and not before what they belong to. A table with neither is
    not among them.
    """
    known = {target.table: frames[target.table][target.time].alias(KNOWN)}
    waiting = [name for name in related.histories if name not in {target.table, target.owner}]
    for _ in waiting[:]:
        for name in [n for n in sorted(waiting) if not _awaits(n, waiting, related)]:
            waiting.remove(name)
            dates = _dates(frames, name, related, known, times.get(name))
            if dates:
                known[name] = pl.select(pl.max_horizontal(dates)).to_series().alias(KNOWN)
    return known


def _awaits(name: str, waiting: list[str], related: Related) -> bool:
    return any(r.parent in waiting for r in related.links if r.child == name and r.parent != name)


def _dates(
    frames: Mapping[str, pl.DataFrame],
    name: str,
    related: Related,
    known: Mapping[str, pl.Series],
    chosen: str | None,
) -> list[pl.Series]:
    own = datetimes(frames[name])
    if chosen is not None and chosen not in own:
        raise InputError(
            f"times: {name}.{chosen} is no column of dates; there are:"
            f" {listed(own, 5, last=', ') or 'none'}"
        )
    inherited = [
        known[link.parent].gather(parents_of(link, frames))
        for link in related.links
        if link.child == name and link.parent in known
    ]
    return [*(frames[name][c] for c in ([chosen] if chosen else own)), *inherited]


def _on_undated(names: list[str]) -> list[str]:
    return [
        f"{name} has no date: when its rows came to be is unknown, so nothing is summed up from it."
        for name in names
    ]
