"""Entities and the relationships between them, declared once.

Frozen descriptions without rows; the rows are in ``baton.relational.entityset``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from baton.errors import InputError
from baton.terms import ColumnType


@dataclass(frozen=True)
class Attribute:
    """A column that features may be made of; keys are not among them."""

    name: str
    type: ColumnType
    is_summed_only: bool = False
    """Whether it is of use to aggregations alone, such as whether a category has one level."""


@dataclass(frozen=True)
class Entity:
    """A table: one row per thing.

    Without a `time_index` its rows are known at all times.
    """

    name: str
    key: str
    columns: tuple[Attribute, ...] = ()
    time_index: str | None = None
    """Column that says from when on a row is known."""
    late: frozenset[str] = frozenset()
    """Columns that are known only to whoever is seen later than the row, by more than `delay`."""
    delay: timedelta = timedelta()

    def names(self, wanted: ColumnType) -> list[str]:
        """Names of the columns of one type."""
        return [column.name for column in self.columns if column.type is wanted]


@dataclass(frozen=True)
class Relationship:
    """A foreign key of the child that names a row of the parent."""

    parent: str
    parent_key: str
    child: str
    foreign_key: str
    is_history: bool = True
    """Whether a parent's children are summed up. A lookup table, with half of all rows below
    one of its own, says nothing about one of them by that, and takes long."""

    def __str__(self) -> str:
        return f"{self.child}.{self.foreign_key} = {self.parent}.{self.parent_key}"


Path = tuple[Relationship, ...]
"""Relationships from a parent down to its children's children."""


@dataclass(frozen=True)
class RelationalSchema:
    """Entities and relationships.

    Raises
    ------
    InputError
        If a relationship names an entity that is not there.
    """

    entities: tuple[Entity, ...]
    relationships: tuple[Relationship, ...] = ()

    def __post_init__(self) -> None:
        known = [entity.name for entity in self.entities]
        for link in self.relationships:
            for name in (link.parent, link.child):
                if name not in known:
                    raise InputError(
                        f"relationship {link} names {name!r}; the tables are: {', '.join(known)}"
                    )

    def entity(self, name: str) -> Entity:
        """Entity of that name."""
        return next(entity for entity in self.entities if entity.name == name)

    def up(self, name: str) -> list[Relationship]:
        """Relationships to the parents of an entity; a row's link to its own table is none."""
        return [r for r in self.relationships if r.child == name and r.parent != name]

    def down(self, name: str) -> Iterator[Path]:
        """Paths to the children of an entity and to theirs, the nearest first."""
        paths: list[Path] = [()]
        while paths:
            longer = [
                (*path, link)
                for path in paths
                for link in self.relationships
                if link.parent == (path[-1].child if path else name)
                and link.is_history
                and link.child not in {name, *(step.child for step in path)}
            ]
            yield from longer
            paths = longer

    def parent_name(self, link: Relationship) -> str:
        """Name of the parent as the child says it: with the foreign key if it has two of them."""
        return link.parent if self._is_only(link) else f"{link.parent}[{link.foreign_key}]"

    def path_name(self, path: Path) -> str:
        """Name of the children at the end of a path, as their ancestor says it."""
        if self._n_ways(path[-1].child, path[0].parent) == 1:
            return path[-1].child
        return ".".join(
            link.child if self._is_only(link) else f"{link.child}[{link.foreign_key}]"
            for link in path
        )

    def _is_only(self, link: Relationship) -> bool:
        ends = (link.parent, link.child)
        return sum((r.parent, r.child) == ends for r in self.relationships) == 1

    def _n_ways(self, child: str, parent: str, seen: tuple[str, ...] = ()) -> int:
        """Number of ways up from a child to an ancestor."""
        return sum(
            1 if link.parent == parent else self._n_ways(link.parent, parent, (*seen, child))
            for link in self.up(child)
            if link.parent not in seen
        )
