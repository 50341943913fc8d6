"""Columns of text, as a CSV file gives them, as the types that all of their values have.

Strict: one value that is no number leaves a column text. What is nearly numbers is the business
of ``text_columns``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from baton.tables.arrow import plain, table_of, trim

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What counts as missing in any CSV column: pandas' list and ``?``, without ``None``."""


WORDS = frozenset({"NA", "N/A", "n/a", "NULL", "null", "NaN", "nan"})
"""Those of them that could be the name of a class."""

_FLAGS = frozenset({"yes", "no", "y", "n", "true", "false", "t", "f"})


def missing_classes(table: pa.Table, target: str) -> tuple[str, ...]:
    """Words for *missing* that are the name of a class in a target, as the table shows it.

    Such a word is a class where the target's other values are two or more words, not yes and no
    alone, where it has as many rows as the rarest of them, and where no other column has it: who
    writes missing cells so does it everywhere.

    Parameters
    ----------
    table : Table
        Columns of text as they are written, blank cells missing.
    target : str
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found: Any = trim(table[target]).drop_null().value_counts()
    counts: dict[str, int] = {one["values"]: one["counts"] for one in found.to_pylist()}
    words = [word for word in counts if word in WORDS]
    others = {name: count for name, count in counts.items() if name not in MISSING}
    if len(words) != 1 or len(others) < 2 or counts[words[0]] < min(others.values()):
        return ()
    if {name.lower() for name in others} <= _FLAGS or not all(name[0].isalpha() for name in others):
        return ()
    wanted = pa.array(words, pa.string())
    elsewhere = any(
        pc.any(pc.is_in(trim(table[name]), value_set=wanted)).as_py()
        for name in table.column_names
        if name != target
    )
    return () if elsewhere else tuple(words)


def typed_table(table: pa.Table, decimal: str, words: str = "") -> pa.Table:
    """Every column of text, but for that of `words`, as the narrowest type of all its values."""

    def typed(name: str) -> pa.ChunkedArray[Any]:
        return table[name] if name == words else _typed(table[name], decimal)

    with ThreadPoolExecutor() as pool:
        columns = pool.map(typed, table.column_names)
        return table_of(dict(zip(table.column_names, columns, strict=True)))


def _typed(text: pa.ChunkedArray[Any], decimal: str) -> pa.ChunkedArray[Any]:
    typed = _strict(text, decimal)
    if typed is not None:
        return typed
    trimmed = trim(text, MISSING)
    typed = _strict(trimmed, decimal)
    return trimmed if typed is None else typed


def _strict(text: pa.ChunkedArray[Any], decimal: str) -> pa.ChunkedArray[Any] | None:
    """Values in a type that they all have as they stand, or None if that is text."""
    import pyarrow as pa

    if text.null_count == len(text):
        return pa.chunked_array([pa.nulls(len(text))])
    text = with_points(text) if decimal == "," else text
    whole = _cast(text, pa.int64())
    if whole is not None:
        return None if _are_codes(text) else whole
    others = (pa.float64(), pa.bool_(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
    casts = (_cast(text, kind) for kind in others)
    return next((typed for typed in casts if typed is not None), None)


def _cast(text: pa.ChunkedArray[Any], kind: pa.DataType) -> pa.ChunkedArray[Any] | None:
    """Text as that type, or None; the first value is tried alone, which mostly settles it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pc.index(text.is_valid(), value=True).as_py()
    try:
        text.slice(first, 1).cast(kind)
        return plain(text.cast(kind))
    except pa.ArrowInvalid:
        return None


def _are_codes(digits: pa.ChunkedArray[Any]) -> bool:
    """Whether whole numbers are codes: hexadecimal, or all of one width with leading zeros."""
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(digits, "^[+-]?0[0-9xX]")).as_py():
        return False
    width: Any = pc.min_max(pc.utf8_length(digits)).as_py()
    hexadecimal = pc.any(pc.match_substring_regex(digits, "[xX]")).as_py()
    return bool(hexadecimal or width["min"] == width["max"])


def with_points(text: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Numbers with decimal commas (1.234,5) with decimal points (1234.5), if all are such."""
    import pyarrow.compute as pc

    commas = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?([eE][+-]?\d+)?\s*$"
    if not pc.all(pc.match_substring_regex(text, commas)).as_py():
        return text
    return pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
