"""Columns that are the target under another name: one alone, or several that together are it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.advice import leave_out
from baton.checks.equations import equation
from baton.checks.one_column import Values, errors, estimated, explained, ranks, values_of
from baton.warning import DataWarning, WarningKind
from baton.words.text import percent

if TYPE_CHECKING:
    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

EXACT = 0.999
"""Part of the variance that a column explains that is the target, but for stray rows."""

_FEWEST = 50
"""Rows that would be wrong by chance: among fewer that none is wrong says little."""
_STRAY = 0.002
_ROUNDED = 0.98
_FEW_LEVELS = 50
_COVERED = 0.5
_MOST_EDGES = 5
_MOST_IN_PAIRS = 30
_FIRST_ROWS = 1_000


def leaks(sides: Sides) -> list[DataWarning]:
    """Warn of columns that are the target: copies, functions of it, parts that make it up."""
    columns = [values_of(sides.train[name]) for name in sides.train]
    columns = [one for one in columns if one.n_distinct > 1]
    alone = [one.name for one in columns if is_target(sides, one)]
    coarse = [one.name for one in columns if one.name not in alone and _is_of_target(sides, one)]
    found = [*_of_one(sides, alone), *_of_coarse(sides, coarse)]
    left = [one for one in columns if one.name not in {*alone, *coarse}]
    return [*found, *_of_several(sides, left)]


def is_target(sides: Sides, x: Values) -> bool:
    """Tell whether the target is a function of a column: judged by rows it was not learnt from."""
    if sides.is_classes:
        return _is_exact(*errors(x, sides.y, sides.seed))
    found, known = estimated(x, sides.y, sides.seed)
    if known.mean() < _COVERED or known.sum() < _FEWEST or (x.is_category and x.n_distinct < 3):
        return False
    return _is_same(sides.y[known], found[known])


def _is_exact(wrong: int, by_chance: int, covered: float, n_edges: int = 1) -> bool:
    """Tell whether so few are wrong that a function may be: at its edges a nearest row is not."""
    allowed = max(2 * n_edges, _STRAY * by_chance)
    return by_chance >= _FEWEST and covered >= _COVERED and wrong <= allowed


def _is_same(y: Array, found: Array) -> bool:
    """Tell whether estimates are the target up to stray rows, its scale or its rounding."""
    share = explained(y, found)
    if max(share, explained(ranks(y), ranks(found))) >= EXACT:
        return True
    step = _resolution(y)
    return share >= _ROUNDED and float(np.mean(np.abs(y - found) <= step)) >= 0.99


def _resolution(y: Array) -> float:
    """Step between the values of numbers that were rounded; 0 where they were not."""
    distinct = np.unique(y)
    if len(distinct) < 30 or len(distinct) > len(y) / 2:  # ranks of a few, or no rounding
        return 0.0
    return float(np.median(np.diff(distinct)))


def _is_of_target(sides: Sides, x: Values) -> bool:
    """Tell whether a column of few values is a function of the target: a coarser target."""
    if x.n_distinct > _FEW_LEVELS or (sides.is_classes and len(sides.classes) < 3):
        return False
    levels = np.unique(x.numbers, return_inverse=True)[1]
    target = Values("", sides.y.astype(float), sides.is_classes)
    n_edges = 1 if sides.is_classes else min(int(levels.max()), _MOST_EDGES)
    return _is_exact(*errors(target, levels, sides.seed), n_edges)


def _of_one(sides: Sides, names: Iterable[str]) -> Iterator[DataWarning]:
    for name in names:
        yield _warned(
            sides,
            [name],
            f"'{name}' alone gives '{sides.name}' away, in rows it was not learnt from too:"
            " it is the target in other words, or was made from it",
        )


def _of_coarse(sides: Sides, names: Iterable[str]) -> Iterator[DataWarning]:
    for name in names:
        yield _warned(
            sides,
            [name],
            f"'{name}' follows from '{sides.name}' without exception: it was made from it",
        )


def _of_several(sides: Sides, columns: list[Values]) -> Iterator[DataWarning]:
    if sides.is_classes:
        if pair := _pair(sides, columns):
            names = [one.name for one in pair]
            yield _warned(
                sides, names, f"'{names[0]}' and '{names[1]}' together give '{sides.name}' away"
            )
            return
        if len(sides.classes) > 2:
            return
    numbers = [one for one in columns if not one.is_category]
    if found := equation(sides.y.astype(float), numbers, sides.seed, is_exact=sides.is_classes):
        rows = "" if found.share == 1 else f" in {percent(found.share)} of the rows"
        yield _warned(sides, found.columns, f"'{sides.name}' is {found.text}{rows}")


def _pair(sides: Sides, columns: list[Values]) -> tuple[Values, Values] | None:
    """Two columns of few values whose pairs of values decide the class."""
    few = [one for one in columns if one.n_distinct <= _FEW_LEVELS]
    wrong = [errors(one, sides.y, sides.seed)[0] for one in few]
    best = [few[place] for place in np.argsort(wrong, kind="stable")[:_MOST_IN_PAIRS]]
    coded = [np.unique(one.numbers, return_inverse=True)[1] for one in best]
    for i, a in enumerate(coded):
        for j in range(i + 1, len(coded)):
            both = Values("", (a * (_FEW_LEVELS + 1) + coded[j]).astype(float), is_category=True)
            if _is_exact_at_once(sides, both):
                return best[i], best[j]
    return None


def _is_exact_at_once(sides: Sides, x: Values) -> bool:
    """Tell it by all rows only if no few of them, which is quick, tell against it."""
    first = slice(_FIRST_ROWS)
    wrong, by_chance, _ = errors(Values("", x.numbers[first], True), sides.y[first], sides.seed)
    if wrong > max(2, _STRAY * by_chance):
        return False
    return _is_exact(*errors(x, sides.y, sides.seed))


def _warned(sides: Sides, columns: Iterable[str], fact: str) -> DataWarning:
    names = tuple(columns)
    known = "it is" if len(names) == 1 else "they are"
    return DataWarning(
        WarningKind.LEAK,
        names,
        f"{fact}; unless {known} known before the target is, {leave_out(sides, names)}",
    )
