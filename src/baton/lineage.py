"""Keys and lineage: where a result stands and what it was made from.

A key follows from what decides the content (problem, parameters, inputs, code), so that a
repeat finds it. Reading and writing files belong in ``tasks/platform/results.py``.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from baton.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

METADATA_KEY = b"baton"
_MEND = "the file was altered; delete it and run its chain again"


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON-ready value, 64 hexadecimal digits, the same in every process."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder(problem: str, **decides: Any) -> str:
    """Folder of the results that are decided by these things: ``<problem>/<16 hex digits>``."""
    return f"{problem}/{digest_of({'problem': problem, **decides})[:16]}"


def with_lineage(table: pa.Table, lineage: dict[str, Any]) -> pa.Table:
    """Return the table with its lineage in the schema metadata, as JSON under ``baton``."""
    metadata = dict(table.schema.metadata or {})
    metadata[METADATA_KEY] = json.dumps(lineage, sort_keys=True, ensure_ascii=False).encode()
    return table.replace_schema_metadata(metadata)


class Lineage(dict[str, Any]):
    """Lineage of a table: what it lacks was taken away, which is no defect of who asks for it."""

    def __missing__(self, name: str) -> Any:
        raise InputError(f"a table's lineage lacks {name!r}: {_MEND}")


def lineage_of(schema: pa.Schema) -> Lineage:
    """Lineage in a schema's metadata; empty if there is none.

    Raises
    ------
    InputError
        If what stands there is no lineage.
    """
    try:
        found = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"a table's lineage cannot be read: {_MEND}")
    return Lineage(found)
