"""A target table and what is related to it, put together to an entity set.

Here it is decided from when on a row is known, so that nothing is summed up before it happened.
What a database declares is read in ``reflection``; what a column holds in ``columns``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl

from baton.errors import InputError
from baton.relational.columns import datetimes, described, level_flags, typed
from baton.relational.entityset import EntitySet, parents_of
from baton.relational.integrity import broken_keys, shared_keys
from baton.relational.reflection import Related
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.terms import ColumnType
from baton.words.text import listed

KNOWN = "_known"
"""Column of the time from which on a row is known."""

MOST_CHILDREN = 20_000_000
"""So many rows below the rows' parents are looked at, at most, for the features of one way."""

KEY = "_key"
"""Key of a table that declares none: the order of its rows."""


@dataclass(frozen=True)
class Target:
    """The table whose rows get features."""

    table: str
    time: str | None
    """Column that says when a row was; without one, all tables are taken as they stand today."""
    owners: frozenset[str]
    """Tables of whom the rows belong to."""
    without: frozenset[tuple[str, str]] = frozenset()
    """Tables' columns that no feature is made of."""
    late: frozenset[str] = frozenset()
    """Columns that only later rows know."""
    delay: timedelta = timedelta()
    """How much later."""
    is_whole: bool = False
    """Whether everything is made of: texts, the parents' dates, the shares of levels."""


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
    notes: list[str] = list(related.notes)
    links = related.links
    if target.time is not None:
        known, by = _known_from(frames, related, target, times)
        undated = related.histories - set(known) - target.owners
        links = tuple(replace(r, is_history=r.is_history and r.child in known) for r in links)
        frames |= {name: frames[name].with_columns(times) for name, times in known.items()}
        notes += [*_on_undated(sorted(undated)), *_on_dated(by)]
    found = _entities(frames, links, primary, target)
    kept = tuple(_kept(found, target)) if target.is_whole else links
    if kept != links:
        notes += [_on_crowded(was) for was, now in zip(links, kept, strict=True) if was != now]
        found = _entities(frames, kept, primary, target)
    return Assembly(found, (*notes, *broken_keys(found), *shared_keys(found)))


def _entities(
    frames: Mapping[str, pl.DataFrame],
    links: tuple[Relationship, ...],
    primary: Mapping[str, str | None],
    target: Target,
) -> EntitySet:
    described = {
        name: _entity(name, frame, primary, links, target) for name, frame in frames.items()
    }
    schema = RelationalSchema(tuple(entity for entity, _ in described.values()), links)
    return EntitySet.build(schema, {name: frame for name, (_, frame) in described.items()})


def _kept(entities: EntitySet, target: Target) -> Iterator[Relationship]:
    """Relationships, those that would take long no longer a history."""
    crowded = set()
    for link in entities.schema.up(target.table):
        rows = entities.links[link].drop_nulls()
        seen = rows if target.time else rows.unique()
        for path in entities.schema.down(link.parent):
            if entities.n_children(path, seen) > MOST_CHILDREN:
                crowded.add(path[0])
    return (replace(r, is_history=r.is_history and r not in crowded) for r in entities.links)


def _on_crowded(link: Relationship) -> str:
    return (
        f"{link.parent} has too many rows of {link.child} below each of its own to be summed up for"
        f" every row: nothing is summed up by {link}."
    )


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
) -> tuple[Entity, pl.DataFrame]:
    """Entity with the columns that features may be made of, and its rows.

    Dates other than the target's own say when a row was touched, often long after: they are
    made of only where everything is.
    """
    without = _keys_of(name, links, primary) | {
        column for table, column in target.without if table == name
    }
    without |= {KNOWN} if target.is_whole else set(datetimes(frame))
    key = primary.get(name)
    key = key if key in frame.columns else KEY
    columns = described(frame, without, is_whole=target.is_whole)
    late = target.late if name == target.table else frozenset()
    if target.is_whole and any(r.is_history for r in links if r.child == name):
        flags = level_flags(frame, columns).drop(frame.columns, strict=False)
        late |= {flag for flag in flags.columns if flag.split(" = ")[0] in late}
        frame = frame.with_columns(flags)
        columns += tuple(
            Attribute(flag, ColumnType.FLAG, is_summed_only=True) for flag in flags.columns
        )
    if name != target.table:
        return Entity(name, str(key), columns, KNOWN if KNOWN in frame.columns else None), frame
    if target.time is None:
        return Entity(name, str(key), columns), frame
    own = tuple(column for column in columns if column.name != target.time)
    time = Attribute(target.time, ColumnType.DATETIME)
    return Entity(name, str(key), (time, *own), target.time, late, target.delay), frame


def _known_from(
    frames: Mapping[str, pl.DataFrame], related: Related, target: Target, times: Mapping[str, str]
) -> tuple[dict[str, pl.Series], dict[str, list[str]]]:
    """From when on the rows of the histories are known, and which columns say so.

    From the latest of their dates, and not before what they belong to. A table with neither is
    not among them.
    """
    assert target.time is not None
    known = {target.table: frames[target.table][target.time].alias(KNOWN)}
    by: dict[str, list[str]] = {}
    alone = {target.table} | (target.owners - set(times))
    named = [name for name in times if name in frames and name not in related.histories]
    waiting = [name for name in [*related.histories, *named] if name not in alone]
    for _ in waiting[:]:
        for name in [n for n in sorted(waiting) if not _awaits(n, waiting, related)]:
            waiting.remove(name)
            dates = _dates(frames, name, related, known, times.get(name))
            if dates:
                known[name] = pl.select(pl.max_horizontal(dates.values())).to_series().alias(KNOWN)
                by[name] = list(dates)
    return known, by


def _awaits(name: str, waiting: list[str], related: Related) -> bool:
    return any(r.parent in waiting for r in related.links if r.child == name and r.parent != name)


def _dates(
    frames: Mapping[str, pl.DataFrame],
    name: str,
    related: Related,
    known: Mapping[str, pl.Series],
    chosen: str | None,
) -> dict[str, pl.Series]:
    """Dates of a table's rows, its own and its parents', by what they are."""
    own = datetimes(frames[name])
    if chosen is not None and chosen not in own:
        raise InputError(
            f"times: {name}.{chosen} is no column of dates; there are:"
            f" {listed(own, 5, last=', ') or 'none'}"
        )
    inherited = {
        f"the date of its {link.parent}": known[link.parent].gather(parents_of(link, frames))
        for link in related.links
        if link.child == name and link.parent in known
    }
    return {c: frames[name][c] for c in ([chosen] if chosen else own)} | inherited


def _on_dated(by: Mapping[str, list[str]]) -> list[str]:
    return [
        f"A row of {name} counts from {'the latest of ' if len(columns) > 1 else ''}"
        f"{listed(columns, 5)} on."
        for name, columns in by.items()
    ]


def _on_undated(names: list[str]) -> list[str]:
    return [
        f"{name} has no date: when its rows came to be is unknown, so nothing is summed up from it."
        for name in names
    ]
