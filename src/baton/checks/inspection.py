"""All checks of a data set, one after the other.

A check belongs in the module of its kind; which tables are checked, and when, in ``tasks/``.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from baton.checks.columns import columns
from baton.checks.dates import dates
from baton.checks.duplicates import duplicates
from baton.checks.groups import repeated_keys
from baton.checks.imbalance import imbalance
from baton.checks.keys import broken_keys
from baton.checks.labels import wrong_labels
from baton.checks.leak import leaks
from baton.checks.shift import shifts
from baton.checks.suspect import suspects
from baton.warning import DataWarning, WarningKind, sorted_warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from baton.checks.sides import Sides

CHECKS: dict[WarningKind, Callable[[Sides], list[DataWarning]]] = {
    WarningKind.DUPLICATES: duplicates,
    WarningKind.TIME: dates,
    WarningKind.GROUP: repeated_keys,
    WarningKind.SHIFT: shifts,
    WarningKind.LABELS: wrong_labels,
    WarningKind.IMBALANCE: imbalance,
    WarningKind.KEYS: broken_keys,
    WarningKind.COLUMNS: columns,
}
"""Check of each kind that stands by itself; `leak` and `suspect` go together."""


def inspect(sides: Sides) -> list[DataWarning]:
    """Warnings of a data set, what matters most first."""
    leaked = leaks(sides)
    names = {name for one in leaked for name in one.columns}
    others = chain.from_iterable(check(sides) for check in CHECKS.values())
    return sorted_warnings([*leaked, *suspects(sides, names), *others])
