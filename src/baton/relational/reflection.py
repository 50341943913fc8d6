"""From the keys that a database declares to the tables and relationships of a schema.

The keys are a table themselves, one row per column; reading it is for ``database``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.relational.schema import Relationship
from baton.words.text import listed

if TYPE_CHECKING:
    import pandas as pd

KEY_COLUMNS = ("table", "column", "is_primary", "constraint", "parent", "parent_column")


@dataclass(frozen=True)
class Related:
    """Tables around a target, and how they hang together."""

    tables: tuple[str, ...]
    """The target first."""
    links: tuple[Relationship, ...]
    histories: frozenset[str]
    """Tables whose rows come to be with time: below the target or its owners."""
    notes: tuple[str, ...] = ()
    """Which keys are not followed, a sentence each."""


def columns(keys: pd.DataFrame, table: str) -> list[str]:
    """Names of a table's columns; none if there is no such table."""
    return list(dict.fromkeys(keys.loc[keys["table"] == table, "column"]))


def primary_key(keys: pd.DataFrame, table: str) -> str | None:
    """Name of the column that is a table's primary key, if it is one alone."""
    found = keys[(keys["table"] == table) & keys["is_primary"]]["column"].unique()
    return str(found[0]) if len(found) == 1 else None


def links(keys: pd.DataFrame) -> list[Relationship]:
    """Foreign keys of one column.

    A column of a composite key refers to what the column that it names refers to: a line of an
    order that names a product on offer names the product.
    """
    foreign = keys.dropna(subset=["parent"])
    sizes = foreign.groupby(["table", "constraint"])["column"].transform("size")
    found = list(_relationships(foreign[sizes == 1]))
    known = {(link.child, link.foreign_key): link for link in found}
    for way in _relationships(foreign[sizes > 1]):
        through = known.get((way.parent, way.parent_key))
        if through is not None and (way.child, way.foreign_key) not in known:
            found.append(
                Relationship(through.parent, through.parent_key, way.child, way.foreign_key)
            )
    return list(dict.fromkeys(found))


def _relationships(foreign: pd.DataFrame) -> Iterable[Relationship]:
    rows: Any = foreign[["parent", "parent_column", "table", "column"]]
    return (Relationship(*row) for row in rows.itertuples(index=False, name=None))


def owner(found: Iterable[Relationship], target: str, key: str) -> Relationship | None:
    """Relationship to the table of whom a target's rows belong to."""
    return next((r for r in found if (r.child, r.foreign_key) == (target, key)), None)


def related(
    found: list[Relationship], target: str, owners: Mapping[str, int], hops: int
) -> Related:
    """Tables that tell something of the target's rows.

    Histories are the tables below the target and below its owners; of all of them the parents
    are looked up, so many steps far.

    Parameters
    ----------
    found : list of Relationship
    target : str
    owners : mapping of str to int
        Tables of whom the rows belong to, and how many steps away each begins.
    hops : int
        Most steps away from the target and its owners.
    """
    steps = {target: 0} | {name: step for name, step in owners.items() if step <= hops}
    for step in range(hops):
        edge = {name for name, at in steps.items() if at == step}
        for link in found:
            if link.parent in edge:
                steps.setdefault(link.child, step + 1)
    tables = list(steps)
    around = tables
    for _ in range(hops):
        around = [r.parent for r in found if r.child in around and r.parent not in tables]
        tables += dict.fromkeys(around)
    near = [r for r in found if r.parent in tables and r.child in tables]
    return Related(
        tuple(tables),
        tuple(
            Relationship(r.parent, r.parent_key, r.child, r.foreign_key, r.parent in steps)
            for r in near
            if not _is_round(r, steps, owners)
        ),
        frozenset(steps),
        tuple(_on_round(r) for r in near if _is_round(r, steps, owners)),
    )


def _is_round(link: Relationship, histories: Container[str], owners: Container[str]) -> bool:
    """Whether a key leads back: to its own table, or from an owner to its rows, as to the last."""
    is_back = link.child in owners and link.parent in histories and link.parent not in owners
    return link.parent == link.child or is_back


def _on_round(link: Relationship) -> str:
    what = "refers to its own table" if link.parent == link.child else "leads back"
    return f"{link} {what}: it is not followed."


def composites(keys: pd.DataFrame, table: str) -> list[str]:
    """Sentences, one for each key of several columns of a table that is not followed."""
    own = keys[(keys["table"] == table) & keys["parent"].notna()]
    followed = {(link.child, link.foreign_key) for link in links(keys)}
    said = []
    for _, rows in own.groupby("constraint"):
        names, parent = list(rows["column"]), rows["parent"].iloc[0]
        if len(names) > 1 and not any((table, name) in followed for name in names):
            said.append(
                f"the key of {listed(names, 5)} from {table} to {parent} is of several columns: it"
                " is not followed; name one column by relations, if one will do."
            )
    return said
