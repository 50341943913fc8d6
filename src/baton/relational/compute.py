"""Values of planned features, as of a cut-off time per row.

A row with a time index is seen by those whose cut-off is not before it. A date that lies at or
after the cut-off is hidden, since it may have been written later; so is what is known late only.
Where a parent is not there all of its features are missing; featuretools says 0 of its counts and
sums.

Expressions of polars over whole tables; nothing is done row by row. What arrays do
sooner is done by ``quickened``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from baton.relational import quickened
from baton.relational.entityset import PARENT, ROW, EntitySet
from baton.relational.planner import Aggregation, Direct, Feature, Identity, Transform
from baton.relational.primitives import CUTOFF
from baton.relational.schema import Entity, Path, Relationship
from baton.terms import ColumnType

log = logging.getLogger(__name__)

BATCH = 3_000_000
"""Most children that are looked at in one go: what bounds the memory."""

_AT = "_at"


def compute(
    entities: EntitySet, features: Sequence[Feature], rows: pl.Series, cutoffs: pl.Series
) -> pl.DataFrame:
    """Evaluate features.

    Parameters
    ----------
    entities : EntitySet
    features : sequence of Feature
        A plan of ``baton.relational.planner``; all of one entity.
    rows : Series of shape (n,)
        Row numbers in the entity's frame of `entities`.
    cutoffs : Series of shape (n,), datetime
        As of when each is seen.

    Returns
    -------
    DataFrame of shape (n, number of features), in the order of `rows`.
    """
    instances = pl.DataFrame({ROW: rows.cast(pl.UInt32), CUTOFF: cutoffs.cast(pl.Datetime("us"))})
    unique = instances.unique(maintain_order=True)
    log.info(
        "%d features of %d rows as of %d times", len(features), len(unique), cutoffs.n_unique()
    )
    values = _evaluate(entities, features, unique)
    found = pl.concat([unique, values], how="horizontal")
    return instances.join(
        found, on=[ROW, CUTOFF], how="left", nulls_equal=True, maintain_order="left"
    ).drop(ROW, CUTOFF)


def _evaluate(
    entities: EntitySet, features: Sequence[Feature], instances: pl.DataFrame
) -> pl.DataFrame:
    """Values of one entity's features for pairs of a row and a cut-off, all different."""
    columns: dict[str, pl.Series] = {}
    for feature in features:
        if isinstance(feature, Identity | Transform):
            columns[feature.name] = _own(entities, feature, instances)
    for link in dict.fromkeys(f.link for f in features if isinstance(f, Direct)):
        wanted = [f for f in features if isinstance(f, Direct) and f.link == link]
        columns |= _directs(entities, link, wanted, instances)
    for path in dict.fromkeys(f.path for f in features if isinstance(f, Aggregation)):
        of_path = [f for f in features if isinstance(f, Aggregation) and f.path == path]
        columns |= _aggregations(entities, path, of_path, instances)
    return pl.DataFrame([columns[feature.name].alias(feature.name) for feature in features])


def _own(entities: EntitySet, feature: Feature, instances: pl.DataFrame) -> pl.Series:
    """A column of the entity, or a primitive of one."""
    if isinstance(feature, Transform):
        base = _own(entities, feature.base, instances).to_frame("x")
        return base.select(feature.primitive.expression(pl.col("x"))).to_series()
    values = entities.frames[feature.entity][feature.name].gather(instances[ROW])
    entity = entities.schema.entity(feature.entity)
    if feature.name in entity.late:
        return _late(values, entities, entity, instances)
    is_index = feature.name == entity.time_index
    if feature.type is not ColumnType.DATETIME or is_index:
        return values
    pairs = pl.DataFrame({"x": values, CUTOFF: instances[CUTOFF]})
    return pairs.select(pl.when(pl.col("x") < pl.col(CUTOFF)).then("x")).to_series()


def _late(
    values: pl.Series, entities: EntitySet, entity: Entity, instances: pl.DataFrame
) -> pl.Series:
    """Values where the row is earlier than the cut-off by more than its delay."""
    times = entities.times(entity.name)
    assert times is not None
    known = times.gather(instances[ROW]) + entity.delay < instances[CUTOFF]
    return pl.select(pl.when(known).then(values)).to_series()


def _directs(
    entities: EntitySet, link: Relationship, features: list[Direct], instances: pl.DataFrame
) -> dict[str, pl.Series]:
    """Features of the parents; missing where there is no parent, or none yet."""
    parents = instances.select(entities.links[link].gather(instances[ROW]).alias(ROW), CUTOFF)
    known = _known(entities, link.parent, parents.unique(maintain_order=True))
    bases = list({f.base.name: f.base for f in features}.values())
    values = pl.concat([known, _evaluate(entities, bases, known)], how="horizontal")
    found = parents.join(values, on=[ROW, CUTOFF], how="left", maintain_order="left")
    return {f.name: found[f.base.name] for f in features}


