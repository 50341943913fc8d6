"""What each column of a table is taken for, and what was done with it: a line for each.

Pure functions. Deciding it belongs in ``baton.tables`` and ``baton.encoding``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from baton.terms import HIDDEN, ROW, ColumnType
from baton.words.text import counted, elide, listed, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from baton.encoding.native import ColumnEncoding, Encoder

_EXAMPLES = 3
_LONGEST = 24


@dataclass(frozen=True)
class ColumnLine:
    """One column."""

    name: str
    role: str
    """What it is taken for: target, number, category, …, or dropped."""
    examples: str
    """Its most frequent values, or the range of its numbers."""
    missing: int
    """Rows without a value."""
    done: str
    """What was done with it, or why it was left out."""


def column_lines(
    features: pa.Table,
    raw: pa.Table,
    target: str,
    facts: Mapping[str, Any],
    encoder: Encoder,
) -> list[ColumnLine]:
    """Target first, then what the model sees, then what it does not.

    Parameters
    ----------
    features, raw : Table
        Of `raw`, the columns that are no features matter.
    target : str
    facts : mapping
        What the feature table says of itself: parameters and schema.
    encoder : Encoder
        The model's.
    """
    inferred = _inferred(facts.get("schema", {}))
    encoded = {column.name: column for column in encoder.columns}
    names = [name for name in features.column_names if name not in {ROW, *HIDDEN, target}]
    lines = [_line(target, "target", features[target], "what is predicted")]
    for name in names:
        role, note = inferred.get(name, ("", ""))
        said = (note, _done(encoded[name]) if name in encoded else "")
        kind = role or (encoded[name].role.value if name in encoded else "")
        lines.append(_line(name, kind, features[name], "; ".join(filter(None, said))))
    seen = {target, *names, *HIDDEN}
    for name in (one for one in raw.column_names if one not in seen):
        role, why = _left_out(name, facts.get("parameters", {}), inferred)
        lines.append(_line(name, role, raw[name], why))
    return lines


def _inferred(schema: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Role and note of each column, where they were inferred."""
    columns = schema.get("columns", [])
    if not all(isinstance(one, dict) and {"name", "role"} <= set(one) for one in columns):
        return {}
    return {one["name"]: (one["role"], one.get("note", "")) for one in columns}


def _left_out(
    name: str, parameters: Mapping[str, Any], inferred: Mapping[str, tuple[str, str]]
) -> tuple[str, str]:
    """What a column of the raw table that is no feature is, and why."""
    if name == parameters.get("group"):
        return "group", "its rows are held out together"
    if name in (parameters.get("drop") or ()):
        return "dropped", "as asked"
    if name == parameters.get("time"):
        return "time", "held-out rows are later"
    role, note = inferred.get(name, ("", ""))
    return ("dropped", note) if role == "dropped" else ("not used", "")


def _done(column: ColumnEncoding) -> str:
    """What the model's matrix has of a column."""
    levels = len(column.levels)
    match column.role:
        case ColumnType.CATEGORY if column.prior:
            return f"averages of the target in {counted(levels, 'level')}"
        case ColumnType.CATEGORY:
            return counted(levels, "level")
        case ColumnType.DATETIME:
            return f"read as {listed(column.parts, 6)}" if column.parts else ""
        case ColumnType.TEXT:
            return f"{counted(len(column.words), 'word')} of it"
        case _:
            return "places of its values, too large for their digits" if column.knots else ""


def _line(name: str, role: str, values: Any, done: str) -> ColumnLine:
    return ColumnLine(name, role, examples_of(values), values.null_count, done)


def examples_of(values: Any) -> str:
    """Range of numbers and dates of a column of pyarrow, the most frequent ones of others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if values.null_count == len(values):
        return ""
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
    elif pa.types.is_nested(kind):
        return ""
    elif not (
        pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        ends = pc.min_max(values)
        low, high = (shown(_plain(ends[end])) for end in ("min", "max"))
        return low if low == high else f"{low} to {high}"
    counts = values.drop_null().value_counts().to_pylist()
    ordered = sorted(counts, key=lambda one: (-one["counts"], str(one["values"])))
    return listed((elide(one["values"], _LONGEST) for one in ordered), _EXAMPLES, last=", ")


def _plain(value: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_temporal(value.type) and not pa.types.is_duration(value.type):
        return pd.Timestamp(value.as_py())
    return value.as_py()


def as_table(lines: Iterable[ColumnLine]) -> pa.Table:
    """Table with a line for each column."""
    import pyarrow as pa

    kinds = {"missing": pa.int64()}
    names = [field.name for field in fields(ColumnLine)]
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in names])
    return pa.Table.from_pylist([asdict(line) for line in lines], schema=schema)


def of_table(table: pa.Table) -> tuple[ColumnLine, ...]:
    """Lines of a table that :func:`as_table` made."""
    return tuple(ColumnLine(**line) for line in table.to_pylist())
