"""The form by which a person gives a model one row, and the row that comes of it."""

import pandas as pd
import pyarrow as pa
import pytest

from baton.showing.asked import MOST_LEVELS, CellsError, fields_of, row_of, step_of, typed

ROWS = pd.DataFrame(
    {
        "size": [1.5, 2.25, None, 9.0] * 30,
        "count": [0, 10, 20, 30] * 30,
        "is_new": [True, False] * 60,
        "colour": ["red", "red", "blue", None] * 30,
        "day": ["2024-01-01", "2024-02-01"] * 60,
        "at": pd.to_datetime(["2024-01-01 10:00", "2024-01-02 12:30"] * 60),
        "note": [
            f"a long text about many things, which nobody else writes so {n}" for n in range(120)
        ],
        "code": [f"c{n % 110}" for n in range(120)],
    }
)


def fields(**row):
    return {one.name: one for one in fields_of(ROWS, row)}


def test_a_field_is_as_its_column_is():
    """Numbers have the range and a step, categories their values, the rest says what it held."""
    found = fields(size=2.25, colour="blue", at=ROWS["at"][0])
    assert [one.kind for one in found.values()] == [
        *("number", "number", "flag", "category", "category", "datetime", "prose", "text")
    ]
    assert (found["size"].hint, found["size"].value) == ("1.5 to 9 or missing", "2.25")
    assert (found["count"].hint, found["count"].step) == ("0 to 30", "1")
    assert found["colour"].levels == ("red", "blue") and found["colour"].is_every
    assert found["at"].value == "2024-01-01T10:00:00"
    assert found["code"].hint == "110 values, such as 'c0', 'c1', 'c2'"
    assert found["note"].value == ""


def test_many_days_are_dates_and_many_values_are_suggested():
    """Up to so many are listed; of those that come again the most frequent ones."""
    days = pd.Series(pd.date_range("2020-01-01", periods=MOST_LEVELS + 1).strftime("%Y-%m-%d"))
    names = pd.Series([f"n{n}" for n in range(MOST_LEVELS + 1)] * 3)
    (day,) = fields_of(days.to_frame("day"), {"day": days[0]})
    (name,) = fields_of(names.to_frame("name"), {})
    assert (day.kind, day.value, day.hint) == ("date", "2020-01-01", "2020-01-01 to 2020-04-10")
    assert (name.kind, len(name.levels), name.is_every) == ("text", MOST_LEVELS, False)


def test_a_column_of_nothing_has_a_field():
    """It says so."""
    nothing = pd.DataFrame({"a": pd.Series([None, None], dtype=float), "b": [None, None]})
    assert [one.hint for one in fields_of(nothing, {})] == ["always missing"] * 2


@pytest.mark.parametrize(
    ("low", "high", "is_whole", "step"),
    [(0, 1, False, "0.01"), (0, 100, False, "1"), (0, 10**9, True, "10000000"), (0, 3, True, "1")],
)
def test_some_hundred_steps_lead_from_end_to_end(low, high, is_whole, step):
    """A power of ten, and no part of what is whole."""
    assert step_of(low, high, is_whole=is_whole) == step


SCHEMA = pa.schema(
    {
        "x": pa.float64(),
        "n": pa.int64(),
        "flag": pa.bool_(),
        "at": pa.timestamp("us"),
        "lasted": pa.duration("us"),
        "name": pa.string(),
    }
)


def test_what_stands_in_a_form_is_the_row_again():
    """Each value as it is typed comes back as it was, a missing one too."""
    row = pd.DataFrame(
        {
            "x": [0.1],
            "n": [2**53 + 1],
            "flag": [False],
            "at": pd.to_datetime(["2024-05-06 07:08:09"]).astype("datetime64[us]"),
            "lasted": pd.to_timedelta(["0 days 00:01:30"]).astype("timedelta64[us]"),
            "name": ["Anna  O'Neil"],
        }
    )
    cells = {name: typed(row[name][0]) for name in row}
    assert row_of(cells, SCHEMA).cast(SCHEMA).to_pylist() == row.to_dict("records")
    assert row_of({}, SCHEMA).to_pylist() == [dict.fromkeys(SCHEMA.names)]


def test_a_part_of_a_whole_number_is_kept():
    """Where the column held whole numbers alone, too."""
    assert row_of({"n": "2.5"}, SCHEMA)["n"].to_pylist() == [2.5]


def test_what_is_no_such_value_is_said_by_column():
    """All at once, the others are not read."""
    cells = {"x": "1,5", "n": "inf", "flag": "perhaps", "at": "soon", "lasted": "long", "name": "a"}
    with pytest.raises(CellsError) as refused:
        row_of(cells, SCHEMA)
    assert refused.value.wrong == {
        "x": "'1,5' is no number",
        "n": "'inf' is no number",
        "flag": "'perhaps' is no yes or no",
        "at": "'soon' is no date",
        "lasted": "'long' is no such value",
    }
