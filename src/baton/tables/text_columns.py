"""What a text column is good for: numbers, dates or times in disguise, categories, or nothing.

The texts themselves are read in ``parsing``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING

from baton.encoding.words import is_prose
from baton.tables.levels import Levels
from baton.tables.parsing import ISO, parse
from baton.tables.roles import Column, Role
from baton.words.text import counted

if TYPE_CHECKING:
    import numpy as np

NEARLY_UNIQUE = 0.9
"""Part of the values that differ in text that names rows."""
NEARLY_NUMBERS = 0.9
"""Part of the values that are numbers in a column of numbers; the others are strays."""
NEARLY_DATES = 0.95
"""The same of dates and times of day."""
FEW_ROWS = 10
"""Among fewer values, that they all differ says nothing."""
_DECIDING = 20_000
"""So many distinct values settle how text is read."""

_DATES = {
    r"\d{4}-\d\d": (ISO,),
    r"\d{1,2}/\d{1,2}/\d\d": ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y"),
    r"\d{1,2}\.\d{1,2}\.\d\d": ("%d.%m.%Y", "%d.%m.%y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{4}/\d{1,2}/\d": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d": ("%Y.%m.%d",),
    r"\d{1,2} [A-Za-z]{3,9} \d{4}": ("%d %b %Y", "%d %B %Y"),
    r"\d{1,2}-[A-Za-z]{3,9}-\d\d": ("%d-%b-%Y", "%d-%b-%y"),
    r"[A-Za-z]{3,9} \d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    r"[A-Za-z]{3,9} \d{1,2} \d{4}": ("%b %d %Y", "%B %d %Y"),
}
"""Formats by the shape of a value; of two that fit equally well the first is taken."""
_DATE_SHAPE = "|".join(_DATES)
_TIMES_24 = (" %H:%M:%S", " %H:%M", "T%H:%M:%S", ", %H:%M", ", %H:%M:%S", " %H:%M:%S.%f")
_TIMES_12 = (" %I:%M:%S %p", " %I:%M %p", ", %I:%M %p", " %I:%M%p")
_SWAP = str.maketrans("dm", "md")
_PLURALS = {Role.NUMBER: "numbers", Role.DATETIME: "dates", Role.DURATION: "seconds"}


def text_column(name: str, levels: Levels, rows: int, *, keep: bool) -> Column:
    """Column of text in its role; with `keep` it is never dropped."""
    constant = _why_constant(levels, rows)
    if constant and not keep:
        return Column(name, Role.DROPPED, note=constant)
    special = _special_column(name, levels)
    if special or keep:
        return special or Column(name, Role.CATEGORY)
    distinct = len(levels.values)
    texts = [str(one) for one in levels.values.to_pylist()]
    if distinct >= FEW_ROWS and is_prose(texts, levels.total):
        return Column(name, Role.TEXT, note="is free text: it is read by its words")
    if distinct > NEARLY_UNIQUE * levels.total and distinct >= FEW_ROWS:
        every = "every" if distinct == levels.total else "nearly every"
        return Column(name, Role.DROPPED, note=f"text, and {every} value is different")
    nothing = next((v for v in levels.values[:1000].to_pylist() if v and v.lower() == "none"), None)
    return Column(name, Role.CATEGORY, note=f"has the category '{nothing}'" if nothing else "")


def readable_share(levels: Levels, column: Column) -> float:
    """Part of the rows whose text can be read as a column's role and style say."""
    return levels.share(parse(levels.values, column))


def _why_constant(levels: Levels, rows: int) -> str:
    if not levels.total:
        return "no values"
    is_same = len(levels.values) == 1 and levels.total == rows
    return "the same value in every row" if is_same else ""


def _special_column(name: str, levels: Levels) -> Column | None:
    """Text that is nearly all numbers, dates or times of day, if it is.

    Of very many distinct values a part decides, evenly spread.
    """
    levels = levels.part(_DECIDING)
    real = levels.without_missing()
    for role, styles, threshold in _likely([str(v) for v in real.part(200).values.to_pylist()]):
        fitting = _best(real, [Column(name, role, style) for style in styles], threshold)
        if fitting is not None:
            return replace(fitting, note=_reading_note(fitting, levels))
    return None


def _likely(sample: Sequence[str]) -> Iterator[tuple[Role, Sequence[str], float]]:
    """Roles, and ways to read them, whose shape half of a sample has; plain text has none."""

    def shaped(shape: str) -> list[str]:
        found = [text for text in sample if re.match(shape, text)]
        return found if 2 * len(found) >= len(sample) else []

    if shaped(r"[+-]?\s*[$€£¥]?\s*[+-]?\.?\d"):
        yield Role.NUMBER, ("point", "comma"), NEARLY_NUMBERS
    if dates := shaped(_DATE_SHAPE):
        yield Role.DATETIME, _date_styles(dates[0]), NEARLY_DATES
    if shaped(r"\d{1,3}:\d\d"):
        yield Role.DURATION, ("time",), NEARLY_DATES


def _date_styles(example: str) -> Sequence[str]:
    """Formats that have the shape of a value."""
    dates = next(formats for shape, formats in _DATES.items() if re.match(shape, example))
    if ":" not in example or dates == (ISO,):
        return dates
    times = _TIMES_12 if example[-1] in "mM" else _TIMES_24
    return [date + time for date in dates for time in times]


def _best(real: Levels, candidates: Sequence[Column], threshold: float) -> Column | None:
    """Candidate that reads most of the rows, the first of equals, if it reads enough of them."""
    sample = real.part(200)
    likely = [one for one in candidates if readable_share(sample, one) >= threshold / 2]
    shares = [readable_share(real, one) for one in likely]
    share, best = max(zip(shares, likely, strict=True), key=itemgetter(0), default=(0.0, None))
    return best if share >= threshold else None


def _reading_note(column: Column, levels: Levels) -> str:
    """What was read, with an example, and how many values were lost."""
    import pandas as pd

    read = parse(levels.values, column)
    lost = pd.isna(read)
    first = int(lost.argmin())
    value = str(read[first])[:10] if column.role is Role.DATETIME else f"{read[first]:g}"
    what = f"is read as {_PLURALS[column.role]}: '{levels.values[first]}' as {value}"
    return what + _doubt(column, levels) + _loss(levels, lost)


def _doubt(column: Column, levels: Levels) -> str:
    if "%d" not in column.style:
        return ""
    other = replace(column, style=column.style.translate(_SWAP))
    if readable_share(levels, other) < readable_share(levels, column):
        return ""
    order = "month" if column.style.startswith("%m") else "day"
    return f", {order} first, though the other order fits too"


def _loss(levels: Levels, lost: np.ndarray) -> str:
    if not lost.any():
        return ""
    count = int(levels.counts[lost].sum())
    example = levels.values[int(lost.argmax())]
    return f"; {counted(count, 'value')} such as '{example}' taken as missing"
