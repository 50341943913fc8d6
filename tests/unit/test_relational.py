"""Plans and values of relational features, beside what featuretools says."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton.errors import InputError
from baton.relational import compute as computing
from baton.relational.columns import described, typed
from baton.relational.compute import compute
from baton.relational.entityset import EntitySet
from baton.relational.integrity import broken_keys, shared_keys
from baton.relational.planner import plan
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.terms import ColumnType
from tests.oracle import case

SHOP = RelationalSchema(
    (
        Entity("customers", "id", (Attribute("city", ColumnType.CATEGORY),)),
        Entity(
            "orders",
            "id",
            (Attribute("day", ColumnType.DATETIME), Attribute("total", ColumnType.NUMBER)),
            "day",
        ),
    ),
    (Relationship("customers", "id", "orders", "customer"),),
)


def shop(orders, customers=("a", "b")):
    """Entity set from (customer, day, total) and the cities of the customers 0, 1, …"""
    start = datetime(2024, 1, 1)
    table = pl.DataFrame(
        [(i, who, start + timedelta(days=day), total) for i, (who, day, total) in orders],
        schema={
            "id": pl.Int64,
            "customer": pl.Int64,
            "day": pl.Datetime("us"),
            "total": pl.Float64,
        },
        orient="row",
    )
    people = pl.DataFrame({"id": range(len(customers)), "city": list(customers)})
    return EntitySet.build(SHOP, {"orders": table, "customers": people})


def values_of(entities, primitives=("count", "sum", "mean", "mode", "std"), depth=2):
    """Features of every order by its id, as of its day."""
    orders = entities.frames["orders"]
    features = plan(SHOP, "orders", primitives, depth)
    rows = pl.Series(range(len(orders)), dtype=pl.UInt32)
    found = compute(entities, features, rows, orders["day"])
    return dict(zip(orders["id"], found.iter_rows(named=True), strict=True))


def test_a_cutoff_is_inclusive_and_nothing_later_counts():
    """Two orders of one day see each other; the one before sees neither."""
    found = values_of(shop(list(enumerate([(0, 0, 1.0), (0, 5, 2.0), (0, 5, 4.0), (1, 9, 8.0)]))))
    assert [found[i]["customers.SUM(orders.total)"] for i in range(4)] == [1, 7, 7, 8]


orders_of_shop = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.none() | st.floats(-9, 9, allow_nan=False)),
    min_size=1,
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(before=orders_of_shop, after=orders_of_shop, cut=st.integers(0, 12))
def test_what_comes_after_changes_nothing(before, after, cut):
    """Whatever is added, changed or taken away after an order's day, its features stay."""
    past = [(i, order) for i, order in enumerate(before) if order[1] <= cut]
    future = [(i, order) for i, order in enumerate(before) if order[1] > cut]
    other = [(i + 100, order) for i, order in enumerate(after) if order[1] > cut]
    primitives = ("count", "sum", "mean", "std", "skew", "last", "time_since_last", "mode", "month")
    was = values_of(shop(past + future), primitives, depth=3)
    will = values_of(shop(past + other), primitives, depth=3)
    for number, _ in past:
        assert was[number] == pytest.approx(will[number], nan_ok=True)


