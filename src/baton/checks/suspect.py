"""A column that is almost the target: it alone says what the whole table says, or nearly all.

Judged by the small model of ``probe``, on rows that it was not fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.advice import leave_out
from baton.checks.probe import MOST_CLASSES, Matrix, affordable, out_of_fold, skill
from baton.warning import DataWarning, WarningKind
from baton.words.text import percent

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_ROWS = 6_000
"""Rows that the small model is asked about, at most."""

_ALMOST = 0.95
"""Part of the target that a column tells which is nearly all of it."""
_ALONE, _WITHOUT = 0.35, 0.55
"""Part of the whole table's skill that one column has alone, and that the others have without it,
of a column that carries the table: `duration` in bank_marketing has 0.45 and 0.4; the strongest
honest columns seen, `Alpha` of magic and `DEWP` of beijing_pm25, leave the others 0.65."""
_LEAST = 0.1
_TRIED = 3
_FEWEST_OTHERS = 4
"""Of so few columns one carries the table more often than not."""
_FEWEST_ROWS = 100


@dataclass(frozen=True)
class _Small:
    """Rows that the small model is asked about."""

    names: list[str]
    matrix: Matrix
    y: Array
    n_classes: int
    seed: int

    @classmethod
    def of(cls, sides: Sides, without: Collection[str]) -> _Small:
        n_rows = affordable(len(sides.y), sides.train.shape[1], MOST_ROWS)
        places = np.sort(sides.random.permutation(len(sides.y))[:n_rows])
        table = sides.train.iloc[places].drop(columns=list(without)).reset_index(drop=True)
        return cls(
            [str(name) for name in table],
            Matrix.of(table),
            sides.y[places],
            len(sides.classes),
            sides.seed,
        )

    def skill(self, features: Array, gain: Array | None = None) -> float:
        """Skill by these features alone."""
        matrix = self.matrix.only(features)
        answer = out_of_fold(matrix, self.y, self.n_classes, self.seed, gain)
        return skill(self.y, answer, self.n_classes)


def suspects(sides: Sides, leaked: Collection[str] = ()) -> list[DataWarning]:
    """Warn of columns that are almost the target.

    Parameters
    ----------
    sides : Sides
    leaked : collection of str
        Columns that are known to be the target, which are left out of it.
    """
    is_little = sides.features.shape[1] - len(leaked) < 2 or len(sides.y) < _FEWEST_ROWS
    if is_little or len(sides.classes) > MOST_CLASSES:
        return []
    small = _Small.of(sides, leaked)
    every = np.arange(len(small.names))
    gain = np.zeros(small.matrix.values.shape[1])
    whole = small.skill(every, gain)
    if whole < _LEAST:
        return []
    strength = np.bincount(small.matrix.sources, gain, minlength=len(every))
    best = [i for i in np.argsort(-strength, kind="stable") if not _is_date(sides, small.names[i])]
    return list(_suspected(small, sides, whole, best[:_TRIED]))


def _is_date(sides: Sides, name: str) -> bool:
    """Tell whether a column is a date: days that tell much are what is warned of as `time`."""
    return bool(sides.train[name].dtype.kind == "M")


def _suspected(small: _Small, sides: Sides, whole: float, best: list[int]) -> Iterator[DataWarning]:
    for place in best:
        alone = small.skill(np.array([place]))
        if alone < min(_ALONE * whole, _ALMOST):
            continue
        others = np.delete(np.arange(len(small.names)), place)
        without = small.skill(others)
        is_carrying = len(others) >= _FEWEST_OTHERS and without <= _WITHOUT * whole
        if alone >= _ALMOST or is_carrying:
            yield _warned(sides, small.names[place], (alone / whole, without / whole))


def _warned(sides: Sides, name: str, shares: tuple[float, float]) -> DataWarning:
    alone, without = (percent(max(share, 0.0)) for share in shares)
    return DataWarning(
        WarningKind.SUSPECT,
        (name,),
        f"'{name}' alone tells {alone} of what all columns tell of"
        f" '{sides.name}', and all others without it {without}: see that it is"
        f" known before the target is; else {leave_out(sides, [name])}",
    )
