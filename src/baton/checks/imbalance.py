"""A class of few rows: accuracy hides whether it is ever found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from baton.warning import DataWarning, WarningKind
from baton.words.text import counted, listed, percent

if TYPE_CHECKING:
    from baton.checks.sides import Sides

_FEW_SHARE = 0.05
"""Of two classes."""
_FEW_ROWS = 20
"""Of a class among several, of all rows."""


def imbalance(sides: Sides) -> list[DataWarning]:
    """Warn of a class that is rare."""
    if not sides.is_classes:
        return []
    counts = np.bincount(sides.codes, minlength=len(sides.classes))
    if len(counts) == 2:
        return _of_two(sides, int(counts.argmin()), int(counts.min()))
    rare = np.flatnonzero(counts < _FEW_ROWS)
    is_beside_many = counts.max(initial=0) >= 5 * _FEW_ROWS
    if not len(rare) or not is_beside_many:
        return []
    shown = [f"'{sides.classes[code]}' ({counts[code]})" for code in rare]
    return [
        DataWarning(
            WarningKind.IMBALANCE,
            (sides.name,),
            f"few rows of {counted(len(rare), 'class', 'classes')} of '{sides.name}':"
            f" {listed(shown, 5, last=', ')}; what is said of them is uncertain: add rows, or take"
            " classes together",
        )
    ]


def _of_two(sides: Sides, code: int, count: int) -> list[DataWarning]:
    share = count / max(len(sides.codes), 1)
    if share >= _FEW_SHARE:
        return []
    held_out = int((sides.codes[sides.is_test] == code).sum())
    return [
        DataWarning(
            WarningKind.IMBALANCE,
            (sides.name,),
            f"only {percent(share)} of the rows are '{sides.classes[code]}'"
            f" ({counted(count, 'row')}, {held_out} of them held out): to say always the other"
            f" class is right in {percent(1 - share)}; look at average precision and recall, not at"
            " accuracy",
        )
    ]
