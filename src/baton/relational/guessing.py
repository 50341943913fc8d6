"""Keys that nobody declared, guessed from the names of columns and what stands in them.

A guess is always said, and given up where one key is named by the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import polars as pl

from baton.relational.entityset import text_key
from baton.relational.schema import Relationship

if TYPE_CHECKING:
    import pandas as pd

LEAST_FOUND = 0.9
"""Part of a key's different values that the parent must have: some may be broken."""

_MARKS = ("id", "key", "no", "nr", "number", "code", "uuid")
_ENDS = re.compile(r"(id|key|no|nr|number|code|uuid)$")


@dataclass(frozen=True)
class Guessed:
    """Keys by name and content."""

    primary: dict[str, str]
    """Column that tells a table's rows apart, where others refer to it."""
    links: tuple[Relationship, ...]


def guess(keys: pd.DataFrame, values: Callable[[str, str], pd.Series]) -> Guessed:
    """Guess the keys between tables that declare none.

    Parameters
    ----------
    keys : DataFrame
        Columns of `KEY_COLUMNS`.
    values : function of (table, column)
        What stands in a column.

    Notes
    -----
    A column refers to a table's key if it is called as the key, or as the table (in the singular
    or not, with or without ``id``, and a word before it), the key's values are all different, and
    nine of ten of the column's different values are among them.
    """
    columns = {
        str(table): [str(name) for name in names]
        for table, names in keys.groupby("table", sort=False)["column"].unique().items()
    }

    @cache
    def texts(table: str, column: str) -> pl.Series:
        return text_key(pl.from_pandas(values(table, column)))

    declared = {
        str(row["table"]): str(row["column"]) for _, row in keys[keys["is_primary"]].iterrows()
    }
    best: dict[tuple[str, str], tuple[tuple[float, ...], Relationship]] = {}
    for parent, key in _candidates(columns, declared):
        for link in _named_so(parent, key, columns) if _is_key(texts(parent, key)) else ():
            share = _share(texts(link.child, link.foreign_key), texts(parent, key))
            rank = (float(_singular(parent) in _plain(link.foreign_key)), share)
            is_it = share >= LEAST_FOUND and not _is_backward(link, texts)
            place = (link.child, link.foreign_key)
            if is_it and (place not in best or rank > best[place][0]):
                best[place] = (rank, link)
    found = tuple(link for _, link in best.values())
    return Guessed(declared | {link.parent: link.parent_key for link in found}, found)


def _candidates(
    columns: dict[str, list[str]], declared: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Columns that may be a table's key, by name."""
    for table, names in columns.items():
        own = {_plain(table), _singular(table)}
        for name in names:
            text = _plain(name)
            stem = _ENDS.sub("", text)
            is_shared = bool(stem) and text != stem and sum(name in o for o in columns.values()) > 1
            is_own = text in _MARKS or (text != stem and stem in own) or text in own
            if declared.get(table) == name or is_own or is_shared:
                yield table, name


def _named_so(parent: str, key: str, columns: dict[str, list[str]]) -> Iterator[Relationship]:
    """Relationships to a key, by the names of other tables' columns."""
    own = {_plain(parent), _singular(parent)}
    named = own | {f"{one}{mark}" for one in own for mark in _MARKS}
    for child, names in columns.items():
        for name in names if child != parent else ():
            text = _plain(name)
            is_same = text == _plain(key) and text not in _MARKS
            has_word_before = any(text.endswith(f"{one}id") for one in own)
            if is_same or text in named or has_word_before:
                yield Relationship(parent, key, child, name)


def _is_key(values: pl.Series) -> bool:
    return len(values) > 0 and values.null_count() == 0 and values.n_unique() == len(values)


def _share(values: pl.Series, known: pl.Series) -> float:
    different = values.drop_nulls().unique()
    return different.is_in(known.implode()).mean() or 0.0  # type: ignore[return-value]


def _is_backward(link: Relationship, texts: Callable[[str, str], pl.Series]) -> bool:
    """Whether both columns tell rows apart, and the child is what the key is named after."""
    if not _is_key(texts(link.child, link.foreign_key)):
        return False
    is_named = _singular(link.child) in _plain(link.foreign_key)
    is_parent_named = _singular(link.parent) in _plain(link.parent_key)
    return is_named and not is_parent_named


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _singular(name: str) -> str:
    """Name of a table as of one of its rows.

    Examples
    --------
    >>> [_singular(name) for name in ("Categories", "people", "order_lines", "boxes", "address")]
    ['category', 'person', 'orderline', 'box', 'address']
    """
    text = _plain(name)
    if text == "people":
        return "person"
    for end, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("ss", "ss")):
        if text.endswith(end):
            return text[: -len(end)] + instead
    return text.removesuffix("s")
