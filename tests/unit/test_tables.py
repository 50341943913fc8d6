"""Reading table files and inferring what their columns are for."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton.errors import InputError
from baton.tables.features import build
from baton.tables.inference import infer
from baton.tables.reading import read
from baton.tables.roles import Role
from baton.tables.source import describe
from baton.terms import ROW, SPLIT, Kind


@pytest.fixture
def written(tmp_path):
    def write(content, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture
def loaded(written):
    return lambda *args, **kwargs: read([describe(written(*args, **kwargs))])


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def column(values, name="a", **kwargs):
    """A column's inferred role in a table that has a sound target."""
    raw = pd.DataFrame({name: values})
    raw["y"] = np.arange(len(raw)) + 0.5
    return next(c for c in infer(raw, "y", **kwargs).columns if c.name == name)


def feature(values, name="a"):
    raw = pd.DataFrame({name: values})
    raw["y"] = np.arange(len(raw)) + 0.5
    return build(raw, infer(raw, "y"))[name]


# reading


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_spite_of_quoted_fields(loaded, delimiter):
    """Commas, semicolons, quotes and line ends inside quoted fields do not mislead the sniffer."""
    cell = '"x, y; ""z""\n|\tw"'
    text = delimiter.join(["a", "b", "c"]) + "\n" + (delimiter.join(["1", cell, "2"]) + "\n") * 5
    raw = loaded(text)
    assert list(raw.columns) == ["a", "b", "c"]
    assert raw["b"].tolist() == ['x, y; "z"\n|\tw'] * 5
    assert raw["a"].dtype == "int64"


def test_one_column_is_a_table(loaded):
    """A file without any delimiter has one column."""
    assert loaded("a\n1\n2\n").to_dict("list") == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv.bz2", bz2.compress),
        ("t.csv.xz", lzma.compress),
        ("no_suffix", gzip.compress),
        ("t.csv.gz", bytes),
        ("t.parquet", bytes),
    ],
)
def test_compression_is_told_by_content(loaded, name, packed):
    """What the bytes are decides, not what the file is called."""
    assert loaded(packed(b"a,b\n1,2\n"), name).to_dict("list") == {"a": [1], "b": [2]}


def test_a_zip_of_one_csv_is_read_and_of_two_refused(tmp_path):
    """A zip file needs to hold one table; what macOS adds does not count."""
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
        archive.writestr("__MACOSX/._a.csv", "x")
    assert read([describe(path)])["b"].tolist() == [2]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.csv", "a,b\n1,2\n")
    with pytest.raises(InputError, match="holds 2 files"):
        describe(path)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "städte,n\nKöln,1\nMünchen,2\n"),
        ("utf-8-sig", "städte,n\nKöln,1\nMünchen,2\n"),
        ("utf-16", "städte,n\nKöln,1\nMünchen,2\n"),
        ("cp1252", "städte,n\nKöln,1\nMünchen,2\n"),
        ("latin-1", "städte,n\nKöln,1\nMünchen,2\n"),
    ],
)
def test_encodings(loaded, encoding, text):
    """Names and values come out right in Unicode with or without mark, and in Western encodings."""
    raw = loaded(text, encoding=encoding)
    assert raw.to_dict("list") == {"städte": ["Köln", "München"], "n": [1, 2]}


def test_cyrillic_is_guessed(loaded):
    """A file that is neither UTF-8 nor Western is guessed, and the guess is noted."""
    lines = [f"Привет из города Москва, дом номер {i};{i}" for i in range(30)]
    raw = loaded("название;n\n" + "\n".join(lines), encoding="cp1251")
    assert raw.columns[0] == "название"
    assert raw.iloc[0, 0].startswith("Привет из города")
    assert "not UTF-8" in raw.attrs["notes"][0]


def test_an_accent_far_down_the_file(loaded):
    """Bytes that are not UTF-8 are met even if the head of the file is plain ASCII."""
    text = "name,n\n" + "Koeln,1\n" * 200_000 + "Köln,2\n"
    raw = loaded(text, encoding="cp1252")
    assert raw["name"].iloc[-1] == "Köln"


def test_types_are_told_from_all_values(loaded):
    """A column is a number only if its very last value is one too."""
    n = 300_000
    raw = loaded("a,b,c\n" + "1,1,1\n" * n + "1.5,x,2\n")
    assert raw.dtypes.astype(str).tolist() == ["float64", "str", "int64"]


