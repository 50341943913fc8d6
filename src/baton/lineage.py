"""Keys and lineage: where a result stands and what it was made from.

A key follows from what decides the content (problem, parameters, inputs, code), so that a
repeat finds it. Reading and writing files belong in ``tasks/platform/results.py``.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_LIBRARIES = (
    "polars",
    "scipy",
    "sqlalchemy",
    "lightgbm",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "xgboost",
)
_NOT_THINKING = {"chain", "chains.py", "cli", "parent.py", "settings.py", "words"}
METADATA_KEY = b"baton"


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON-ready value, 64 hexadecimal digits, the same in every process."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_version(problem_file: str = "") -> str:
    """Digest of the code that decides a result: Baton's thinking, the problem, the libraries.

    Parameters
    ----------
    problem_file : str
        Source file of the problem, counted in too when it is another package's.

    Returns
    -------
    str of 12 hexadecimal digits.
    """
    root = Path(__file__).parent
    files = {
        path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in _NOT_THINKING
    }
    if problem_file:
        files.add(Path(problem_file))
    content = hashlib.sha256()
    for path in sorted(files):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    content.update(json.dumps({name: version(name) for name in _LIBRARIES}).encode())
    return content.hexdigest()[:12]


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
