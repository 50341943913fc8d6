"""Which features there are: primitives stacked over relationships up to a depth.

The plan knows the schema and no row. Features are named as featuretools names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from baton.relational.primitives import Primitive, chosen
from baton.relational.schema import Path, RelationalSchema, Relationship
from baton.terms import ColumnType


@dataclass(frozen=True)
class Feature:
    """A column of one entity's feature table."""

    entity: str
    name: str
    type: ColumnType
    depth: int


@dataclass(frozen=True)
class Identity(Feature):
    """A column as it stands."""


@dataclass(frozen=True)
class Transform(Feature):
    """A primitive of one value of the same row."""

    primitive: Primitive
    base: Feature


@dataclass(frozen=True)
class Direct(Feature):
    """A feature of the parent."""

    link: Relationship
    base: Feature


@dataclass(frozen=True)
class Aggregation(Feature):
    """A primitive over the children at the end of a path."""

    path: Path
    primitive: Primitive
    base: Feature | None
    """What is aggregated; None counts the rows."""


def plan(
    schema: RelationalSchema,
    target: str,
    primitives: tuple[str, ...],
    depth: int,
    max_features: int | None = None,
    *,
    is_joined: bool = False,
) -> list[Feature]:
    """Features of an entity, the simplest first.

    Parameters
    ----------
    schema : RelationalSchema
    target : str
        Entity whose rows get features.
    primitives : tuple of str
        Names of ``baton.relational.primitives``.
    depth : int
        Most primitives and steps to a parent that are stacked.
    max_features : int, optional
        How many are kept; by default all.
    is_joined : bool
        Whether they are to stand beside the entity's own columns as they are: then none is made
        of those alone, and the parents' dates are among them.

    Returns
    -------
    list of Feature, none of which is a key, or a datetime unless it is a parent's.

    Raises
    ------
    InputError
        If a primitive is unknown.
    """
    features = _Planner(schema, *chosen(primitives), is_joined).features(target, depth)
    useful = [one for one in features if _is_useful(one, schema, is_joined=is_joined)]
    return sorted(useful, key=lambda feature: feature.depth)[:max_features]


def _is_useful(feature: Feature, schema: RelationalSchema, *, is_joined: bool) -> bool:
    if isinstance(feature, Identity | Transform) and is_joined:
        return False
    inner = _innermost(feature)
    if not isinstance(inner, Identity):
        return True
    columns = schema.entity(inner.entity).columns
    if next(column for column in columns if column.name == inner.name).is_summed_only:
        return False
    return is_joined or feature.type is not ColumnType.DATETIME


@dataclass(frozen=True)
class _Planner:
    schema: RelationalSchema
    aggregations: list[Primitive]
    transforms: list[Primitive]
    has_dates: bool
    """Whether the parents' dates are looked up."""

    @cached_property
    def _known(self) -> dict[tuple[str, int], list[Feature]]:
        return {}

    def features(self, entity: str, depth: int) -> list[Feature]:
        """Features of an entity that are at most so deep."""
        if depth < 0:
            return []
        key = (entity, depth)
        if key not in self._known:
            self._known[key] = [
                *self._identities(entity),
                *self._transforms(entity, depth),
                *self._aggregations(entity, depth),
                *self._directs(entity, depth),
            ]
        return self._known[key]

    def _identities(self, entity: str) -> Iterator[Feature]:
        for column in self.schema.entity(entity).columns:
            yield Identity(entity, column.name, column.type, 0)

    def _transforms(self, entity: str, depth: int) -> Iterator[Feature]:
        if depth < 1:
            return
        for primitive in self.transforms:
            for base in self._identities(entity):
                if base.type in primitive.takes:
                    name = f"{primitive.name.upper()}({base.name})"
                    yield Transform(entity, name, primitive.gives, 1, primitive, base)

    def _aggregations(self, entity: str, depth: int) -> Iterator[Feature]:
        if depth < 1:
            return
        for path in self.schema.down(entity):
            for primitive in self.aggregations:
                for base in self._inputs(primitive, path, depth - 1):
                    yield self._aggregation(entity, path, primitive, base)

    def _aggregation(
        self, entity: str, path: Path, primitive: Primitive, base: Feature | None
    ) -> Aggregation:
        children = self.schema.path_name(path)
        inside = children if base is None else f"{children}.{base.name}"
        name = f"{primitive.name.upper()}({inside})"
        below = base.depth if base else 0
        return Aggregation(entity, name, primitive.gives, below + 1, path, primitive, base)

    def _inputs(self, primitive: Primitive, path: Path, depth: int) -> Iterator[Feature | None]:
        """What a primitive is made of, among the features of the children at a path's end."""
        if not primitive.takes:
            yield None
            return
        child = self.schema.entity(path[-1].child)
        for base in self.features(child.name, depth):
            if base.type not in primitive.takes or _is_of(base, path[0].parent):
                continue
            if primitive.of_time_index:
                if isinstance(base, Identity) and base.name == child.time_index:
                    yield base
            elif _can_stack(primitive, base):
                yield base

    def _directs(self, entity: str, depth: int) -> Iterator[Feature]:
        for link in self.schema.up(entity):
            name = self.schema.parent_name(link)
            for base in self.features(link.parent, depth - 1):
                if self.has_dates or base.type is not ColumnType.DATETIME:
                    yield Direct(
                        entity, f"{name}.{base.name}", base.type, base.depth + 1, link, base
                    )


def _is_of(base: Feature, entity: str) -> bool:
    """Whether a child's feature is its parent's own, which all children share."""
    return isinstance(base, Direct) and base.link.parent == entity


def _can_stack(primitive: Primitive, base: Feature) -> bool:
    """Whether a primitive of this feature says anything new."""
    inner = _innermost(base)
    if not isinstance(inner, Aggregation):
        return True
    is_sum_of_counts = (primitive.name, inner.primitive.name) == ("sum", "count")
    return primitive.stacks and primitive.name != inner.primitive.name and not is_sum_of_counts


def _innermost(feature: Feature) -> Feature:
    """What a feature of a parent, or of the parent's parent, is there."""
    while isinstance(feature, Direct):
        feature = feature.base
    return feature