def test_plain_types(loaded):
    """Integers, fractions, booleans, ISO dates and zoned times get their types."""
    raw = loaded(
        "i,f,b,d,z,s\n1,1e3,true,2020-01-31,2020-01-31T12:00:00+02:00,x\n"
        " 2 ,,False,2020-02-01 10:00,2020-01-31T12:00:00Z, y \n"
    )
    kinds = [dtype.kind for dtype in raw.dtypes[:-1]]
    assert kinds == ["i", "f", "b", "M", "M"]
    assert raw["z"].tolist() == [pd.Timestamp("2020-01-31 10:00"), pd.Timestamp("2020-01-31 12:00")]
    assert raw["s"].tolist() == ["x", "y"]


def test_missing_values(loaded):
    """Blank fields and the usual tokens are missing; None and - are so only among numbers."""
    raw = loaded("a,b,c,d\nNA,x,?,-\n  ,None,1,1.5\nnull,-,3,None\n7,z,NaN,2\n")
    assert raw["a"].isna().tolist() == [True, True, True, False]
    assert raw["b"].tolist() == ["x", "None", "-", "z"]
    assert raw["c"].isna().tolist() == [True, False, False, True]
    raw["y"] = [0.5, 1.5, 2.5, 3.5]
    table = build(raw, infer(raw, "y"))
    assert table["d"].isna().tolist() == [True, False, True, False]
    assert table["d"].dtype == "float64"


def test_decimal_commas(loaded):
    """A semicolon file with decimal commas gives numbers, with grouping dots too, and says so."""
    raw = loaded("a;b;c;d\n1,5;1.234,5;1.000;31.12.2020\n-0,25;12;2.000;1.2.2020\n")
    assert raw["a"].tolist() == [1.5, -0.25]
    assert raw["b"].tolist() == [1234.5, 12.0]
    assert raw["c"].tolist() == [1000, 2000]
    assert "decimal commas" in raw.attrs["notes"][0]


def test_ambiguous_commas_stay_text(loaded):
    """1,234 in a semicolon file may be either, so reading leaves it alone."""
    raw = loaded("a;b\n1,234;x\n2,345;y\n")
    assert raw["a"].tolist() == ["1,234", "2,345"]


def test_codes_keep_their_leading_zeros(loaded):
    """Digits of one width with leading zeros are codes; of different widths they are numbers."""
    raw = loaded("zip,n,h\n01234,01,0x1F\n10001,2,0x2A\n")
    assert raw["zip"].tolist() == ["01234", "10001"]
    assert raw["n"].tolist() == [1, 2]
    assert raw["h"].tolist() == ["0x1F", "0x2A"]


def test_large_integers(loaded):
    """Integers beyond 64 bits become fractions, those within stay exact."""
    raw = loaded("a,b\n9223372036854775807,99999999999999999999\n1,2\n")
    assert raw["a"].tolist() == [9223372036854775807, 1]
    assert raw["b"].tolist() == [1e20, 2.0]


def test_excels_separator_line_and_blank_lines_above(loaded):
    """`sep=;` and blank lines above the header are no data, wherever they stand."""
    assert loaded("\nsep=;\r\na;b\r\n1;2\r\n\r\n").to_dict("list") == {"a": [1], "b": [2]}


def test_nameless_columns_get_names(loaded):
    """A nameless column is called as pandas calls it."""
    assert list(loaded(",a,\n0,5,x\n1,6,y\n").columns) == ["Unnamed: 0", "a", "Unnamed: 2"]


def test_wide_rows_and_long_fields(loaded):
    """Fields longer than a megabyte and thousands of columns are read."""
    names = ",".join(f"c{i}" for i in range(3000))
    assert loaded(names + "\n" + ",".join(["1"] * 3000) + "\n").shape == (1, 3000)
    assert loaded("a,b\n1,x\n2," + "y" * 3_000_000 + "\n")["b"].str.len().tolist() == [1, 3_000_000]


