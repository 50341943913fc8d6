"""How numbers, shares and long names are written for people.

Pure functions from a value to a short string. Layout belongs in ``baton.showing.report`` and
``baton.showing.plots``.
"""

from __future__ import annotations

import difflib
import math
from itertools import zip_longest
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def number(value: float, digits: int = 3, *, is_padded: bool = False) -> str:
    """Write a number with a few significant digits, and all digits of its whole part.

    Examples
    --------
    >>> number(0.93456), number(1234567.8), number(12.0), number(0.00001234), number(-0.5)
    ('0.935', '1,234,568', '12', '1.23e-05', '-0.5')
    >>> number(0.9, is_padded=True), number(0.0, is_padded=True)
    ('0.900', '0')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "undefined"
    if 10**digits <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}" if is_padded and value else f"{value:.{digits}g}"


def shown(value: Any, length: int = 60) -> str:
    """Write a value of a table.

    Examples
    --------
    >>> import pandas as pd
    >>> shown(None), shown(True), shown(0.123456), shown("a"), shown(pd.Timestamp("2024-05-06"))
    ('missing', 'True', '0.1235', 'a', '2024-05-06')
    """
    import pandas as pd

    if pd.isna(value):
        return "missing"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    if isinstance(value, Real) and not isinstance(value, bool):
        return number(float(value), 4)
    return elide(value, length)


def percent(share: float) -> str:
    """Write a share in percent, never rounding to all or to nothing what is neither.

    Examples
    --------
    >>> percent(0.943), percent(0.9999), percent(1.0), percent(0.0004), percent(0.025)
    ('94 %', '> 99 %', '100 %', '< 1 %', '2.5 %')
    """
    if 0.99 < share < 1:
        return "> 99 %"
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write how many there are.

    Examples
    --------
    >>> counted(1, "class", "classes"), counted(12000, "row")
    ('1 class', '12,000 rows')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def elide(name: Any, length: int = 28) -> str:
    """Shorten a long name in its middle, where names of columns differ least.

    Examples
    --------
    >>> elide("mean_transaction_amount_of_the_last_30_days")
    'mean_transacti…_last_30_days'
    """
    whole = " ".join(str(name).split())
    if len(whole) <= length:
        return whole
    head = length // 2
    return f"{whole[:head]}…{whole[head + 1 - length :]}"


def elided(names: Iterable[Any], length: int = 28) -> list[str]:
    """Shorten names; of those that would become one, show where they differ.

    Examples
    --------
    >>> elided(["a" * 99 + "1" + "b" * 99, "a" * 99 + "2" + "b" * 99], 12)
    ['aaa…aa1b…bbb', 'aaa…aa2b…bbb']
    """
    whole = [" ".join(str(name).split()) for name in names]
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(whole):
        alike.setdefault(elide(name, length), []).append(name)
    short: dict[str, str] = {}
    for first, group in alike.items():
        short |= dict(zip(group, _apart(group, length) if len(group) > 1 else [first], strict=True))
    return [short[name] for name in whole]


def _apart(names: list[str], length: int) -> list[str]:
    """Shorten different names that have head and tail in common, around where they differ."""
    same = next(i for i, letters in enumerate(zip_longest(*names)) if len(set(letters)) > 1)
    edge = max(2, length // 4)
    found = []
    for name in names:
        tail = f"…{name[-edge:]}"
        begin = max(0, same - 2)
        head = name[:begin] if begin <= edge + 1 else f"{name[:edge]}…"
        found.append(f"{head}{name[begin:][: length - len(head) - len(tail)]}{tail}")
    if len(set(found)) == len(found):
        return found
    return [f"{name[: length - 5]}… ({place})" for place, name in enumerate(found, start=1)]


def listed(items: Iterable[Any], most: int = 3, *, last: str = " and ") -> str:
    """Write the first few of many.

    Parameters
    ----------
    items : iterable
    most : int
        How many are written; the others are counted.
    last : str
        What stands before the last one where all are written: a sentence wants " and ".

    Examples
    --------
    >>> listed(["a", "b"]), listed("abcde"), listed("abc", last=", ")
    ('a and b', 'a, b, c and 2 more', 'a, b, c')
    """
    every = [str(item) for item in items]
    if len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most} more"
    return last.join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask whether the nearest of the known names was meant, if one is near; ends with a blank.

    Examples
    --------
    >>> did_you_mean("XGBost", ["lasso", "xgboost"]), did_you_mean("zzz", ["lasso"])
    ("did you mean 'xgboost'? ", '')
    """
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1)
    return f"did you mean '{lower[close[0]]}'? " if close else ""


def quoted(names: Iterable[Any], most: int = 5) -> str:
    """Write names as the user wrote them, the first few of many.

    Examples
    --------
    >>> quoted("ab"), quoted("abc", most=2)
    ("'a', 'b'", "'a', 'b' and 1 more")
    """
    return listed((f"'{name}'" for name in names), most, last=", ")
