"""Results: tables persisted by Prefect as plain Parquet under readable, content-derived keys.

A task that makes a table is a :func:`result_task` with a parameter ``key``, the file's place
under the results folder. Beside each file stands its ledger: Prefect's metadata and the
file's SHA-256. The ledger is written last, so a file without one was never finished, and one
whose file is missing or altered counts as no result: the task runs again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas import State
from prefect.filesystems import LocalFileSystem
from prefect.serializers import Serializer
from pydantic import TypeAdapter

from baton.chain import events, stored
from baton.settings import settings

P = ParamSpec("P")
_KEY = TypeAdapter(events.Key)
_REPORT_KEY = TypeAdapter(events.ReportKey)
_LEDGER_SUFFIX = ".json"

RETRY_SECONDS = (2.0, 10.0, 30.0)
"""Pauses before what is outside, a network or a database, is asked again."""


class ParquetSerializer(Serializer):
    """Arrow tables as Parquet bytes, schema metadata included."""

    type: Literal["baton-parquet"] = "baton-parquet"

    def dumps(self, obj: pa.Table) -> bytes:
        """Write a table."""
        sink = pa.BufferOutputStream()
        pq.write_table(obj, sink, compression="zstd", compression_level=1)
        return sink.getvalue().to_pybytes()

    def loads(self, blob: bytes) -> pa.Table:
        """Read a table."""
        return pq.read_table(pa.BufferReader(blob))


_SERIALIZER_NAME = ParquetSerializer().type


class Ledger(LocalFileSystem):
    """Storage of the metadata: vouches for the data file or says that there is no result."""

    _block_type_name = "Baton Ledger"

    def read_path(self, path: str, _sync: bool = True) -> bytes:  # type: ignore[override]
        """Return the metadata of a result whose file is whole and of our own format.

        Prefect would decode the file by whatever serializer the metadata names, pickle
        included; only Baton's own is let through.
        """
        content = self._place(path).read_bytes()
        entry = json.loads(content)
        if entry["serializer"].get("type") != _SERIALIZER_NAME:
            raise ValueError(f"the ledger of {path} names the serializer {entry['serializer']}")
        if entry["sha256"] != digest_of_file(self._resolve_path(path)):
            raise ValueError(f"{path} is not the file that its ledger was written for")
        return content

    async def aread_path(self, path: str) -> bytes:
        """Return what `read_path` does."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, _sync: bool = True) -> str:  # type: ignore[override]
        """Write the metadata and the data file's digest, at once or not at all."""
        entry = json.loads(content) | {"sha256": digest_of_file(self._resolve_path(path))}
        place = self._place(path)
        partial = place.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(entry), "utf-8")
        partial.replace(place)
        return str(place)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write what `write_path` does."""
        return self.write_path(path, content)

    def _place(self, path: str) -> Path:
        data = self._resolve_path(path)
        return data.with_name(data.name + _LEDGER_SUFFIX)


@dataclass
class ByKey(CachePolicy):
    """The cache key is the task's parameter ``key``, and so is the file's path."""

    def compute_key(
        self,
        task_ctx: Any,  # noqa: ARG002
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str | None:
        """Return the parameter ``key``."""
        return str(inputs["key"])


def _ledger() -> Ledger:
    return Ledger(basepath=str(settings().results))


def result_task(
    name: str, *, outside: bool = False
) -> Callable[[Callable[P, pa.Table]], Task[P, pa.Table]]:
    """Make a task of a function that returns a table and takes its ``key``.

    The table is persisted as Parquet at that key; where a whole file stands there already,
    the task ends ``Cached`` and the function does not run.

    Parameters
    ----------
    name : str
        As Prefect shows it; a field in braces is a parameter of the function.
    outside : bool
        True if it asks a network or a database: then it is tried again after an OSError.
    """
    return task(
        name=name,
        task_run_name=name,
        **(again() if outside else {}),
        cache_policy=ByKey().configure(key_storage=_ledger()),
        result_storage=settings().results,
        result_serializer=ParquetSerializer(),
        persist_result=True,
        cache_result_in_memory=False,
    )


def again() -> dict[str, Any]:
    """Options of a task that asks a network or a database: it is tried again."""
    return {
        "retries": len(RETRY_SECONDS),
        "retry_delay_seconds": list(RETRY_SECONDS),
        "retry_condition_fn": is_passing,
    }


def is_passing(task: Any, run: Any, state: State[Any]) -> bool:  # noqa: ARG001
    """Tell whether a failure may be gone the next time: a mistake in the input will not be."""
    return isinstance(state.data, OSError) or isinstance(
        getattr(state.data, "exception", None), OSError
    )


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def exists(key: str) -> bool:
    """Tell whether a whole result stands at this key."""
    try:
        _ledger().read_path(key)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False
    return True


def path_of(key: str) -> Path:
    """File of a result; the key's form keeps it below the results folder."""
    return settings().results / _KEY.validate_python(key)


def report_path(key: str) -> Path:
    """File of a report; the key's form keeps it below the results folder."""
    return settings().results / _REPORT_KEY.validate_python(key)


def require(key: str) -> events.TableRef:
    """Reference to a result that was just persisted.

    Prefect ends a task ``Completed`` also when its result could not be stored; a stage asks
    here before it announces.

    Raises
    ------
    RuntimeError
        If no whole file stands at the key.
    """
    if not exists(key):
        raise RuntimeError(f"result {key} was not stored; see the run's log for the reason")
    path = path_of(key)
    entry = json.loads(path.with_name(path.name + _LEDGER_SUFFIX).read_bytes())
    rows = pq.read_metadata(path).num_rows
    return events.TableRef(key=key, digest=entry["sha256"], n_rows=rows)


def head(reference: events.TableRef, n_rows: int) -> pa.Table:
    """First rows of a table that was checked before, without reading the rest."""
    with pq.ParquetFile(path_of(reference.key)) as file:
        batches = list(itertools.islice(file.iter_batches(n_rows), 1))
        return pa.Table.from_batches(batches, file.schema_arrow)


def schema(reference: events.TableRef) -> pa.Schema:
    """Schema of a table that was checked before, with its lineage."""
    return pq.read_schema(path_of(reference.key))


def read(reference: events.TableRef, **options: Any) -> pa.Table:
    """Read a table by reference, after checking that it is the file that was announced.

    Parameters
    ----------
    reference : Table
    **options
        Passed to :func:`pyarrow.parquet.read_table`, such as ``columns`` and ``filters``.

    Raises
    ------
    InputError
        If the file is missing, altered or not Parquet.
    """
    return stored.read_table(settings().results, reference, **options)


def checked(reference: events.TableRef) -> Path:
    """File of a table, after checking that it is the one that was announced.

    Raises
    ------
    InputError
        If the file is missing or altered.
    """
    return stored.checked(settings().results, reference)