def test_parquet_types(tmp_path):
    """Every flat type of Parquet becomes a number, a boolean, text, a date or a duration."""
    path = parquet(
        tmp_path / "t.parquet",
        dictionary=pa.array(["x", None]).dictionary_encode(),
        decimal=pa.array([Decimal("1.25"), None]),
        zoned=pa.array([datetime(2019, 12, 31, 23), None], pa.timestamp("ns", "Europe/Berlin")),
        day=pa.array([date(9999, 12, 31), None]),
        time=pa.array([time(1, 0, 1), None]),
        duration=pa.array([timedelta(minutes=1), None]),
        text=pa.array(["x", None], pa.large_string()),
        flag=pa.array([True, None]),
        nothing=pa.nulls(2),
        count=pa.array([1, None], pa.int64()),
        half=pa.array(np.array([1, 2], np.float16)),
        **{"a.b [km] é": pa.array([1, 2], pa.uint8())},
    )
    raw = read([describe(path)])
    assert raw["decimal"].iloc[0] == 1.25
    assert raw["zoned"].iloc[0] == pd.Timestamp("2019-12-31 23:00")
    assert raw["day"].dtype == raw["zoned"].dtype == "datetime64[us]"
    assert raw["time"].iloc[0] == pd.Timedelta(hours=1, seconds=1)
    assert raw["count"].dtype == raw["nothing"].dtype == "float64"
    assert raw["dictionary"].tolist()[0] == raw["text"].tolist()[0] == "x"
    assert raw["a.b [km] é"].tolist() == [1, 2]


def test_nested_and_binary_columns_are_left_out_with_a_note(tmp_path):
    """Lists, structs, maps and bytes cannot be learnt from, and that is said."""
    path = parquet(
        tmp_path / "t.parquet",
        a=pa.array([[1], [2]]),
        b=pa.array([{"x": 1}, None]),
        c=pa.array([b"x", b"y"]),
        d=pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        n=pa.array([1, 2]),
    )
    raw = read([describe(path)])
    assert list(raw.columns) == ["n"]
    assert len(raw.attrs["notes"]) == 4


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_text_in_parquet_that_is_not_utf8_is_named(tmp_path, is_dictionary):
    """The file says that it is text, and its bytes are not: the column is named."""
    ends = np.array([0, 1, 3], dtype=np.int32)
    text = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"a\xff\xfe")]
    )
    column = text.dictionary_encode() if is_dictionary else text
    path = parquet(tmp_path / "t.parquet", a=pa.array([1.0, 2.0]), b=column)
    with pytest.raises(InputError, match=r"t.parquet as Parquet: column 'b': .*UTF8"):
        read([describe(path)])


def test_pandas_indices_in_parquet(tmp_path):
    """A range index vanishes, a named one is a column, a nameless filtered one is dropped."""
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [3.0, 1.0, 2.0], "y": [0.1, 0.2, 0.3]})
    frame.to_parquet(path)
    assert list(read([describe(path)]).columns) == ["a", "y"]
    frame.rename_axis("day").to_parquet(path, index=True)
    assert "day" in read([describe(path)])
    frame.iloc[[2, 0, 1]].to_parquet(path)
    raw = read([describe(path)])
    assert list(build(raw, infer(raw, "y")).columns) == [ROW, "a", "y"]


def test_column_names_that_are_numbers(tmp_path):
    """Integer names come out as text."""
    path = tmp_path / "t.parquet"
    pd.DataFrame({0: [1.0, 2.0], 1: [1.5, 2.0]}).to_parquet(path)
    assert list(read([describe(path)]).columns) == ["0", "1"]


def test_two_files_are_one_table_and_typed_together(written):
    """Rows of the test file follow, are marked, and a code keeps its zeros in both."""
    train = describe(written("code,y\n01234,1\n12345,2\n", "a.csv"))
    test = describe(written("y;extra;code\n3;9;99999\n", "b.csv"))
    raw = read([train], [test])
    assert raw["code"].tolist() == ["01234", "12345", "99999"]
    assert raw[SPLIT].tolist() == ["train", "train", "test"]
    assert raw.attrs["notes"] == ["ignored 'extra': only in b.csv"]


def test_files_that_disagree_are_refused(tmp_path):
    """A number in one Parquet file and text in the other is named."""
    train = describe(parquet(tmp_path / "a.parquet", a=pa.array([1]), b=pa.array([1])))
    test = describe(parquet(tmp_path / "b.parquet", a=pa.array([1.5]), b=pa.array(["x"])))
    with pytest.raises(InputError, match=r"'b' is int64 in a.parquet and string in b.parquet"):
        read([train], [test])


