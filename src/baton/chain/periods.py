"""Periods by which new rows are predicted: a year, a month, a day or an hour, as ISO 8601 has it.

Pure functions. What is predicted of a period, and kept, belongs in ``tasks/periods.py``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from baton.errors import InputError

PLACE = "{period}"
"""What stands for the period in a parameter."""

_MOST = 10_000


class Unit(StrEnum):
    """How long a period is."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"


_FORMATS = {Unit.YEAR: "%Y", Unit.MONTH: "%Y-%m", Unit.DAY: "%Y-%m-%d", Unit.HOUR: "%Y-%m-%dT%H"}
_FORMS = {
    Unit.YEAR: r"\d{4}",
    Unit.MONTH: r"\d{4}-\d{2}",
    Unit.DAY: r"\d{4}-\d{2}-\d{2}",
    Unit.HOUR: r"\d{4}-\d{2}-\d{2}T\d{2}",
}


def parse(text: str) -> tuple[Unit, datetime]:
    """Unit of a period, and when it begins, UTC.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> parse("2021-03")
    (<Unit.MONTH: 'month'>, datetime.datetime(2021, 3, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """
    for unit, form in _FORMS.items():
        if re.fullmatch(form, text):
            try:
                return unit, datetime.strptime(text, _FORMATS[unit]).replace(tzinfo=UTC)
            except ValueError:
                break
    raise InputError(
        f"{text!r} is no period: give a year (2021), a month (2021-03), a day (2021-03-04) or an"
        " hour (2021-03-04T05)"
    )


def between(start: str, end: str) -> list[str]:
    """Periods from one to another, both included.

    Raises
    ------
    InputError
        If one is no period, they are not of one length, or end before they begin.

    Examples
    --------
    >>> between("2020-11", "2021-02")
    ['2020-11', '2020-12', '2021-01', '2021-02']
    """
    (unit, first), (other, last) = parse(start), parse(end)
    if unit is not other:
        raise InputError(f"{start} is a {unit.value} and {end} a {other.value}: give both alike")
    if last < first:
        raise InputError(f"--end {end} is before --start {start}")
    found = [start]
    while first < last:
        first = _next(unit, first)
        found.append(first.strftime(_FORMATS[unit]))
        if len(found) > _MOST:
            raise InputError(f"from {start} to {end} there are more than {_MOST:,} periods")
    return found


def _next(unit: Unit, begin: datetime) -> datetime:
    match unit:
        case Unit.YEAR:
            return begin.replace(year=begin.year + 1)
        case Unit.MONTH:
            return (begin + timedelta(days=31)).replace(day=1)
        case Unit.DAY:
            return begin + timedelta(days=1)
    return begin + timedelta(hours=1)


def settled(period: str, at: datetime) -> str:
    """Period that is meant: itself, or of a unit the last whole one before a time.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> settled("month", datetime(2021, 3, 1, tzinfo=UTC)), settled("2020-02", datetime.now(UTC))
    ('2021-02', '2020-02')
    """
    if period not in list(Unit):
        parse(period)
        return period
    unit = Unit(period)
    begin = parse(at.astimezone(UTC).strftime(_FORMATS[unit]))[1]
    return (begin - timedelta(seconds=1)).strftime(_FORMATS[unit])


def filled(value: Any, period: str) -> Any:
    """Parameters, the period put in where `PLACE` stands.

    Examples
    --------
    >>> filled({"path": "in/{period}.csv", "rows": 3}, "2021-03")
    {'path': 'in/2021-03.csv', 'rows': 3}
    """
    if isinstance(value, str):
        return value.replace(PLACE, period)
    if isinstance(value, dict):
        return {name: filled(one, period) for name, one in value.items()}
    return [filled(one, period) for one in value] if isinstance(value, list) else value


def is_named(value: Any) -> bool:
    """Tell whether `PLACE` stands somewhere in parameters."""
    return bool(value != filled(value, ""))
