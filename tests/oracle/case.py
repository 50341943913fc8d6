"""A small shop whose features featuretools computed once: two keys to one table, gaps, ties."""

import random
from datetime import datetime, timedelta

import polars as pl

from baton.relational.entityset import EntitySet
from baton.relational.planner import Aggregation, Direct, Feature, Identity, Transform, plan
from baton.relational.primitives import AGGREGATIONS, TRANSFORMS
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.terms import ColumnType

TARGET = "orders"
PRIMITIVES = (*AGGREGATIONS, *TRANSFORMS)
DEPTH = 2
DEEPER = 40
"""One of so many of the features that are a step deeper is computed, too."""
STRANGER = 99
"""Customer of one order who is in no table."""

_N, _F, _C, _D = ColumnType.NUMBER, ColumnType.FLAG, ColumnType.CATEGORY, ColumnType.DATETIME

SCHEMA = RelationalSchema(
    (
        Entity("customers", "customer_id", (Attribute("segment", _C), Attribute("age", _N))),
        Entity("places", "place_id", (Attribute("city", _C), Attribute("distance_km", _N))),
        Entity("products", "product_id", (Attribute("color", _C), Attribute("price", _N))),
        Entity(
            "orders",
            "order_id",
            (
                Attribute("ordered", _D),
                Attribute("shipped", _D),
                Attribute("total", _N),
                Attribute("is_online", _F),
                Attribute("channel", _C),
            ),
            "ordered",
        ),
        Entity("lines", "line_id", (Attribute("quantity", _N), Attribute("is_gift", _F))),
    ),
    (
        Relationship("customers", "customer_id", "orders", "customer_id"),
        Relationship("places", "place_id", "orders", "from_id"),
        Relationship("places", "place_id", "orders", "to_id"),
        Relationship("orders", "order_id", "lines", "order_id"),
        Relationship("products", "product_id", "lines", "product_id"),
    ),
)


def tables() -> dict[str, pl.DataFrame]:
    """Rows of the shop, the same every time."""
    draw = random.Random(7)
    orders = [_order(draw, number) for number in range(24)]
    orders[5]["customer_id"] = STRANGER
    lines = [
        _line(draw, place, order["order_id"])
        for place, order in enumerate(o for o in orders for _ in range(draw.randint(0, 4)))
    ]
    customers = [
        {"customer_id": i, "segment": draw.choice("ab"), "age": draw.choice([None, 20.0, 41.5])}
        for i in range(6)
    ]
    places = [{"place_id": i, "city": "XYZ"[i], "distance_km": i * 1.5} for i in range(3)]
    products = [
        {"product_id": i, "color": draw.choice([None, "red", "tan"]), "price": 0.1 + i}
        for i in range(5)
    ]
    rows = {
        "customers": customers,
        "places": places,
        "products": products,
        "orders": orders,
        "lines": lines,
    }
    return {name: pl.DataFrame(found) for name, found in rows.items()}


def _order(draw: random.Random, number: int) -> dict:
    ordered = datetime(2024, 1, 1) + timedelta(days=draw.randint(0, 40))
    return {
        "order_id": number,
        "customer_id": draw.randint(0, 5),
        "from_id": draw.randint(0, 2),
        "to_id": draw.randint(0, 2),
        "ordered": ordered,
        "shipped": ordered + timedelta(days=draw.randint(0, 9)),
        "total": draw.choice([None, 5.0, 5.0, round(draw.uniform(0, 90), 2)]),
        "is_online": draw.choice([None, True, False]),
        "channel": draw.choice(["web", "shop", None]),
    }


def _line(draw: random.Random, number: int, order: int) -> dict:
    return {
        "line_id": number,
        "order_id": order,
        "product_id": draw.randint(0, 4),
        "quantity": float(draw.randint(1, 3)),
        "is_gift": draw.choice([True, False]),
    }


def entities() -> EntitySet:
    """Rows of the shop put to its schema."""
    return EntitySet.build(SCHEMA, tables())


def features() -> list[Feature]:
    """All features of the depth, and a sample of those a step deeper."""
    deeper = plan(SCHEMA, TARGET, PRIMITIVES, DEPTH + 1)
    sample = [f for f in deeper if f.depth > DEPTH][::DEEPER]
    return [*plan(SCHEMA, TARGET, PRIMITIVES, DEPTH), *sample]


def question() -> dict:
    """What featuretools is asked, ready for JSON."""
    rows = {
        name: {
            column: [str(v) if isinstance(v, datetime) else v for v in values]
            for column, values in frame.to_dict(as_series=False).items()
        }
        for name, frame in tables().items()
    }
    return {
        "tables": rows,
        "entities": [
            {
                "name": e.name,
                "key": e.key,
                "time_index": e.time_index,
                "columns": {c.name: c.type for c in e.columns},
            }
            for e in SCHEMA.entities
        ],
        "relationships": [
            [r.parent, r.parent_key, r.child, r.foreign_key] for r in SCHEMA.relationships
        ],
        "target": TARGET,
        "features": [_node(f) for f in features()],
        "aggregations": list(AGGREGATIONS),
        "transforms": list(TRANSFORMS),
        "depth": DEPTH,
    }


def _node(feature) -> dict:
    """A feature as a tree."""
    node = {"type": type(feature).__name__.lower(), "entity": feature.entity}
    if isinstance(feature, Identity):
        return node | {"column": feature.name}
    base = _node(feature.base) if feature.base else None
    if isinstance(feature, Transform):
        return node | {"primitive": feature.primitive.name, "base": base}
    links = (feature.link,) if isinstance(feature, Direct) else feature.path
    path = [[link.parent, link.child, link.foreign_key] for link in links]
    made = {"primitive": feature.primitive.name} if isinstance(feature, Aggregation) else {}
    return node | made | {"base": base, "path": path}
