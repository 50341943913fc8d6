"""Wording: how names and counts are put into the sentences that users read.

Only what several modules say alike; a sentence of one module stays there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from baton.errors import InputError


def listed(names: Iterable[object], most: int = 5, *, quote: bool = True) -> str:
    """Names in a row, the first few of many.

    Examples
    --------
    >>> listed("abc", most=2)
    "'a', 'b' and 1 more"
    """
    every = [f"'{name}'" if quote else str(name) for name in names]
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """Count and noun, in the plural where it is due.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def unknown_column(what: str, name: str, known: Sequence[str], where: str) -> InputError:
    """Error for a column that is not there: which ones are, and which was meant.

    Examples
    --------
    >>> print(unknown_column("target", "qualty", ["ph", "quality"], "wine.csv"))
    target 'qualty' is not a column of wine.csv: did you mean 'quality'? It has: ph, quality
    """
    lower = {column.lower(): column for column in known}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1)
    lead = f"did you mean '{lower[close[0]]}'? It" if close else "it"
    headless = bool(known) and all(_is_number(column) for column in known)
    hint = "; the first line looks like data: add a header line" if headless else ""
    return InputError(
        f"{what} {name!r} is not a column of {where}: {lead} has: "
        f"{listed(known, 20, quote=False)}{hint}"
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None
