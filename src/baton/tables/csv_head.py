"""The first lines of a CSV file: lines above the header, names, delimiter, decimal mark.

Text in, findings out; no function here opens a file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import chain, count, islice

DELIMITERS = ",;\t|"
"""What may part fields, the likeliest first."""


def above_header(text: str) -> tuple[int, str]:
    """Lines to skip, and the delimiter if one of them is Excel's ``sep=;``."""
    skipped, forced = 0, ""
    for line in text.splitlines():
        excel = re.fullmatch(r"sep=(.)", line.strip("\r\n"))
        if line.strip() and not excel:
            break
        forced = excel[1] if excel else forced
        skipped += 1
    return skipped, forced


def sniff(text: str, delimiters: str, *, complete: bool) -> tuple[str, list[list[str]]]:
    """Delimiter under which most records are as long as the header, and those records.

    Where the text is not the `complete` file, its last record may be cut off and does not count.
    """
    choices = {delimiter: _records(text, delimiter, complete) for delimiter in delimiters}
    best = max(choices, key=lambda delimiter: _regularity(choices[delimiter]))
    return best, choices[best]


def _records(text: str, delimiter: str, complete: bool, most: int = 1000) -> list[list[str]]:
    """First records that are whole; a field too long for the csv module ends them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    records: list[list[str]] = []
    try:
        records.extend(islice(reader, most))
        cut = not complete and len(records) < most
    except csv.Error:
        cut = False
    return [record for record in (records[:-1] if cut else records) if any(record)]


def _regularity(records: list[list[str]]) -> tuple[bool, float, int]:
    width = len(records[0]) if records else 0
    same = sum(len(record) == width for record in records)
    return width > 1, same / max(len(records), 1), width


def header_names(header: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks around them; a nameless column is called as pandas calls it.

    Examples
    --------
    >>> header_names(["", " a ", "Unnamed: 0"])
    ('Unnamed: 0.1', 'a', 'Unnamed: 0')
    """
    names = [name.strip() for name in header]
    taken = set(names)
    for position, name in enumerate(names):
        if not name:
            suffixes = chain([""], (f".{number}" for number in count(1)))
            fresh = (f"Unnamed: {position}{suffix}" for suffix in suffixes)
            names[position] = next(one for one in fresh if one not in taken)
            taken.add(names[position])
    return tuple(names)


def decimal_mark(records: Sequence[Sequence[str]], delimiter: str) -> str:
    """``,`` if some cell can only be a decimal comma and none can only be a decimal point."""
    if delimiter == ",":
        return "."
    cells = {cell.strip() for record in records for cell in record}
    grouped = r"[+-]?[1-9]\d{0,2}([.,]\d{3})+"
    sure = [cell for cell in cells if not re.fullmatch(grouped, cell)]
    comma = any(re.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+", cell) for cell in sure)
    point = any(re.fullmatch(r"[+-]?(\d{1,3}(,\d{3})+|\d+)\.\d+", cell) for cell in sure)
    return "," if comma and not point else "."
