"""Keys and lineage: where a result stands and what it was made from.

A key follows from what decides the content (problem, parameters, inputs, code), so that a
repeat finds it. Reading and writing files belong in ``tasks/platform/results.py``.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"baton"


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON-ready value, 64 hexadecimal digits, the same in every process."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def folder(problem: str, **decides: Any) -> str:
    """Folder of the results that are decided by these things: ``<problem>/<16 hex digits>``."""
    return f"{problem}/{digest_of({'problem': problem, **decides})[:16]}"


def with_lineage(table: pa.Table, lineage: dict[str, Any]) -> pa.Table:
    """Return the table with its lineage in the schema metadata, as JSON under ``baton``."""
    metadata = dict(table.schema.metadata or {})
    metadata[METADATA_KEY] = json.dumps(lineage, sort_keys=True, ensure_ascii=False).encode()
    return table.replace_schema_metadata(metadata)


def lineage_of(schema: pa.Schema) -> dict[str, Any]:
    """Lineage in a schema's metadata; empty if there is none."""
    found: dict[str, Any] = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    return found
