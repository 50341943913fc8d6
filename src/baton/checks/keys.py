"""Broken keys: rows that name a row of another table which is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baton.warning import DataWarning, WarningKind
from baton.words.text import counted, percent

if TYPE_CHECKING:
    from baton.checks.sides import Sides
    from baton.relational.account import KeyFound, Relations


def broken_keys(sides: Sides) -> list[DataWarning]:
    """Warn of each key with rows whose parent is missing."""
    found = sides.relations
    return [_warned(key, found) for key in found.keys if key.n_broken] if found else []


def _warned(key: KeyFound, found: Relations) -> DataWarning:
    share = percent(key.n_broken / found.rows[key.child])
    one = key.n_broken == 1
    return DataWarning(
        WarningKind.KEYS,
        (f"{key.child}.{key.foreign_key}",),
        f"{counted(key.n_broken, 'row')} ({share}) of {key.child} name{'s' if one else ''} a"
        f" {key.foreign_key} that {key.parent} does not have"
        f" ({counted(key.n_lost, 'value')} such as '{key.example}'): what {key.parent} would tell"
        f" of {'it' if one else 'them'} is missing; mend the key, or add the rows to {key.parent}",
    )
