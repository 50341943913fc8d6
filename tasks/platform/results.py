"""Results: tables persisted by Prefect as plain Parquet under readable, content-derived keys.

A task that makes a table is a :func:`result_task`: it takes a plan, which knows the file's place
under the results folder. Beside each file stands its ledger: Prefect's metadata and the
file's SHA-256. The ledger is written last, so a file without one was never finished, and one
whose file is missing, altered or another result's counts as no result: the task runs again, and
what stood there is put aside.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec

import prefect
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas import State
from prefect.filesystems import LocalFileSystem
from prefect.serializers import Serializer
from pydantic import TypeAdapter

from baton import disk
from baton.atomic import write_bytes
from baton.chain import stored
from baton.chain.events import Key, PageRef, ReportKey, TableRef
from baton.errors import StorageError
from baton.lineage import digest_of_file, with_lineage
from baton.settings import settings
from baton.stores import shelf

P = ParamSpec("P")
_KEY = TypeAdapter(Key)
_REPORT_KEY = TypeAdapter(ReportKey)
_LEDGER_SUFFIX = ".json"
_NEW = ".new/"
"""Folder of the files that are being written, each named after its place."""

_BY_PARTS: dict[str, Any] = {"pre_buffer": False, "buffer_size": 2**20}
"""How a file is read part by part: by default Arrow keeps all of it that it has read."""

RETRY_SECONDS = (2.0, 10.0, 30.0)
"""Pauses before what is outside, a network or a database, is asked again."""


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **_written(table.schema))
    return sink.getvalue().to_pybytes()


def _written(schema: pa.Schema) -> dict[str, Any]:
    """How Parquet is written.

    Numbers with a fraction repeat seldom: a dictionary of them takes longer to make than all else
    together, and a quick compression says soon that there is nothing to gain.
    """
    if any(pa.types.is_nested(field.type) for field in schema):  # named by their parts
        return {"compression": "zstd", "compression_level": 1}
    exact = [field.name for field in schema if not pa.types.is_floating(field.type)]
    return {
        "use_dictionary": exact,
        "compression": {name: "zstd" if name in exact else "lz4" for name in schema.names},
        "compression_level": dict.fromkeys(exact, 1),
    }


class ParquetSerializer(Serializer):
    """Arrow tables as Parquet bytes, schema metadata included."""

    type: Literal["baton-parquet"] = "baton-parquet"

    def dumps(self, obj: pa.Table) -> bytes:
        """Write a table."""
        content = _parquet(obj)
        with _remembered():
            disk.require_room(settings().home, len(content))
        return content

    def loads(self, blob: bytes) -> pa.Table:
        """Read a table."""
        return pq.read_table(pa.BufferReader(blob))


_SERIALIZER_NAME = ParquetSerializer().type


_refused: list[StorageError] = []
"""Why results of this process could not be stored: Prefect only logs it."""


@contextmanager
def _remembered() -> Iterator[None]:
    try:
        with disk.told(settings().results):
            yield
    except StorageError as error:
        _refused.append(error)
        raise


class Ledger(LocalFileSystem):
    """Storage of the metadata: vouches for the data file or says that there is no result.

    Prefect writes a data file where it is in nobody's way; it gets its name here, once it is whole.
    """

    _block_type_name = "Baton Ledger"

    def read_path(self, path: str, **_: Any) -> bytes:  # type: ignore[override]
        """Return the metadata of a result whose file is whole and of our own format.

        Prefect would decode the file by whatever serializer the metadata names, pickle
        included; only Baton's own is let through.
        """
        key, data, ledger = self._files(path)
        entry = json.loads(shelf.take(ledger).read_bytes())
        if entry["serializer"].get("type") != _SERIALIZER_NAME:
            raise ValueError(f"the ledger of {key} names the serializer {entry['serializer']}")
        if entry["key"] != key:
            raise ValueError(f"the ledger of {key} is that of {entry['key']}")
        if entry["sha256"] != stored.digest_at(shelf.take(data)):
            raise ValueError(f"{key} is not the file that its ledger was written for")
        return json.dumps(entry | {"storage_key": str(data)}).encode()

    async def aread_path(self, path: str) -> bytes:
        """Return what `read_path` does."""
        return self.read_path(path)

    def write_path(self, path: str, content: bytes, **_: Any) -> str:  # type: ignore[override]
        """Give the data file its name, and write the metadata and its digest, at once."""
        key, data, ledger = self._files(path)
        with _remembered():
            digest = _named(self._base() / path, data)
            entry = json.loads(content) | {"key": key, "sha256": digest}
            write_bytes(ledger, json.dumps(entry).encode())
            shelf.put(data, ledger)
        return str(ledger)

    async def awrite_path(self, path: str, content: bytes) -> str:
        """Write what `write_path` does."""
        return self.write_path(path, content)

    def _base(self) -> Path:
        return Path(self.basepath or "").resolve()

    def _files(self, path: str) -> tuple[str, Path, Path]:
        """Key, data file and metadata of a result by the place where Prefect writes it."""
        key = "/".join(path.removeprefix(_NEW).split(".", 2))
        data = self._base() / _KEY.validate_python(key)
        return key, data, data.with_name(data.name + _LEDGER_SUFFIX)


def _new(key: str) -> str:
    """Place where a result is written until it is whole."""
    return _NEW + key.replace("/", ".")


def _named(new: Path, data: Path) -> str:
    """Give a new file its name, unless the same is there; what else stood there is put aside.

    Returns
    -------
    str
        Its digest.
    """
    digest = digest_of_file(new)
    if not data.exists() or digest_of_file(data) != digest:
        data.parent.mkdir(parents=True, exist_ok=True)
        if data.exists():
            disk.put_aside(data)
        new.replace(data)
    new.unlink(missing_ok=True)
    return digest


@dataclass
class ByPlan(CachePolicy):
    """The cache key is the place that the task's parameter ``plan`` has for the table."""

    table: str = ""
    """Name of the table; a field in braces is a parameter of the task."""

    def compute_key(
        self,
        task_ctx: Any,  # noqa: ARG002  the signature is Prefect's
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str | None:
        """Return the place where it is written, by the table's key."""
        return _new(inputs["plan"].key(self.table.format_map(inputs)))


class Written:
    """A table that is written by batches to its place, where it stands once it is whole."""

    def __init__(self, key: str, lineage: dict[str, Any]) -> None:
        self.key = _KEY.validate_python(key)
        self.n_rows = 0
        self._lineage = lineage
        self._writer: pq.ParquetWriter | None = None
        self._new = settings().results / _new(key)

    def write(self, table: pa.Table) -> None:
        """Add rows; the first ones say what the columns are."""
        with _remembered():
            disk.require_room(settings().home, table.nbytes)
            if self._writer is None:
                self._new.parent.mkdir(parents=True, exist_ok=True)
                self._schema = with_lineage(table.slice(0, 0), self._lineage).schema
                self._writer = pq.ParquetWriter(self._new, self._schema, **_written(self._schema))
            self._writer.write_table(table.cast(self._schema))
        self.n_rows += len(table)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with _remembered():
            if self._writer is not None:
                self._writer.close()
            if kind is None and self._writer is not None:
                _ledger().write_path(_new(self.key), _metadata(path_of(self.key)))
        self._new.unlink(missing_ok=True)


def _metadata(data: Path) -> bytes:
    """What Prefect would write of a result."""
    return json.dumps(
        {
            "storage_key": str(data),
            "expiration": None,
            "serializer": {"type": _SERIALIZER_NAME},
            "prefect_version": prefect.__version__,
        }
    ).encode()


def _ledger() -> Ledger:
    return Ledger(basepath=str(settings().results))


def result_task(
    table: str, name: str, *, is_outside: bool = False
) -> Callable[[Callable[P, pa.Table]], Task[P, pa.Table]]:
    """Make a task of a function that takes a ``plan`` and returns a table.

    The table is persisted as Parquet where the plan has it; where a whole file stands there
    already, the task ends ``Cached`` and the function does not run.

    Parameters
    ----------
    table : str
        Name of the table; a field in braces is a parameter of the function.
    name : str
        Name of the task, as Prefect shows it; likewise.
    is_outside : bool
        True if it asks a network or a database: then it is tried again after an OSError.
    """
    return task(
        name=name,
        task_run_name=name,
        **(retried() if is_outside else {}),
        cache_policy=ByPlan(table=table).configure(key_storage=_ledger()),
        result_storage=settings().results,
        result_serializer=ParquetSerializer(),
        persist_result=True,
        cache_result_in_memory=False,
    )


def retried() -> dict[str, Any]:
    """Options of a task that asks a network or a database: it is tried again."""
    return {
        "retries": len(RETRY_SECONDS),
        "retry_delay_seconds": list(RETRY_SECONDS),
        "retry_condition_fn": is_transient,
    }


def is_transient(task: Any, run: Any, state: State[Any]) -> bool:  # noqa: ARG001
    """Tell whether a failure may be gone the next time: a mistake in the input will not be."""
    error = state.data if isinstance(state.data, Exception) else None
    error = error or getattr(state.data, "exception", None)
    return isinstance(error, OSError) and not disk.is_of_disk(error)


def digest_of_table(table: pa.Table) -> str:
    """SHA-256 of a table's content, 64 hexadecimal digits: of its file, were it written."""
    return hashlib.sha256(_parquet(table)).hexdigest()


def path_of(key: str) -> Path:
    """File of a result; the key's form keeps it below the results folder."""
    return settings().results / _KEY.validate_python(key)


def report_path(key: str) -> Path:
    """File of a report; the key's form keeps it below the results folder."""
    return settings().results / _REPORT_KEY.validate_python(key)


def page_at(key: str) -> PageRef:
    """Reference to a page that was just written; where machines share results, they find it."""
    path = report_path(key)
    shelf.put(path)
    return PageRef(key=key, digest=digest_of_file(path))


def find(key: str) -> TableRef | None:
    """Reference to the result at this key; None if no whole one stands there.

    Raises
    ------
    StorageError
        If machines share results, and what they share does not answer.
    """
    try:
        entry = json.loads(_ledger().read_path(_new(key)))
        entry = _shared(path_of(key), entry)
        rows = pq.read_metadata(path_of(key)).num_rows
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return TableRef(key=key, digest=entry["sha256"], n_rows=rows)


def _shared(data: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Ledger of the result that all machines have: what is on the shelf first counts.

    What an end kept from it is put there.
    """
    if not shelf.is_used():
        return entry
    ledger = data.with_name(data.name + _LEDGER_SUFFIX)
    theirs = shelf.read(ledger) if shelf.has(data) else None
    if theirs is None:
        shelf.put(data, ledger)
        return entry
    told: dict[str, Any] = json.loads(theirs)
    if told["sha256"] == entry["sha256"] or not shelf.renew(data, told["sha256"]):
        return entry
    write_bytes(ledger, theirs)
    return told


def require(key: str) -> TableRef:
    """Reference to a result that was just persisted.

    Prefect ends a task ``Completed`` also when its result could not be stored; a stage asks
    here before it announces.

    Raises
    ------
    StorageError
        If the disk did not take it.
    RuntimeError
        If no whole file stands at the key for another reason.
    """
    found = find(key)
    if found is None:
        if _refused:
            raise _refused.pop()
        raise RuntimeError(f"result {key} was not stored; see the run's log for the reason")
    return found


def head(reference: TableRef, n_rows: int) -> pa.Table:
    """First rows of a table, the rest of it only checked."""
    with pq.ParquetFile(checked(reference), **_BY_PARTS) as file:
        batches = list(itertools.islice(file.iter_batches(n_rows), 1))
        return pa.Table.from_batches(batches, file.schema_arrow)


def batches(
    reference: TableRef, n_rows: int | None, columns: list[str] | None = None
) -> Iterator[pa.Table]:
    """Rows of a table, so many at a time, or all at once; the file is checked first.

    Only some of its columns if they are named.
    """
    with pq.ParquetFile(checked(reference), **_BY_PARTS) as file:
        at_once = n_rows or max(reference.n_rows, 1)
        for batch in file.iter_batches(at_once, columns=columns):
            yield pa.Table.from_batches([batch]).replace_schema_metadata(file.schema_arrow.metadata)


def is_beyond_memory(reference: TableRef) -> bool:
    """Tell whether a table is to be taken part by part: by its size, the same on every machine.

    What stands in its place is looked at, whether or not it is what was announced: keys are made
    of this, also of tables that were made anew since. One that is gone is not.
    """
    place = stored.brought(settings().results, reference)
    if not place.is_file():
        return False
    return reference.n_rows * bytes_of_row(pq.read_schema(place)) > settings().stream_bytes


def bytes_of_row(schema: pa.Schema) -> int:
    """Bytes that a row of a table takes in memory; of text, a guess.

    Examples
    --------
    >>> bytes_of_row(pa.schema([("a", pa.float64()), ("b", pa.string())]))
    24
    """
    return sum(_bytes_of(field.type) for field in schema)


def _bytes_of(kind: pa.DataType) -> int:
    kind = kind.index_type if pa.types.is_dictionary(kind) else kind
    return -(-kind.bit_width // 8) if pa.types.is_primitive(kind) else 16


def schema(reference: TableRef) -> pa.Schema:
    """Schema of a table, with its lineage, after checking it."""
    return pq.read_schema(checked(reference))


def read(reference: TableRef, **options: Any) -> pa.Table:
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


def checked(reference: TableRef | PageRef) -> Path:
    """File of a table or a page, after checking that it is the one that was announced.

    Raises
    ------
    InputError
        If the file is missing or altered.
    """
    return stored.checked(settings().results, reference)