def _known(entities: EntitySet, entity: str, instances: pl.DataFrame) -> pl.DataFrame:
    """Those of the pairs whose row is there, and known by the cut-off."""
    there = instances.filter(pl.col(ROW).is_not_null())
    times = entities.times(entity)
    if times is None:
        return there
    return there.filter(times.gather(there[ROW]) <= there[CUTOFF])


def _aggregations(
    entities: EntitySet, path: Path, features: list[Aggregation], instances: pl.DataFrame
) -> dict[str, pl.Series]:
    """Primitives over the children of each pair."""
    quick = quickened.quick(entities, path, features)
    found = _quickly(entities, path[0], quick, instances) if quick else {}
    others = [f for f in features if f.name not in found]
    found |= _in_batches(entities, path, others, instances) if others else {}
    return {f.name: _filled(found[f.name], f) for f in features}


def _quickly(
    entities: EntitySet, link: Relationship, features: list[Aggregation], instances: pl.DataFrame
) -> dict[str, pl.Series]:
    """By arrays, of the types that expressions give."""
    seen = quickened.seen_by(entities, link, instances)
    ends = np.flatnonzero(np.diff(np.cumsum(seen.sizes) // BATCH)) + 1
    parts = [
        quickened.Quick(entities.frames[link.child], instances[CUTOFF][begin:end], portion)
        for begin, end in pairwise([0, *ends.tolist(), len(instances)])
        for portion in [seen.part(slice(begin, end))]
    ]
    found = [part.values(features) for part in parts]
    nobody = pl.DataFrame(schema={_AT: pl.UInt32, ROW: pl.UInt32, CUTOFF: pl.Datetime("us")})
    kinds = _aggregated(entities, features, nobody).schema
    names = [f.name for f in features if all(f.name in one for one in found)]
    return {name: pl.concat([one[name].cast(kinds[name]) for one in found]) for name in names}


def _in_batches(
    entities: EntitySet, path: Path, features: list[Aggregation], instances: pl.DataFrame
) -> dict[str, pl.Series]:
    """By expressions, over the children of each pair side by side."""
    placed = instances.with_row_index(_AT)
    parts = [
        _aggregated(entities, features, _children(entities, path, batch))
        for batch in _batches(entities, path[0], placed)
    ]
    found = placed.select(_AT).join(pl.concat(parts), on=_AT, how="left", maintain_order="left")
    return {f.name: found[f.name] for f in features}


def _filled(values: pl.Series, feature: Aggregation) -> pl.Series:
    default = feature.primitive.of_no_rows
    return values if default is None else values.fill_null(default)


def _batches(entities: EntitySet, link: Relationship, placed: pl.DataFrame) -> list[pl.DataFrame]:
    """Pairs in portions with a bounded number of children."""
    sizes = entities.links[link].drop_nulls().value_counts(name="n")
    sizes = sizes.rename({sizes.columns[0]: ROW}).with_columns(pl.col(ROW).cast(pl.UInt32))
    counted = placed.join(sizes, on=ROW, how="left", maintain_order="left")
    total = counted["n"].fill_null(0).cum_sum()
    if total.is_empty() or total[-1] <= BATCH:
        return [placed]
    return placed.with_columns(batch=total // BATCH).partition_by("batch", include_key=False)


def _children(entities: EntitySet, path: Path, pairs: pl.DataFrame) -> pl.DataFrame:
    """Rows at the end of a path that each pair sees, in the order of their table."""
    for link in path:
        below = entities.links[link].alias(PARENT).to_frame().with_row_index("_child")
        pairs = pairs.join(below, left_on=ROW, right_on=PARENT, how="inner")
        pairs = pairs.select(_AT, pl.col("_child").alias(ROW), CUTOFF)
        pairs = _known(entities, link.child, pairs)
    return pairs.sort(_AT, ROW)


def _aggregated(
    entities: EntitySet, features: list[Aggregation], children: pl.DataFrame
) -> pl.DataFrame:
    """One row per pair that has children.

    Each child has one parent, so that pairs of child and cut-off are all different, too.
    """
    bases = list({f.base.name: f.base for f in features if f.base is not None}.values())
    values = _evaluate(entities, bases, children.select(ROW, CUTOFF))
    renamed = {base.name: f"{place}" for place, base in enumerate(bases)}
    table = pl.concat([children, values.rename(renamed)], how="horizontal")
    expressions = [
        f.primitive.expression(pl.col(renamed[f.base.name] if f.base else ROW)).alias(f.name)
        for f in features
    ]
    return table.group_by(_AT).agg(expressions)
