"""Files of the results over HTTP, to be read and no more: pages, and tables in two forms.

A page that a chain has made is one file that asks for nothing and runs no script: that is what its
policy says, too, since whoever made it may be mistaken.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import FileResponse, HTMLResponse, Response, StreamingResponse

from baton.chain.events import Key, ReportKey
from baton.errors import InputError
from baton.lineage import lineage_of
from baton.stores import shelf
from baton.words.text import shown
from serving.pages import layout
from serving.pages.desk import Desk, TheDesk

if TYPE_CHECKING:
    import pyarrow.parquet as pq

ROUTER = APIRouter()

POLICY = (
    "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""What a page of the results may do: show itself."""

_KEY: TypeAdapter[str] = TypeAdapter(Key)
_PAGE_KEY: TypeAdapter[str] = TypeAdapter(ReportKey)
_SHOWN_ROWS = 20
_SHOWN_COLUMNS = 50
_LONGEST = 60
_BATCH_ROWS = 1 << 15
_KEPT = {"cache-control": "private, no-cache"}


@ROUTER.get("/results/{problem}/{digest}/{name}")
def result(problem: str, digest: str, name: str, desk: TheDesk) -> Response:
    """Give a page, or a table as Parquet or CSV."""
    key = f"{problem}/{digest}/{name}"
    if name.endswith(".html"):
        headers = {"content-security-policy": POLICY} | _KEPT
        return FileResponse(_file(desk, key, _PAGE_KEY), media_type="text/html", headers=headers)
    if name.endswith(".csv"):
        place = _file(desk, f"{key.removesuffix('.csv')}.parquet", _KEY)
        with _read(key):
            lines = _as_csv(_opened(place))
        return StreamingResponse(lines, headers=_download(name, "text/csv; charset=utf-8"))
    place = _file(desk, key, _KEY)
    return FileResponse(place, headers=_download(name, "application/vnd.apache.parquet"))


@ROUTER.get("/tables/{problem}/{digest}/{name}")
def table(request: Request, problem: str, digest: str, name: str, desk: TheDesk) -> HTMLResponse:
    """Show a table: its first rows, its columns and where it is from."""
    key = f"{problem}/{digest}/{name}.parquet"
    place = _file(desk, key, _KEY)
    with _read(key):
        content = _shown(place)
    return layout.page(request, "result.html.jinja", key=key, name=name, **content)


def _file(desk: Desk, key: str, kind: TypeAdapter[str]) -> Path:
    """File of a key, which lies in the folder of results and nowhere else."""
    folder = desk.settings.results.resolve()
    try:
        place = shelf.take(folder / kind.validate_python(key)).resolve(strict=True)
    except (ValidationError, OSError):
        raise HTTPException(404, "There is no such result in this home.") from None
    if not place.is_relative_to(folder) or not place.is_file():
        raise HTTPException(404, "There is no such result in this home.")
    return place


def _download(name: str, kind: str) -> dict[str, str]:
    return {"content-type": kind, "content-disposition": f'attachment; filename="{name}"'} | _KEPT


@contextmanager
def _read(key: str) -> Iterator[None]:
    """Say in one line that a table cannot be read."""
    try:
        yield
    except (InputError, OSError, ValueError) as error:
        raise InputError(f"the table {key} cannot be read: {error}") from None


def _opened(place: Path) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    return pq.ParquetFile(place)


def _as_csv(opened: pq.ParquetFile) -> Iterator[bytes]:
    """Lines of a table, some thousand at a time."""
    import pyarrow as pa
    from pyarrow import csv

    with opened as file:
        is_first = True
        for batch in file.iter_batches(_BATCH_ROWS):
            sink = io.BytesIO()
            plain = pa.Table.from_batches([_flat(batch)])
            csv.write_csv(plain, sink, csv.WriteOptions(include_header=is_first))
            is_first = False
            yield sink.getvalue()


def _flat(batch: Any) -> Any:
    """Rows whose columns CSV knows: of lists and the like, what Python says of them."""
    import pyarrow as pa

    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            columns.append(column.cast(column.type.value_type))
        elif pa.types.is_nested(column.type):
            columns.append(pa.array([None if v is None else str(v) for v in column.to_pylist()]))
        else:
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _shown(place: Path) -> dict[str, Any]:
    with _opened(place) as file:
        schema = file.schema_arrow
        names = schema.names[:_SHOWN_COLUMNS]
        first = next(file.iter_batches(_SHOWN_ROWS, columns=names), None)
        return {
            "n_rows": file.metadata.num_rows,
            "n_bytes": place.stat().st_size,
            "columns": [(field.name, str(field.type)) for field in schema],
            "names": names,
            "rows": [
                list(map(_cell, row.values())) for row in (first.to_pylist() if first else [])
            ],
            "lineage": _lines(lineage_of(schema)),
        }


def _cell(value: Any) -> str | None:
    plain = str(value) if isinstance(value, list | dict | tuple) else value
    return None if plain is None else shown(plain, _LONGEST)


def _lines(lineage: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a table says of where it is from, in the order of its names."""
    return [(name, lineage[name]) for name in sorted(lineage)]