def test_an_empty_column_agrees_with_any(tmp_path):
    """A column without values in one file takes the other's type."""
    train = describe(parquet(tmp_path / "a.parquet", a=pa.array(["x"]), b=pa.nulls(1)))
    test = describe(parquet(tmp_path / "b.parquet", a=pa.nulls(1), b=pa.array(["x"])))
    assert read([train], [test])["b"].tolist()[1] == "x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,b,a,c,b\n1,2,3,4,5\n", "more than one column named 'a', 'b'"),
        (b"_row,b\n1,2\n", "'_row', a name Baton keeps"),
        (b"PAR1 but not really", "as Parquet"),
        (b"\x1f\x8bbroken", "as a table"),
        (b"\x89PNG\0\0", "neither text nor a table file"),
        (b'{\n"a": 1}', "looks like JSON"),
        (b'[\n{"a": 1}]', "looks like JSON"),
    ],
)
def test_files_that_are_no_tables_are_refused(written, content, message):
    """Each unusable file gives one line with the fact and a fix."""
    with pytest.raises(InputError, match=message) as caught:
        describe(written(content))
    assert "\n" not in str(caught.value)


def test_missing_files_and_directories_are_refused(tmp_path):
    """A misspelt file name is answered with the nearest one."""
    (tmp_path / "wine.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"did you mean wine\.csv\?"):
        describe(tmp_path / "wine.cvs")
    with pytest.raises(InputError, match="is a directory"):
        describe(tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields and the header 2"),
        ("a,b\n1,2\n1\n", "line 3 has 1 field and"),
        ('a,b\n"x\ny",2\n\n1,2,3\n', "line 5 has 3 fields"),
        ("sep=,\na,b\n1,2\n1,2,3\n", "line 4 has 3 fields"),
    ],
)
def test_ragged_rows_are_refused_by_line(loaded, text, line):
    """A row of the wrong length is named by its line in the file."""
    with pytest.raises(InputError, match=line):
        loaded(text)


def test_an_open_quote_is_refused(loaded):
    """A quote that never ends gives one line, no traceback."""
    with pytest.raises(InputError) as caught:
        loaded('a,b\n1,2\n"3,4\n' + "5,6\n" * 100_000)
    assert "\n" not in str(caught.value)


def test_a_truncated_parquet_file_is_refused(tmp_path):
    """Half a Parquet file is unreadable."""
    path = parquet(tmp_path / "t.parquet", a=pa.array(range(1000)))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="as Parquet"):
        describe(path)


# what columns are for


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,234", "12", "5.5"], [1234, 12, 5.5]),
        (["12%", " 5 ", "$3"], [12, 5, 3]),
        (["-$1,000.50", "€ 7", "-"], [-1000.5, 7, np.nan]),
        (["1.234,5", "0,5", "12"], [1234.5, 0.5, 12]),
        (["0,5", "0,25", "12"], [0.5, 0.25, 12]),
        (["1e3", "0.5", ".5"], [1000, 0.5, 0.5]),
        (["1"] * 19 + ["abc"], [1] * 19 + [np.nan]),
    ],
)
def test_dirty_numbers(values, expected):
    """Group separators, currency, per cent, blanks and a few strays do not hide a number."""
    np.testing.assert_allclose(feature(values), expected)


def test_strays_are_noted():
    """The values that a reading as numbers loses are counted and shown."""
    note = column([str(i) for i in range(20)] + ["abc"]).note
    assert note == "is read as numbers: '0' as 0; 1 value such as 'abc' taken as missing"


@pytest.mark.parametrize(
    "values",
    [
        ["1.2.3", "1.2.4", "2.0.0"],
        ["01234", "02345", "12345"],
        ["A1", "B2", "3"],
        ["555-1234", "555-9876", "555-1111"],
        ["1-2", "3-4", "5-6"],
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        ["yes", "no", "yes"],
        ["1,2", "1,2,3", "4"],
        ["12:99", "1:2:3", "x"],
        ["2020-13", "2020-14", "2020-15"],
        ["Mar 5", "May 6", "Jun 7"],
    ],
)
def test_what_only_looks_like_numbers_or_dates_stays_text(values):
    """Versions, codes, phone numbers, addresses and lists stay categories."""
    assert column(values * 5).role is Role.CATEGORY


