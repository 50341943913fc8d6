"""Keys and lineage."""

import pyarrow as pa
import pytest

from baton.chain import stored
from baton.lineage import digest_of, folder, lineage_of, with_lineage


def test_a_digest_does_not_depend_on_the_order_of_keys():
    """The same content has the same digest however it was written down."""
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_a_folder_is_decided_by_each_thing_that_decides_the_content():
    """Another parameter, source or code is another folder; the same are the same."""
    same = {"parameters": {"rows": 1}, "source": "s", "code": "c"}
    assert folder("spheres", **same) == folder("spheres", **same)
    others = [{"parameters": {"rows": 2}}, {"source": "t"}, {"code": "d"}]
    assert len({folder("spheres", **(same | other)) for other in [{}, *others]}) == 4
    assert folder("table", **same) != folder("spheres", **same)


def test_lineage_survives_in_the_schema_metadata_beside_that_of_others():
    """A table keeps its lineage and the metadata that pandas wrote."""
    table = pa.table({"a": [1]}).replace_schema_metadata({b"pandas": b"{}"})
    found = with_lineage(table, {"chain": "x", "ümlaut": [1]})
    assert lineage_of(found.schema) == {"chain": "x", "ümlaut": [1]}
    assert found.schema.metadata[b"pandas"] == b"{}"
    assert lineage_of(table.schema) == {}


@pytest.mark.usefixtures("fast_paths")
def test_a_large_file_is_digested_once_until_it_is_touched(tmp_path, monkeypatch):
    """A changed one is seen, whatever its size says; small ones are always read."""
    monkeypatch.setattr(stored, "_LARGE", 10)
    read = []
    monkeypatch.setattr(stored, "digest_of_file", lambda path: read.append(path) or str(len(read)))
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"0" * 10)
    small.write_bytes(b"0" * 9)
    assert [stored.digest_at(large) for _ in range(3)] == ["1", "1", "1"]
    assert [stored.digest_at(small) for _ in range(2)] == ["2", "3"]
    large.write_bytes(b"1" * 10)
    assert stored.digest_at(large) == "4"
