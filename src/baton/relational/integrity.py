"""Foreign keys whose parent is not there: found and told, never fatal."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from baton.relational.entityset import EntitySet
from baton.words.text import counted


def is_broken(keys: pl.Series, parents: pl.Series) -> pl.Series:
    """Whether each row names a parent that is not there."""
    return keys.is_not_null() & parents.is_null()


def broken_keys(entities: EntitySet) -> Iterator[str]:
    """Sentences, one for each relationship with rows whose parent is missing."""
    for link, parents in entities.links.items():
        keys = entities.frames[link.child][link.foreign_key]
        lost = is_broken(keys, parents)
        if lost.any():
            yield (
                f"{counted(int(lost.sum()), 'row')} of {link.child} name"
                f"{'s' if lost.sum() == 1 else ''} a {link.foreign_key} that {link.parent} does"
                f" not have ({counted(keys.filter(lost).n_unique(), 'key')});"
                " they are kept, and what their parent would tell is missing."
            )


def shared_keys(entities: EntitySet) -> Iterator[str]:
    """Sentences, one for each table with two rows of one key that others refer to."""
    for table, key in sorted({(r.parent, r.parent_key) for r in entities.links}):
        keys = entities.frames[table][key]
        extra = len(keys) - keys.n_unique()
        if extra:
            yield (
                f"{table} has {counted(extra, 'row')} more than values of {key}:"
                " where others refer to it, the first row of a value counts."
            )
