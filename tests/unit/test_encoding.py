"""The encoder: from a table in the user's columns to a matrix."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton.encoding.native import MAX_LEVELS, OTHER, Encoder
from baton.errors import InputError
from baton.terms import ColumnType

NAN = np.nan


def encoded(train, table):
    """The one column `c`, fitted on some values, of other values."""
    encoder = Encoder.fit(pd.DataFrame({"c": train}))
    return encoder.transform(pd.DataFrame({"c": table}))


def same(found, expected):
    np.testing.assert_array_equal(np.ravel(found), np.asarray(expected, dtype=np.float32))


def test_roles_follow_the_columns_types():
    """Numbers, booleans, datetimes and everything else are told apart, in the table's order."""
    table = pd.DataFrame(
        {
            "n": [1.5, 2],
            "i": pd.array([1, None], dtype="Int64"),
            "b": [True, False],
            "d": pd.to_datetime(["2021-01-01", "2021-01-02"]),
            "c": pd.Categorical(["x", "y"]),
        }
    )
    encoder = Encoder.fit(table)
    assert [column.role for column in encoder.columns] == [
        ColumnType.NUMBER,
        ColumnType.NUMBER,
        ColumnType.FLAG,
        ColumnType.DATETIME,
        ColumnType.CATEGORY,
    ]
    assert encoder.names == ["n", "i", "b", "d (day)", "d (weekday)", "d (days)", "c"]
    assert encoder.sources.tolist() == [0, 1, 2, 3, 3, 3, 4]
    assert encoder.feature_types == ["q"] * 6 + ["c"]


def test_numbers_stay_numbers():
    """Values are float32, missing ones NaN, whatever the numeric type."""
    same(encoded([0.0], pd.array([1, None], dtype="Int64")), [1, NAN])
    same(encoded([0.0], pd.array([1.5, None], dtype="float64[pyarrow]")), [1.5, NAN])
    same(encoded([0.0], [True, False]), [1, 0])


def test_numbers_that_come_as_text_are_numbers():
    """Strings, as an HTTP client may send them, are parsed; what is none is missing."""
    same(encoded([0.0], ["1", " 2 ", "x", "", None]), [1, 2, NAN, NAN, NAN])
    same(encoded([0.0], pd.Categorical(["1", "x"])), [1, NAN])
    same(encoded([0.0], [[1], {}]), [NAN, NAN])


def test_numbers_too_large_for_the_matrix_are_its_limits():
    """Infinity and 1e300 stay greatest and finite: XGBoost refuses infinity."""
    limit = np.finfo(np.float32).max
    same(encoded([0.0], [np.inf, -np.inf, 1e300, -1e300]), [limit, -limit, limit, -limit])


def test_flags_that_come_as_text_are_flags():
    """JSON's true and a client's "true" are one, null is missing."""
    same(encoded([True, False], [True, False, None]), [1, 0, NAN])
    same(encoded([True, False], ["true", "False", "x"]), [1, 0, NAN])
    same(encoded([True, False], pd.array([True, None], dtype="boolean")), [1, NAN])


def test_levels_are_by_frequency_then_name():
    """The same rows in another order give the same codes."""
    levels = Encoder.fit(pd.DataFrame({"c": list("abbccd")})).columns[0].levels
    assert levels == ("b", "c", "a", "d")


def test_unseen_and_missing_categories_are_missing():
    """A level that training did not have is no level, in a string or a categorical column."""
    same(encoded(["a", "a", "b"], ["b", "z", None, "a"]), [1, NAN, NAN, 0])
    same(encoded(["a", "a", "b"], pd.Categorical(["b", "z", None])), [1, NAN, NAN])
    same(encoded(["a", "b"], [["a"], {}]), [NAN, NAN])


def test_categories_of_numbers_survive_json():
    """Beside a null, JSON's 3 arrives as 3.0 and is the level 3 still; and the other way."""
    integers = pd.Categorical([1, 2, 3])
    same(encoded(integers, [1, None, 3]), [0, NAN, 2])
    same(encoded(integers, [1, 3]), [0, 2])
    same(encoded(integers, ["1", "3"]), [0, 2])
    same(encoded(pd.Categorical([1.0, 2.0]), [1, 2]), [0, 1])


def test_rare_levels_become_one():
    """More levels than XGBoost tells apart: the rarest and the unseen share the last code."""
    frequent = [f"level {i:03d}" for i in range(MAX_LEVELS - 1)]
    train = frequent * 2 + ["rare 1", "rare 2"]
    same(encoded(train, ["rare 1", "unseen", None, frequent[0]]), [254, 254, NAN, 0])


def test_a_level_of_that_very_name_does_no_harm():
    """A table that itself says "(other)" is encoded, whether it has many levels or few."""
    many = [f"{i}" for i in range(400)] + [OTHER] * 5
    assert np.nanmax(encoded(many, many)) == MAX_LEVELS - 1
    same(encoded(["a", "a", OTHER], ["a", OTHER]), [0, 1])


def test_parts_of_a_date_that_do_not_vary_are_left_out():
    """Dates without a time have no hour, and always a day number."""
    encoder = Encoder.fit(pd.DataFrame({"d": pd.to_datetime(["2021-01-01", "2021-01-08"])}))
    assert encoder.columns[0].parts == ("day", "days")
    found = encoder.transform(pd.DataFrame({"d": ["1970-01-02", "1970-01-03T12:00:00"]}))
    assert found.tolist() == [[2.0, 1.0], [3.0, 2.5]]


