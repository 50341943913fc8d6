"""Where tables are kept, a database or a folder, and the keys between them: declared or guessed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from baton.relational.database import Database
from baton.relational.folder import Folder
from baton.relational.guessing import guess
from baton.relational.reflection import links
from baton.relational.schema import Relationship

if TYPE_CHECKING:
    import pandas as pd

Store = Database | Folder

GUESSED = "is_guessed"
"""Column of the keys: whether nobody declared it."""


def store_of(url: str, secret: str | None = None, schema: str | None = None) -> Store:
    """Folder, where a path names one, or database."""
    return Database(url, secret, schema) if "://" in url else Folder(Path(url))


def keys_of(store: Store, *, is_told: bool) -> pd.DataFrame:
    """Columns of every table and the keys of a store.

    Parameters
    ----------
    store : Store
    is_told : bool
        Whether the user named keys: then none is guessed, nor where some are declared.

    Returns
    -------
    DataFrame
        Columns of `KEY_COLUMNS`, and `GUESSED`.
    """
    stamp = store.stamp
    keys = store.keys().assign(**{GUESSED: False}) if stamp is None else _kept(store, stamp)
    if is_told or keys["parent"].notna().any():
        return keys
    return _with_guessed(store, keys) if stamp is None else _kept_guess(store, stamp)


@lru_cache(maxsize=4)
def _kept(store: Store, stamp: str) -> pd.DataFrame:  # noqa: ARG001
    return store.keys().assign(**{GUESSED: False})


@lru_cache(maxsize=4)
def _kept_guess(store: Store, stamp: str) -> pd.DataFrame:
    return _with_guessed(store, _kept(store, stamp))


def _with_guessed(store: Store, keys: pd.DataFrame) -> pd.DataFrame:
    found, keys = guess(keys, store.column), keys.copy()
    for place, link in enumerate(found.links):
        is_it = (keys["table"] == link.child) & (keys["column"] == link.foreign_key)
        keys.loc[is_it, "constraint"] = place
        keys.loc[is_it, GUESSED] = True
        keys.loc[is_it, "parent"] = link.parent
        keys.loc[is_it, "parent_column"] = link.parent_key
    for table, column in found.primary.items():
        keys.loc[(keys["table"] == table) & (keys["column"] == column), "is_primary"] = True
    return keys


def guessed_links(keys: pd.DataFrame) -> list[Relationship]:
    """Those that nobody declared."""
    return links(keys[keys[GUESSED]]) if GUESSED in keys else []
