"""What was found of a relational set: its tables, its keys, and what was made of them.

Frozen, and ready for JSON: it stays with the model, is drawn in the report and warned of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from baton.relational.integrity import is_broken
from baton.relational.planner import Aggregation, Direct, Feature, Transform
from baton.relational.schema import Relationship

if TYPE_CHECKING:
    from baton.relational.entityset import EntitySet

NAME = "relations"
"""Key in a raw table's ``attrs``, and in a problem's schema."""


@dataclass(frozen=True)
class KeyFound:
    """A foreign key, and how whole it is."""

    child: str
    foreign_key: str
    parent: str
    parent_key: str
    n_broken: int = 0
    """Rows that name a parent that is not there."""
    n_lost: int = 0
    """Different values that they name."""
    example: str = ""
    is_guessed: bool = False
    n_features: int = 0
    """Features that are made along it."""


@dataclass(frozen=True)
class Relations:
    """Tables and the keys between them."""

    target: str
    """The table whose rows are learnt."""
    rows: dict[str, int]
    """Number of rows of each table."""
    keys: tuple[KeyFound, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        found: dict[str, Any] = _TYPE.dump_python(self, mode="json")
        return found


_TYPE = TypeAdapter(Relations)


def relations_of(schema: Mapping[str, Any]) -> Relations | None:
    """Relations that a problem's schema holds, if it does.

    Examples
    --------
    >>> relations_of({"relations": {"target": "orders", "rows": {"orders": 3}}}).rows
    {'orders': 3}
    >>> relations_of({"columns": []}) is None
    True
    """
    return _TYPE.validate_python(schema[NAME]) if NAME in schema else None


def account(
    entities: EntitySet, target: str, features: Iterable[Feature], guessed: Iterable[Relationship]
) -> Relations:
    """Put down which tables and keys there are, and which were used."""
    counts: dict[tuple[str, str], int] = {}
    for feature in features:
        for link in dict.fromkeys(_ways(feature)):
            counts[_place(link)] = counts.get(_place(link), 0) + 1
    places = {_place(link) for link in guessed}
    rows = {name: len(frame) for name, frame in entities.frames.items()}
    keys = (_found(entities, link, counts, places) for link in entities.links)
    return Relations(target, rows, tuple(keys))


def _place(link: Relationship) -> tuple[str, str]:
    return link.child, link.foreign_key


def _found(
    entities: EntitySet,
    link: Relationship,
    counts: Mapping[tuple[str, str], int],
    guessed: set[tuple[str, str]],
) -> KeyFound:
    keys = entities.frames[link.child][link.foreign_key]
    lost = keys.filter(is_broken(keys, entities.links[link]))
    return KeyFound(
        link.child,
        link.foreign_key,
        link.parent,
        link.parent_key,
        n_broken=len(lost),
        n_lost=lost.n_unique(),
        example=str(lost[0]) if len(lost) else "",
        is_guessed=_place(link) in guessed,
        n_features=counts.get(_place(link), 0),
    )


def _ways(feature: Feature | None) -> Iterable[Relationship]:
    """Keys that a feature is made along."""
    while feature is not None:
        if isinstance(feature, Direct):
            yield feature.link
        elif isinstance(feature, Aggregation):
            yield from feature.path
        feature = feature.base if isinstance(feature, Direct | Aggregation | Transform) else None