def test_dates_come_in_many_spellings():
    """Text with and without a fraction, a zone, years out of nanoseconds' range, and rubbish."""
    train = pd.to_datetime(["2021-01-01 10:00", "2022-02-02 11:30"])
    rows = ["2021-01-01T00:00:00", "2021-01-01T00:00:00.5", "2021-01-01T02:00+02:00", "1600-01-01"]
    days = encoded(train, [*rows, "x", None])[:, -1]
    same(days, [18628, 18628, 18628, -135140, NAN, NAN])
    zoned = pd.to_datetime(["2021-01-01 02:00"]).tz_localize("Europe/Athens")
    same(encoded(train, zoned)[:, -1], [18628])


def test_a_date_in_a_zone_is_encoded_in_universal_time():
    """Which parts vary is judged by the clock by which they are encoded."""
    times = pd.to_datetime(["2021-01-01 00:00", "2021-07-01 00:00"]).tz_localize("Europe/Berlin")
    assert "hour" in Encoder.fit(pd.DataFrame({"d": times})).columns[0].parts


def test_a_column_without_a_value_is_encoded():
    """Nothing but missing values is a column still, of any type."""
    for values in (
        pd.Categorical([None, None]),
        pd.array([None, None], dtype="Int64"),
        pd.to_datetime([None, None]),
    ):
        assert np.isnan(encoded(values, values)).all()


def test_missing_columns_are_named():
    """A table without a column that the model learned from fails with its name."""
    encoder = Encoder.fit(pd.DataFrame({"a [x]<": [1], "b": [2]}))
    with pytest.raises(InputError, match=r"columns are missing: a \[x\]<"):
        encoder.transform(pd.DataFrame({"b": [1]}))


def test_a_table_without_columns_is_refused():
    """There must be something to learn from."""
    with pytest.raises(InputError, match="no column is left"):
        Encoder.fit(pd.DataFrame(index=[0, 1]))


COLUMNS = st.sampled_from(["number", "flag", "category", "datetime"])
VALUES = {
    "number": st.none() | st.floats(-1e6, 1e6, width=32) | st.integers(-(10**6), 10**6),
    "flag": st.booleans(),
    "category": st.none() | st.text(max_size=4),
    "datetime": st.none() | st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2090-01-01")),
}
TYPES = {
    "number": "float64",
    "flag": "bool",
    "category": "category",
    "datetime": "datetime64[us]",
}


@st.composite
def tables(draw):
    n_rows = draw(st.integers(1, 12))
    kinds = draw(st.lists(COLUMNS, min_size=1, max_size=4))
    columns = {
        f"{kind} {place} [x]<": pd.Series(
            draw(st.lists(VALUES[kind], min_size=n_rows, max_size=n_rows)), dtype=TYPES[kind]
        )
        for place, kind in enumerate(kinds)
    }
    return pd.DataFrame(columns)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_any_table_is_a_finite_or_missing_matrix(table):
    """Shape, type and names agree for any table; missing stays missing, nothing is infinite."""
    encoder = Encoder.fit(table)
    matrix = encoder.transform(table)
    assert matrix.dtype == np.float32
    assert matrix.shape == (len(table), len(encoder.names))
    assert len(encoder.sources) == len(encoder.feature_types) == matrix.shape[1]
    assert not np.isinf(matrix).any()
    missing = table.isna().to_numpy()[:, encoder.sources]
    np.testing.assert_array_equal(np.isnan(matrix), missing)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_the_encoder_travels_as_json(table):
    """Written and read again, the encoder gives the same bits."""
    encoder = Encoder.fit(table)
    again = Encoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(table), encoder.transform(table))


@settings(max_examples=40, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_rows_are_encoded_one_by_one(table, random):
    """A row's numbers depend neither on its neighbours nor on the columns' order."""
    encoder = Encoder.fit(table)
    matrix = encoder.transform(table)
    place = random.randrange(len(table))
    alone = encoder.transform(table.iloc[[place], ::-1])
    np.testing.assert_array_equal(alone[0], matrix[place])


@settings(max_examples=40, deadline=None)
@given(tables())
def test_rows_that_come_as_json_are_the_same_rows(table):
    """A table sent over HTTP as JSON is encoded to the same bits."""
    encoder = Encoder.fit(table)
    sent = table.to_json(orient="records", date_format="iso", date_unit="us", double_precision=15)
    rows = pd.DataFrame(json.load(io.StringIO(sent)), columns=table.columns)
    np.testing.assert_allclose(
        encoder.transform(rows), encoder.transform(table), rtol=1e-6, atol=1e-15
    )


def test_words_for_true_and_false_are_levels_also_where_nothing_else_is_there():
    """A column of true, false and unknown; then a file with true and false alone."""
    train = pd.DataFrame({"c": pd.Categorical(["true", "false", "unknown"] * 3)})
    encoder = Encoder.fit(train)
    new = pd.DataFrame({"c": pd.Categorical(["True", "False"])})
    expected = encoder.transform(pd.DataFrame({"c": pd.Categorical(["true", "false"])}))
    np.testing.assert_array_equal(encoder.transform(new), expected)
