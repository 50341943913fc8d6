"""From the keys that a database declares to the tables and relationships of a schema.

The keys are a table themselves, one row per column; reading it is for ``database``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.relational.schema import Relationship

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
    """Tables whose rows come to be with time: below the target or its owner."""


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


def related(found: list[Relationship], target: str, owner_table: str, hops: int) -> Related:
    """Tables that tell something of the target's rows.

    Histories are the tables below the target and below its owner; of all of them the parents
    are looked up, so many steps far.

    Parameters
    ----------
    found : list of Relationship
    target, owner_table : str
    hops : int
        Most steps away from the target and its owner.
    """
    histories = [target, owner_table]
    edge = histories
    for _ in range(hops):
        edge = [r.child for r in found if r.parent in edge and r.child not in histories]
        histories += dict.fromkeys(edge)
    tables = list(dict.fromkeys(histories))
    edge = tables
    for _ in range(hops):
        edge = [r.parent for r in found if r.child in edge and r.parent not in tables]
        tables += dict.fromkeys(edge)
    return Related(
        tuple(tables),
        tuple(
            Relationship(r.parent, r.parent_key, r.child, r.foreign_key, r.parent in histories)
            for r in found
            if r.parent in tables
            and r.child in tables
            and r.parent != r.child
            and not (r.child == owner_table and r.parent in histories)  # a customer's last order
        ),
        frozenset(histories),
    )