@pytest.mark.parametrize(
    ("values", "first"),
    [
        (["31/12/2020", "01/02/2020"], "2020-12-31"),
        (["12/31/2020", "01/02/2020"], "2020-12-31"),
        (["31.12.2020", "1.2.2020"], "2020-12-31"),
        (["31.12.2020 23:59", "1.2.2020 00:00"], "2020-12-31 23:59"),
        (["12/31/2020 11:59 PM", "01/02/2020 1:00 AM"], "2020-12-31 23:59"),
        (["12/31/20", "01/02/20"], "2020-12-31"),
        (["Dec 31, 2020", "Jan 1, 2020"], "2020-12-31"),
        (["31-Dec-2020", "01-Jan-2020"], "2020-12-31"),
        (["31 December 2020", "1 January 2020"], "2020-12-31"),
        (["2020/12/31", "2020/1/1"], "2020-12-31"),
        (["2020-12", "2020-01"], "2020-12-01"),
        (["2020-12-31T12:00:00+02:00", "2020-01-01"], "2020-12-31 10:00"),
        (["2020-12-31 12:00:00.123456789", "-"], "2020-12-31 12:00:00.123456"),
    ],
)
def test_dates(values, first):
    """Text that is dates becomes naive timestamps, whatever their common format."""
    dates = feature(values * 3)
    assert dates.dtype == "datetime64[us]"
    assert dates[0] == pd.Timestamp(first)


def test_an_ambiguous_order_of_day_and_month_is_noted():
    """If both orders fit, the note says which was taken."""
    assert "month first, though" in column(["1/2/2020", "3/4/2020"] * 3).note


def test_times_of_day_are_seconds():
    """12:30 is 45 000 seconds."""
    assert feature(["12:30", "00:00:01", "01:00"] * 2).tolist()[:2] == [45_000, 1]


def test_durations_are_seconds():
    """A duration is counted in seconds, and that is said."""
    values = pd.to_timedelta(["1min", "2min", None])
    np.testing.assert_allclose(feature(values), [60, 120, np.nan])
    assert column(values).note == "is counted in seconds"


@pytest.mark.parametrize(
    ("values", "name", "why"),
    [
        (["x"] * 20, "a", "the same value in every row"),
        ([1] * 20, "a", "the same value in every row"),
        ([True] * 20, "a", "the same value in every row"),
        ([np.nan] * 20, "a", "no values"),
        ([None, " "] * 10, "a", "no values"),
        (pd.to_datetime(["2020-01-01"] * 20), "a", "the same value in every row"),
        ([f"u{i}" for i in range(20)], "a", "text, and every value is different"),
        ([f"u{i}" for i in range(99)] + ["u0"], "a", "text, and nearly every value is different"),
        (range(20), "Unnamed: 0", "a row number or id: every value is different"),
        (range(20), "customer_id", "a row number or id: every value is different"),
        (range(20), "CustomerID", "a row number or id: every value is different"),
        ([[1], [2]] * 10, "a", "neither a number, a date nor text"),
    ],
)
def test_useless_columns_are_dropped_with_a_reason(values, name, why):
    """Constants, empty columns, ids and free text are dropped, and the reason is given."""
    raw = pd.DataFrame({name: values, "b": np.arange(20) % 3 if len(values) == 20 else 1.0})
    raw["b"] = np.arange(len(raw)) % 3
    raw["y"] = np.arange(len(raw)) + 0.5
    schema = infer(raw, "y")
    assert schema.columns[0].role is Role.DROPPED
    assert f"dropped '{name}': {why}" in schema.notes


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([3, 1, 2, 5, 4], "id"),
        ([1, 2, 3, 4, 5], "price"),
        ([1, 2, 3, 4, 5], "grid"),
        ([1, 1, 2, 3, 4], "id"),
        ([1.5, 2.5, 3.5, 4.5, 6], "id"),
        ([1.0, np.nan, 1.0, np.nan, 1.0], "flag"),
    ],
)
def test_numbers_are_not_dropped_lightly(values, name):
    """An id must be whole, unique, sorted and called so; what is missing tells something."""
    assert column(values, name).role is Role.NUMBER


def test_booleans():
    """Booleans stay booleans; with gaps they are categories, as yes and no are."""
    assert feature([True, False, True]).dtype == "bool"
    assert feature([True, None, False]).tolist()[::2] == ["True", "False"]
    assert feature(["yes", "no", "yes"] * 2).dtype == "category"


def test_categories_are_sorted_text():
    """The levels do not depend on the order of rows."""
    values = feature(["b", "a", None, "b ", "ä"] * 3)
    assert values.cat.categories.tolist() == ["a", "b", "ä"]
    assert values.tolist()[:2] == ["b", "a"]
    assert pd.isna(values[2])


