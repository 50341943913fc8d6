"""Whether a file that somebody else writes is whole."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from baton.sources.whole import PATIENCE_SECONDS, Waiting, has_end, is_data

TABLE = pd.DataFrame({"a": range(1000)})
TEXT = TABLE.to_csv(index=False).encode()


def _zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.csv", TEXT)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", lambda path: path.write_bytes(TEXT)),
        ("a.jsonl", lambda path: path.write_bytes(b'{"a": 1}\n')),
        ("a.parquet", TABLE.to_parquet),
        ("a.feather", TABLE.to_feather),
        ("a.arrow", TABLE.to_feather),
        ("a.csv.gz", lambda path: path.write_bytes(gzip.compress(TEXT))),
        ("a.csv.bz2", lambda path: path.write_bytes(bz2.compress(TEXT))),
        ("a.csv.xz", lambda path: path.write_bytes(lzma.compress(TEXT))),
        ("a.zip", _zip),
    ],
)
def test_a_file_that_was_cut_has_no_end(tmp_path, name, write):
    """Whatever it is packed in; what is not there has none, either."""
    path = tmp_path / name
    assert not has_end(path)
    write(path)
    assert has_end(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert not has_end(path)


def test_a_packed_file_that_is_damaged_has_no_end(tmp_path):
    """Whichever bit is another."""
    path = tmp_path / "a.csv.gz"
    packed = gzip.compress(TEXT)
    for place in range(10, len(packed), 37):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 8]) + packed[place + 1 :])
        assert not has_end(path), place


@pytest.mark.parametrize(
    "name", [".a.csv", "_SUCCESS", "a.csv.part", "a.csv.tmp", "a.CRDOWNLOAD", "a.csv.partial"]
)
def test_what_is_being_written_by_its_name_is_no_data(name):
    """Browsers, copying programs and Baton itself write under such names first."""
    assert not is_data(Path(name))


def test_a_file_that_grows_is_whole_when_it_has_stopped():
    """Not before it has an end; one that never gets one is taken when its writer has left it."""
    ended, at = set(), Path("a.csv")
    waiting = Waiting(lambda path: path in ended)
    assert waiting.whole({at: (1, 0)}, 0.0) == []
    assert waiting.whole({at: (2, 1)}, 1.0) == []
    assert waiting.whole({at: (2, 1)}, 2.5) == [], "it stopped, and has no end"
    ended.add(at)
    assert waiting.whole({at: (3, 2)}, 3.0) == []
    assert waiting
    assert waiting.whole({at: (3, 2)}, 4.0) == [at]
    assert not waiting
    torn = {Path("b.csv"): (1, 0)}
    assert waiting.whole(torn, 10.0) == waiting.whole(torn, 12.0) == []
    assert waiting.whole(torn, 10.0 + PATIENCE_SECONDS) == [Path("b.csv")]


def test_files_are_taken_in_the_order_of_their_last_changes():
    """Then of their names."""
    there = {Path("c"): (1, 5), Path("b"): (1, 7), Path("a"): (1, 7)}
    waiting = Waiting(lambda path: True)
    waiting.whole(there, 0.0)
    assert waiting.whole(there, 1.0) == [Path("c"), Path("a"), Path("b")]
