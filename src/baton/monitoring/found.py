"""What was found, as a plain table: a row for each column, the rest in the table's metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.monitoring.drift import ColumnDrift, Drift, Watch

if TYPE_CHECKING:
    import pyarrow as pa

_FACTS = b"baton.drift"
_BIN = ("label", "before", "now")


def as_table(drift: Drift) -> pa.Table:
    """Return what was found as a table, with the bins of each column."""
    import pyarrow as pa

    share, text, flag = pa.float64(), pa.string(), pa.bool_()
    shares = ("psi", "psi_by_chance", "p", "p_adjusted", "missing_before", "missing_now")
    types: dict[str, pa.DataType] = {
        "name": text,
        "kind": text,
        "says_date": flag,
        "is_drifted": flag,
        **dict.fromkeys((*shares, "unknown_now"), share),
        "bins": pa.list_(pa.struct([(_BIN[0], text), (_BIN[1], share), (_BIN[2], share)])),
    }
    rows = [_row(column) for column in drift.columns]
    watch = drift.watch.model_dump(mode="json", include=set(Watch.model_fields))
    facts = asdict(drift) | {"watch": watch}
    del facts["columns"]
    schema = pa.schema(list(types.items()), metadata={_FACTS: json.dumps(facts).encode()})
    return pa.Table.from_pylist(rows, schema=schema)


def _row(column: ColumnDrift) -> dict[str, Any]:
    bins = [dict(zip(_BIN, one, strict=True)) for one in column.bins]
    return asdict(column) | {"bins": bins}


def of_table(table: pa.Table) -> Drift:
    """Return what was found, from its table.

    Raises
    ------
    InputError
        If it is no such table.
    """
    try:
        facts = json.loads((table.schema.metadata or {})[_FACTS])
        columns = tuple(_column(row) for row in table.to_pylist())
        facts["told_by"] = tuple((name, value) for name, value in facts["told_by"])
        facts |= {name: tuple(facts[name]) for name in ("schema_changes", "lost")}
        facts["watch"] = Watch.model_validate(facts["watch"])
        return Drift(columns=columns, **facts)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "what was found of new rows cannot be read: delete the file and predict again"
        ) from None


def _column(row: dict[str, Any]) -> ColumnDrift:
    bins = tuple((one["label"], one["before"], one["now"]) for one in row.pop("bins"))
    return ColumnDrift(bins=bins, **row)
