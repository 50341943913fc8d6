"""Spans and points of time as people write and read them: ``90 minutes``, ``26 hours``, ``8 days``.

When something is due belongs in the module that waits for it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
"""What a span is counted in, the shortest first."""

SHORT = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week"}
"""Units as they are abbreviated."""

_UNIT = "|".join([*UNITS, *SHORT])
_WRITTEN = re.compile(rf"\s*(\d{{1,9}}(?:\.\d{{1,9}})?)\s*({_UNIT})s?\s*")
_LONGEST = timedelta(days=3650)


def span(written: Any) -> timedelta:
    """Read a span of time: a number and its unit, or a number of seconds.

    Parameters
    ----------
    written : Any
        As YAML has it.

    Raises
    ------
    ValueError
        If it is no such thing, or not between nothing and ten years.

    Examples
    --------
    >>> span("26 hours"), span("1.5 days"), span(90)
    (datetime.timedelta(days=1, seconds=7200), datetime.timedelta(days=1, seconds=43200), \
datetime.timedelta(seconds=90))
    >>> span("30d") == span("30 days"), span("90min") == span("1.5 h")
    (True, True)
    """
    if isinstance(written, timedelta):
        return written
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    found = _WRITTEN.fullmatch(f"{written} seconds" if is_number else str(written))
    length = float(found[1]) * UNITS[SHORT.get(found[2], found[2])] if found else timedelta(0)
    if not timedelta(0) < length <= _LONGEST:
        units = ", ".join(f"{unit}s" for unit in UNITS)
        raise ValueError(f"a span of time is a number of {units}, such as 26 hours; got {written}")
    return length


def said(length: timedelta) -> str:
    """Say a span in the longest unit that counts it whole.

    Examples
    --------
    >>> said(timedelta(hours=26)), said(timedelta(days=8)), said(timedelta(seconds=1.5))
    ('26 hours', '8 days', '1.5 seconds')
    """
    whole = [unit for unit, one in UNITS.items() if length % one == timedelta(0)]
    unit = whole[-1] if whole else "second"
    count = length / UNITS[unit]
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def brief(length: timedelta) -> str:
    """Say a span in its longest unit, rounded down, for whoever wants to know about how long.

    Examples
    --------
    >>> [brief(timedelta(seconds=n)) for n in (-3, 59.9, 60, 7200, 172_800, 7_000_000)]
    ['0 s', '59 s', '1 min', '2 h', '2 days', '81 days']
    """
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 2 * 86_400 else f"{seconds // 86_400} days"


def moment(at: datetime) -> str:
    """Say a point of time, the same wherever it is read.

    Examples
    --------
    >>> moment(datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC))
    '2026-03-01 12:30:05 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
