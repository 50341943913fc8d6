"""Arrow columns: the few plain types that a raw table has, and how others become one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(columns: dict[str, pa.ChunkedArray[Any]]) -> pa.Table:
    """Table of columns by name."""
    import pyarrow as pa

    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def is_unusable(kind: pa.DataType) -> bool:
    """Whether no model takes values of a type: lists, structs, maps, bytes, intervals."""
    import pyarrow.types as t

    if hasattr(kind, "storage_type"):
        return is_unusable(kind.storage_type)
    if t.is_dictionary(kind):
        return is_unusable(kind.value_type)
    binary = t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind)
    return bool(t.is_nested(kind) or binary or t.is_interval(kind) or "binary_view" in str(kind))


def plain(column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Column as one of: number, boolean, text, naive timestamp (UTC), duration."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = column.type
    if hasattr(kind, "storage_type"):
        return plain(column.cast(kind.storage_type))
    if t.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if t.is_time(kind):
        since_midnight = column.cast(pa.time64("ns")).cast(pa.int64())
        return plain(since_midnight.cast(pa.duration("ns")))
    simple = _simple(kind)
    return column if simple == kind else column.cast(simple, safe=False)


def _simple(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_decimal(kind):
        return pa.float64()
    if t.is_float16(kind):
        return pa.float32()
    if t.is_timestamp(kind) or t.is_date(kind):
        return pa.timestamp("us")
    if t.is_duration(kind):
        return pa.duration("us")
    return pa.string() if "string" in str(kind) else kind


def trim(text: pa.ChunkedArray[Any], missing: Sequence[str] = ("",)) -> pa.ChunkedArray[Any]:
    """Text without blanks around it; what then says *missing* is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(text)
    absent = pc.is_in(trimmed, value_set=pa.array(missing, trimmed.type))
    kept: pa.ChunkedArray[Any] = pc.if_else(absent, pa.scalar(None, trimmed.type), trimmed)
    return kept


def without_null_types(table: pa.Table) -> pa.Table:
    """Table whose columns without any value are missing numbers."""
    import pyarrow as pa

    kinds = [pa.float64() if pa.types.is_null(kind) else kind for kind in table.schema.types]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