def test_no_feature_of_the_whole_case_sees_the_future():
    """All primitives, paths and depths: dropping what is later leaves the earlier rows alone."""
    entities = case.entities()
    features = case.features()
    frame = entities.frames["orders"]
    half = frame["ordered"].sort()[len(frame) // 2]
    tables = case.tables()
    tables["orders"] = tables["orders"].filter(pl.col("ordered") <= half)
    past = EntitySet.build(case.SCHEMA, tables)
    rows = pl.Series(range(len(past.frames["orders"])))
    names = [f.name for f in features if "lines" not in f.name]  # lines have no date here
    kept = [f for f in features if f.name in names]
    cutoffs = past.frames["orders"]["ordered"]
    assert compute(past, kept, rows, cutoffs).equals(compute(entities, kept, rows, cutoffs))


def test_batches_change_no_value(monkeypatch):
    """Memory is bounded by portions; small ones give the same."""
    entities = case.entities()
    frame = entities.frames["orders"]
    rows = pl.Series(range(len(frame)))
    whole = compute(entities, case.features(), rows, frame["ordered"])
    monkeypatch.setattr(computing, "BATCH", 60)
    assert compute(entities, case.features(), rows, frame["ordered"]).equals(whole)


def test_rows_come_in_the_order_they_are_asked_for():
    """Twice the same row, too."""
    entities = shop(list(enumerate([(0, 0, 1.0), (1, 5, 2.0)])))
    features = plan(SHOP, "orders", ("sum",), 2)
    days = entities.frames["orders"]["day"]
    rows = pl.Series([1, 0, 1])
    found = compute(entities, features, rows, days.gather(rows))
    assert found["total"].to_list() == [2, 1, 2]


def test_broken_keys_are_told_and_their_rows_kept():
    """What the missing parent would tell is missing; the sentence counts rows and keys."""
    entities = shop(list(enumerate([(0, 0, 1.0), (7, 5, 2.0), (7, 6, 2.0)])))
    found = values_of(entities)
    assert found[1]["customers.city"] is None
    assert found[1]["customers.COUNT(orders)"] is None
    assert found[1]["total"] == 2
    assert list(broken_keys(entities)) == [
        "2 rows of orders name a customer that customers does not have (1 key);"
        " they are kept, and what their parent would tell is missing."
    ]


def test_a_key_that_two_rows_share_counts_once():
    """No order is doubled by it."""
    frames = shop([(0, (0, 0, 1.0))]).frames
    twice = pl.concat([frames["customers"], frames["customers"]])
    entities = EntitySet.build(SHOP, {**frames, "customers": twice})
    assert len(values_of(entities)) == 1
    assert "2 rows more than values of id" in next(iter(shared_keys(entities)))


def test_keys_of_different_types_are_one():
    """A whole column with gaps comes as floats; a database without types as text."""
    frames = shop([(0, (1, 0, 1.0))]).frames
    for kind in (pl.Float64, pl.String):
        orders = frames["orders"].with_columns(pl.col("customer").cast(pl.Int64).cast(kind))
        entities = EntitySet.build(SHOP, {**frames, "orders": orders})
        assert values_of(entities)[0]["customers.city"] == "b"


def test_the_simplest_features_come_first():
    """A cap keeps what is least stacked."""
    every = plan(case.SCHEMA, "orders", case.PRIMITIVES, 3)
    depths = [f.depth for f in every]
    assert depths == sorted(depths)
    assert plan(case.SCHEMA, "orders", case.PRIMITIVES, 3, max_features=10) == every[:10]
    assert len({f.name for f in every}) == len(every)


def test_depth_nothing_is_the_columns_themselves():
    """Dates are no features, their parts are."""
    assert [f.name for f in plan(SHOP, "orders", ("count", "month"), 0)] == ["total"]
    assert "MONTH(day)" in [f.name for f in plan(SHOP, "orders", ("count", "month"), 1)]


def test_an_unknown_primitive_is_refused_with_the_known_ones():
    """One line."""
    with pytest.raises(InputError, match="unknown primitive 'avg'; there are: count, sum"):
        plan(SHOP, "orders", ("avg",), 2)


def test_tables_that_refer_to_each_other_end():
    """A cycle of keys is no endless plan, nor is a table that refers to itself."""
    round_about = RelationalSchema(
        (Entity("a", "id", (Attribute("x", ColumnType.NUMBER),)), Entity("b", "id")),
        (
            Relationship("a", "id", "b", "a_id"),
            Relationship("b", "id", "a", "b_id"),
            Relationship("a", "id", "a", "boss_id"),
        ),
    )
    names = [f.name for f in plan(round_about, "a", ("sum", "count"), 3)]
    assert "COUNT(b)" in names
    assert len(set(names)) == len(names)


def test_a_table_or_column_that_is_not_there_is_named():
    """With what there is."""
    with pytest.raises(InputError, match=r"table 'customers' is missing; there are: orders"):
        EntitySet.build(SHOP, {"orders": shop([(0, (0, 0, 1.0))]).frames["orders"]})
    with pytest.raises(InputError, match=r"table 'customers' has no column 'id'; it has: x"):
        EntitySet.build(
            SHOP,
            {**shop([(0, (0, 0, 1.0))]).frames, "customers": pl.DataFrame({"x": [1]})},
        )
    with pytest.raises(InputError, match=r"names 'c'; the tables are: a"):
        RelationalSchema((Entity("a", "id"),), (Relationship("c", "id", "a", "c_id"),))


def test_columns_are_read_by_their_values_and_names():
    """SQLite knows neither dates nor flags, and ids are no numbers."""
    table = typed(
        pl.DataFrame(
            {
                "day": ["2024-01-31", None],
                "moment": ["2024-01-31 10:00:00", "2024-01-31 10:00:00.5"],
                "note": ["2024-13-45", "x"],
                "StoreID": [3, None],
                "OnlineOrderFlag": [0, 1],
                "quantity": [0, 1],
                "nothing": [None, None],
                "ratio": [1.0, float("nan")],
            }
        )
    )
    kinds = {c.name: c.type.value for c in described(table, set())}
    assert kinds == {
        "day": "datetime",
        "moment": "datetime",
        "note": "category",
        "StoreID": "category",
        "OnlineOrderFlag": "flag",
        "quantity": "number",
        "ratio": "number",
    }
    assert table["ratio"].null_count() == 1