def test_mixed_objects_are_text():
    """A column of text and numbers is text."""
    assert feature(pd.Series([1, "a", 1, "a"], dtype=object)).tolist() == ["1", "a", "1", "a"]


def test_many_drops_are_one_sentence():
    """Hundreds of dropped columns do not make hundreds of notes."""
    raw = pd.DataFrame({f"c{i}": [1, 1, 1] for i in range(300)} | {"a": [1, 2, 4]})
    notes = infer(raw.assign(y=[0.5, 1.5, 2.5]), "y").notes
    assert len(notes) == 2
    assert "and 295 more" in notes[1]


def test_infinities_are_refused():
    """An infinite feature or target is named and counted."""
    raw = pd.DataFrame({"a": [1, np.inf, -np.inf], "b": [1, 2, 3], "y": [0.5, 1.5, np.inf]})
    with pytest.raises(InputError, match="target 'y' has 1 infinite value;"):
        infer(raw, "y")
    with pytest.raises(InputError, match=r"column 'a' has 2 infinite values; .*-p drop=a"):
        infer(raw, "b")
    assert infer(raw.assign(c=[3, 1, 2]), "b", Kind.REGRESSION, drop=["a", "y"])


# the target


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        (["a", "b"] * 10, Kind.CLASSIFICATION, "2 classes"),
        ([True, False] * 10, Kind.CLASSIFICATION, "2 classes"),
        ([0, 1, 2] * 20, Kind.CLASSIFICATION, "3 distinct integers: classification; -p kind=regr"),
        ([0.0, 1.0, np.nan] * 20, Kind.CLASSIFICATION, "2 distinct integers"),
        (["0", "1", "2"] * 20, Kind.CLASSIFICATION, "3 distinct integers"),
        (list(range(60)), Kind.REGRESSION, "60 distinct integers: regression; -p kind=class"),
        (list(range(12)) * 2, Kind.REGRESSION, "12 distinct integers"),
        ([0.5, 1.5, 1.0] * 20, Kind.REGRESSION, "numbers with fractions: regression"),
        ([f"${i},000" for i in range(1, 61)], Kind.REGRESSION, "60 distinct integers"),
        (pd.to_timedelta(np.arange(60) ** 2, "ms"), Kind.REGRESSION, "fractions"),
    ],
)
def test_kind_follows_from_the_targets_values(values, kind, note):
    """Text, booleans and few integers are classes; many integers and fractions are amounts."""
    raw = pd.DataFrame({"y": values})
    raw["a"] = np.arange(len(raw)) % 7
    schema = infer(raw, "y")
    assert schema.kind is kind
    assert note in schema.notes[0]


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (["a", "b"] * 10, None, "str"),
        ([True, False] * 10, None, "bool"),
        ([True, False] * 10, Kind.REGRESSION, "float64"),
        ([True, None, False] * 10, None, "str"),
        ([0, 1] * 10, None, "int64"),
        ([0.0, 1.0, np.nan] * 10, None, "int64"),
        ([0, 1] * 10, Kind.REGRESSION, "float64"),
        ([0.5, 1.5] * 10, Kind.CLASSIFICATION, "str"),
        (["1", "2"] * 10, None, "int64"),
        (["$1.5", "$2.5"] * 10, None, "float64"),
        (pd.Categorical(["a", "b"] * 10), None, "str"),
    ],
)
def test_target_values(values, kind, dtype):
    """Classes are integers, booleans or text, amounts are floats, and none is missing."""
    raw = pd.DataFrame({"y": values})
    raw["a"] = np.arange(len(raw)) % 7
    target = build(raw, infer(raw, "y", kind))["y"]
    assert target.dtype == dtype
    assert target.notna().all()


def test_a_rare_class_is_not_taken_for_a_stray():
    """A class name among numeric classes is a class, not a missing number."""
    raw = pd.DataFrame({"y": ["1", "2"] * 20 + ["other"], "a": np.arange(41) % 7})
    assert set(build(raw, infer(raw, "y"))["y"]) == {"1", "2", "other"}


def test_the_class_none_is_a_class(loaded):
    """`None` in a target is a class of its own, as in 'None, Insomnia, Apnea'."""
    raw = loaded("a,y\n" + "1,None\n2,Insomnia\n3,Apnea\n" * 5)
    assert set(build(raw, infer(raw, "y"))["y"]) == {"None", "Insomnia", "Apnea"}


