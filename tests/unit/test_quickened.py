"""Aggregates that arrays make, beside those that expressions make."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton.relational import compute as computing
from baton.relational import quickened
from baton.relational.compute import compute
from baton.relational.entityset import EntitySet
from baton.relational.planner import plan
from baton.relational.primitives import AGGREGATIONS
from baton.relational.schema import Attribute, Entity, RelationalSchema, Relationship
from baton.settings import settings as baton_settings
from baton.terms import ColumnType

pytestmark = pytest.mark.usefixtures("fast_paths")

START = datetime(2024, 1, 1)
COLUMNS = {
    "day": pl.Datetime("us"),
    "amount": pl.Float64,
    "pieces": pl.Int64,
    "is_gift": pl.Boolean,
    "color": pl.String,
}
KINDS = (
    ColumnType.DATETIME,
    ColumnType.NUMBER,
    ColumnType.NUMBER,
    ColumnType.FLAG,
    ColumnType.CATEGORY,
)


def schema_of(*, is_dated):
    """Owners and what they have, known from a day on, or always."""
    columns = tuple(Attribute(*pair) for pair in zip(COLUMNS, KINDS, strict=True))
    things = Entity("things", "id", columns, "day" if is_dated else None)
    link = Relationship("owners", "id", "things", "owner")
    return RelationalSchema((Entity("owners", "id"), things), (link,))


def entities_of(things, n_owners=3, *, is_dated=True):
    """Entity set of rows of (owner, day, amount, pieces, is_gift, color)."""
    rows = [(who, None if day is None else START + timedelta(day), *of) for who, day, *of in things]
    table = pl.DataFrame(rows, schema={"owner": pl.Int64} | COLUMNS, orient="row")
    owners = pl.DataFrame({"id": range(n_owners)}, schema={"id": pl.Int64})
    frames = {"owners": owners, "things": table.with_row_index("id")}
    return EntitySet.build(schema_of(is_dated=is_dated), frames)


def values_of(entities, asked):
    """All aggregates of pairs of an owner and a day."""
    features = plan(entities.schema, "owners", tuple(AGGREGATIONS), 1)
    rows = pl.Series([who for who, _ in asked], dtype=pl.UInt32)
    cutoffs = [None if day is None else START + timedelta(day) for _, day in asked]
    return compute(entities, features, rows, pl.Series(cutoffs, dtype=pl.Datetime("us")))


def both_ways(entities, asked):
    """Values by arrays and by expressions."""
    quick = values_of(entities, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATON_FAST", "0")
        baton_settings.cache_clear()
        slow = values_of(entities, asked)
    baton_settings.cache_clear()
    return quick, slow


def agree(quick, slow):
    """Same names and types; same values, but for rounding."""
    assert quick.schema == slow.schema
    for name, kind in quick.schema.items():
        found, wanted = quick[name], slow[name]
        assert found.is_null().equals(wanted.is_null()), name
        if kind == pl.Float64:
            wanted = pytest.approx(wanted.drop_nulls().to_list(), rel=1e-7, abs=1e-9, nan_ok=True)
            assert found.drop_nulls().to_list() == wanted, name
        else:
            assert found.equals(wanted), name
    return True


days = st.none() | st.integers(0, 9)
things = st.tuples(
    st.integers(0, 3),  # an owner that there is not, too
    days,
    st.none() | st.sampled_from([0.1, 0.25, -3.0, 7.5]) | st.floats(-9, 9, allow_nan=False),
    st.none() | st.integers(-5, 5),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["red", "blue", "ä", ""]),
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(things, max_size=40),
    asked=st.lists(st.tuples(st.integers(0, 2), days), max_size=8),
    is_dated=st.booleans(),
)
def test_arrays_say_what_expressions_say(rows, asked, is_dated):
    """Of all primitives: gaps, ties, rows without a date or an owner, nothing at all."""
    assert agree(*both_ways(entities_of(rows, is_dated=is_dated), asked))


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(things, min_size=30, max_size=60), most=st.integers(1, 20))
def test_portions_change_no_value(rows, most):
    """Memory is bounded by portions of rows; small ones give the same to the last bit."""
    entities = entities_of(rows)
    asked = [(who, day) for who in range(3) for day in range(0, 9, 2)]
    whole = values_of(entities, asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(computing, "BATCH", most)
        assert values_of(entities, asked).equals(whole)


@pytest.fixture
def by_arrays(monkeypatch):
    """Features that arrays made."""
    seen = []
    values = quickened.Quick.values

    def noting(self, features):
        found = values(self, features)
        seen.extend(found)
        return found

    monkeypatch.setattr(quickened.Quick, "values", noting)
    return seen


def test_arrays_make_what_is_one_step_away(by_arrays, monkeypatch):
    """Dates, numbers, flags and categories; BATON_FAST=0 leaves all to expressions."""
    entities = entities_of([(0, 1, 2.0, 3, True, "red")] * 3)
    assert sorted(values_of(entities, [(0, 5)]).columns) == sorted(by_arrays)
    assert len(by_arrays) == 23
    by_arrays.clear()
    monkeypatch.setenv("BATON_FAST", "0")
    baton_settings.cache_clear()
    values_of(entities, [(0, 5)])
    baton_settings.cache_clear()
    assert not by_arrays


@pytest.mark.parametrize(
    ("amount", "pieces", "left"),
    [(float("inf"), 1, "amount"), (1e80, 1, "amount"), (1.0, 2**60, "pieces")],
)
def test_what_would_not_be_exact_is_left_to_expressions(amount, pieces, left, by_arrays):
    """Infinity, numbers whose cubes overflow, whole numbers that no fraction holds."""
    entities = entities_of([(0, 1, amount, pieces, True, "red"), (0, 2, 1.0, 1, None, "red")])
    assert agree(*both_ways(entities, [(0, 5), (0, 1)]))
    assert not [name for name in by_arrays if f"things.{left}" in name and "LAST" not in name]
    assert by_arrays
