"""A date beside a split at random: the model is judged by days whose neighbours it has seen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.checks.advice import hold_out_latest
from baton.checks.one_column import values_of
from baton.checks.shift import area, noise_of_area
from baton.warning import DataWarning, WarningKind
from baton.words.text import quoted

if TYPE_CHECKING:
    from baton.checks.sides import Sides

    Array = np.ndarray[Any, np.dtype[Any]]

_SIGMAS = 6.0
_FEWEST_ROWS, _FEWEST_DATES = 50, 10
_BIRTH = re.compile(r"birth|born|\bdob\b", re.IGNORECASE)
_YEAR = re.compile(r"^(year|yr|yyyy)$", re.IGNORECASE)
_MONTH = re.compile(r"^(month|mnth|mon|mm)$", re.IGNORECASE)


def dates(sides: Sides) -> list[DataWarning]:
    """Warn of a date whose held-out rows are not later than the training rows."""
    if min(int(sides.is_test.sum()), int((~sides.is_test).sum())) < _FEWEST_ROWS:
        return []
    for names, times in _times(sides):
        if _is_mixed(times, sides.is_test):
            return [_warned(sides, names)]
    return []


def _times(sides: Sides) -> list[tuple[tuple[str, ...], Array]]:
    """Columns of dates, but for births, else of year and month together."""
    table = sides.features
    found: list[tuple[tuple[str, ...], Array]] = [
        ((str(name),), values_of(table[name]).numbers)
        for name in table.select_dtypes(include=["datetime", "datetimetz"])
        if not _BIRTH.search(str(name))
    ]
    if found:
        return found
    numbers = table.select_dtypes(include="number")
    year = next((name for name in numbers if _YEAR.match(str(name))), None)
    month = next((name for name in numbers if _MONTH.match(str(name))), None)
    if year is None or month is None:
        return []
    return [((str(year), str(month)), (12 * numbers[year] + numbers[month]).to_numpy(float))]


def _is_mixed(times: Array, is_test: Array) -> bool:
    """Tell whether held-out rows lie between training rows as they would at random."""
    known = np.isfinite(times)
    times, is_test = times[known], is_test[known]
    n_test, n_train = int(is_test.sum()), int((~is_test).sum())
    if min(n_test, n_train) < _FEWEST_ROWS // 2 or len(np.unique(times)) < _FEWEST_DATES:
        return False
    return abs(area(times, is_test) - 0.5) < max(0.05, _SIGMAS * noise_of_area(n_test, n_train))


def _warned(sides: Sides, names: tuple[str, ...]) -> DataWarning:
    say = "says" if len(names) == 1 else "say"
    return DataWarning(
        WarningKind.TIME,
        names,
        f"{quoted(names)} {say} when a row was, and rows are held out at random: if new"
        " rows come later, the score flatters;"
        f" {hold_out_latest(sides, names)}",
    )