CONTINENTS = "a,y\n" + "1,NA\n2,EU\n3,AS\n" * 5


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        (CONTINENTS, {"NA", "EU", "AS"}),
        (CONTINENTS + "4,\n", {"NA", "EU", "AS"}),
        (CONTINENTS.replace("NA", "NULL"), {"NULL", "EU", "AS"}),
        (CONTINENTS.replace("3,", "NA,"), {"EU", "AS"}),
        ("a,y\n" + "2,EU\n3,AS\n" * 5 + "1,NA\n", {"EU", "AS"}),
        (CONTINENTS.replace("EU", "yes").replace("AS", "no"), {"yes", "no"}),
        (CONTINENTS.replace("EU", "7").replace("AS", "8"), {7, 8}),
        (CONTINENTS.replace("2,EU", "2,null"), {"AS"}),
        ("a,y\n" + "1,?\n2,EU\n3,AS\n" * 5, {"EU", "AS"}),
    ],
    ids=["plain", "blank", "null", "elsewhere", "rarer", "flags", "numbers", "two", "mark"],
)
def test_a_word_for_missing_is_a_class_where_the_target_shows_it(written, text, classes):
    """As `NA` among continents; not where another column is so marked, or it is the rarest."""
    raw = read([describe(written(text))], target="y")
    assert set(raw["y"].dropna()) == classes
    is_class = not classes.isdisjoint({"NA", "NULL"})
    assert any("is a class of target 'y'" in note for note in raw.attrs["notes"]) == is_class
    if is_class:
        assert infer(raw, "y").notes[1] == raw.attrs["notes"][0]


