"""CSV files that are read piece by piece."""

import numpy as np
import pandas as pd
import pytest

from baton.errors import InputError
from baton.problems import get, parse
from baton.settings import settings
from baton.tables import streams
from baton.tables.reading import read
from baton.tables.source import describe_all


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file of some 20,000 lines, of which a sample has a part, and pieces some hundred."""
    random = np.random.default_rng(0)
    n = 20_000
    table = pd.DataFrame(
        {
            "whole": random.integers(-5, 9, n),
            "part": random.normal(size=n).round(6),
            "day": pd.date_range("2020-01-01", periods=n, freq="h"),
            "flag": random.random(n) < 0.5,
            "word": random.choice(["red", "green", "blue, too", " gray "], n),
            "y": random.choice(["a", "b", "c"], n),
        }
    )
    table.loc[::17, ["whole", "part", "word"]] = np.nan
    found = tmp_path / "table.csv"
    table.to_csv(found, index=False)
    monkeypatch.setattr(streams, "_SAMPLED_BYTES", 1 << 13)
    monkeypatch.setattr(streams, "_PIECE", 1 << 15)
    return found


def pieces_of(sources):
    types = streams.without_null_types(streams.typed_sample(sources)).schema
    return list(streams.pieces(sources, types))


def test_pieces_are_the_table(path):
    """Cells, their types, and what is missing."""
    sources = describe_all([path])
    whole = read(sources)
    found = pieces_of(sources)
    assert len(found) > 10
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), whole, check_dtype=False)
    assert len(streams.sample(sources)) < len(whole) / 3
    assert streams.sample(sources).dtypes.equals(whole.dtypes)


def test_a_sample_sees_what_the_head_does_not(path):
    """A column is a number with a fraction where only later rows have one."""
    lines = path.read_text().splitlines()
    lines[10_000:] = [line.replace(line.split(",")[0], "0.5", 1) for line in lines[10_000:]]
    path.write_text("\n".join(lines) + "\n")
    assert pieces_of(describe_all([path]))[0]["whole"].dtype == float


def test_decimal_commas_and_another_encoding_are_read(path):
    """As in whole."""
    frame = pd.read_csv(path)[["whole", "part", "word", "y"]].replace("red", "rött")
    frame.to_csv(path, index=False, sep=";", decimal=",", encoding="cp1252")
    sources = describe_all([path])
    found = pd.concat(pieces_of(sources), ignore_index=True)
    pd.testing.assert_frame_equal(found, read(sources), check_dtype=False)
    assert found["part"].dtype == float


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        (0, "many", "column 'whole' is a number in a sample of the rows, and 'many' is none"),
        (2, "soon", "column 'day' is a date in a sample of the rows, and 'soon' is none"),
    ],
)
def test_a_cell_of_another_type_is_named(path, monkeypatch, column, cell, said):
    """Its line, its column, what stands there, and what can be done."""
    monkeypatch.setattr(streams, "_SAMPLES", 2)
    lines = path.read_text().splitlines()
    cells = lines[7_654].split(",")
    lines[7_654] = ",".join([*cells[:column], cell, *cells[column + 1 :]])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="line 7655: ") as error:
        pieces_of(describe_all([path]))
    assert said in str(error.value)


def test_what_cannot_be_read_in_pieces_is_read_in_whole(path, monkeypatch):
    """Small and packed files; rows that time or group part; a second file with held-out rows."""
    problem = get("table")

    def is_in_pieces(**given):
        params = parse(problem, {"path": str(path), "target": "y", **given})
        return problem.pieces(params) is not None

    assert not is_in_pieces()
    monkeypatch.setenv("BATON_STREAM_BYTES", "100000")
    settings.cache_clear()
    assert is_in_pieces()
    assert not is_in_pieces(time="day")
    assert not is_in_pieces(group="word")
    packed = path.with_suffix(".csv.gz")
    pd.read_csv(path).to_csv(packed, index=False)
    assert not is_in_pieces(test_path=str(packed))
    assert not is_in_pieces(path=str(packed))
    settings.cache_clear()