def test_a_class_that_says_missing_is_one_in_both_files(written):
    """As the first file shows it."""
    both = [written(CONTINENTS, "a.csv"), written("a,y\n9,NA\n8,\n", "b.csv")]
    train, test = map(describe, both)
    raw = read([train], [test], target="y")
    assert raw["y"].tolist()[-2] == "NA"
    assert raw["y"].isna().sum() == 1


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["a"] * 9, None, "one value only"),
        ([None] * 9, None, "no values"),
        ([1.5] * 9, None, "one value only"),
        ([f"n{i}" for i in range(9)], None, "too many to classify; choose another target"),
        (["a", "b", "c"] * 3, Kind.REGRESSION, "is text .* cannot be regressed"),
        (range(9), Kind.CLASSIFICATION, "too many to classify; add -p kind=regression"),
        (pd.date_range("2020", periods=9), None, "is a date"),
        ([f"2020-01-0{i}" for i in range(1, 10)], None, "is a date"),
        ([[1]] * 9, None, "choose another target"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(values, kind, message):
    """One class, no values, names, dates and text to be regressed are refused with a fix."""
    with pytest.raises(InputError, match=message) as caught:
        infer(pd.DataFrame({"y": values, "a": range(9)}), "y", kind)
    assert "\n" not in str(caught.value)


def test_no_column_left_is_refused():
    """A table whose other columns are all useless is refused with the reasons."""
    with pytest.raises(InputError, match=r"no column is left .* 'a' is left out .no values."):
        infer(pd.DataFrame({"y": [1.5, 2.5], "a": [None, None]}), "y")
    with pytest.raises(InputError, match="there is no other column"):
        infer(pd.DataFrame({"y": [1.5, 2.5]}), "y")


# training and test rows


def two_sides(train: dict, test: dict) -> pd.DataFrame:
    raw = pd.concat([pd.DataFrame(train), pd.DataFrame(test)], ignore_index=True)
    n = len(pd.DataFrame(train))
    return raw.assign(**{SPLIT: ["train"] * n + ["test"] * (len(raw) - n)})


def test_only_training_rows_decide():
    """What varies, or is text, only in test rows does not change a column's role."""
    train = {"a": ["1", "2", "3%"] * 4, "b": [1] * 12, "y": [0, 1, 2] * 4}
    raw = two_sides(train, {"a": ["4", "5"] * 6, "b": range(12), "y": [1] * 12})
    roles = {c.name: c.role for c in infer(raw, "y").columns}
    assert roles == {"a": Role.NUMBER, "b": Role.DROPPED}


def test_test_rows_of_another_nature_are_refused():
    """Numbers in training and words in the test file do not become missing in silence."""
    train = {"a": ["1", "2", "3%"] * 4, "y": [0, 1, 2] * 4}
    with pytest.raises(InputError, match="'a' is a number in the training file and mostly not"):
        infer(two_sides(train, {"a": ["x", "z"], "y": [1, 1]}), "y")


def test_unseen_classes_are_refused():
    """A test class without a training row cannot be predicted."""
    with pytest.raises(InputError, match="no training row has: '7'"):
        infer(two_sides({"a": range(20), "y": [0, 1] * 10}, {"a": [1], "y": [7]}), "y")


# features


def test_rows_without_target_are_left_out_and_ids_stay():
    """Row ids are positions in the raw table, and the table is numbered anew."""
    raw = pd.DataFrame({"a": [1, 2, 3, 4], "y": [0.5, None, 1.5, 2.5]}, index=[9, 9, 9, 9])
    schema = infer(raw, "y")
    table = build(raw, schema)
    assert table[ROW].tolist() == [0, 2, 3]
    assert table.index.tolist() == [0, 1, 2]
    assert "1 row without a value of 'y' left out" in schema.notes
    assert len(build(raw, schema, with_target=False)) == 4


def test_a_schema_reads_new_rows_as_the_old_ones():
    """Numbers where training had text codes become their text; missing booleans become NaN."""
    raw = pd.DataFrame(
        {"c": ["1", "A", "1"] * 3, "b": [True, False, True] * 3, "n": ["1%", "2", "3"] * 3}
    ).assign(y=np.arange(9) + 0.5)
    new = pd.DataFrame({"c": [1.0], "b": [None], "n": [7]})
    table = build(new, infer(raw, "y"), with_target=False)
    assert table["c"].tolist() == ["1"]
    assert np.isnan(table["b"][0])
    assert table["n"].tolist() == [7]
    with pytest.raises(InputError, match="column 'b' is not a column"):
        build(new.drop(columns="b"), infer(raw, "y"), with_target=False)
    with pytest.raises(InputError, match="was a number and is datetime64"):
        build(new.assign(n=pd.Timestamp(0)), infer(raw, "y"), with_target=False)


@pytest.mark.parametrize("new", [[True, None], ["yes", "no"], ["true", None], [1, 0], [None]])
def test_booleans_read_new_rows_with_gaps(new):
    """A column that was boolean takes booleans with gaps, words, numbers and nothing."""
    raw = pd.DataFrame({"b": [True, True, False] * 3, "y": np.arange(9) + 0.5})
    table = build(pd.DataFrame({"b": new}), infer(raw, "y"), with_target=False)
    assert set(table["b"].dropna().astype(float)) <= {0.0, 1.0}
    assert len(table) == len(new)


def test_blank_text_read_as_numbers():
    """A column of numbers that is blank in new rows is missing there."""
    raw = pd.DataFrame({"n": ["1%", "2", "3"] * 3, "y": np.arange(9) + 0.5})
    assert build(pd.DataFrame({"n": [" "]}), infer(raw, "y"), with_target=False)["n"].isna().all()


def test_the_arguments_are_left_alone():
    """Inferring and building change nothing in the raw table."""
    raw = pd.DataFrame({"a": ["1%", "2", None], "b": [True, None, False], "y": [0.5, None, 1.5]})
    before = raw.copy(deep=True)
    build(raw, infer(raw, "y"))
    pd.testing.assert_frame_equal(raw, before)


def test_a_column_of_plain_numbers_reads_text_with_a_decimal_point():
    """One word among the new rows makes all of them text; 1.234 is no thousand."""
    raw = pd.DataFrame({"x": np.linspace(0, 1, 9), "y": np.arange(9) + 0.5})
    new = pd.DataFrame({"x": ["1.234", "2.500", "n.k."]})
    table = build(new, infer(raw, "y"), with_target=False)
    assert table["x"].tolist()[:2] == [1.234, 2.5]
    assert np.isnan(table["x"][2])


def test_free_text_is_kept_and_names_are_not():
    """Sentences that all differ are read by their words; names that all differ are no use."""
    notes = [f"call number {n} about the late train" for n in range(40)]
    raw = pd.DataFrame({"note": notes, "name": [f"u{n}" for n in range(40)], "y": [0, 1] * 20})
    schema = infer(raw, "y")
    assert [column.role for column in schema.columns] == [Role.TEXT, Role.DROPPED]
    assert "'note' is free text: it is read by its words" in schema.notes
    table = build(raw, schema)
    assert table["note"].tolist() == notes
    assert not isinstance(table["note"].dtype, pd.CategoricalDtype)
