"""What to do about a warning, as a chain's own parameters say it where its problem has them."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

from baton.words.text import quoted

if TYPE_CHECKING:
    from baton.checks.sides import Sides


def option(name: str, values: Iterable[str]) -> str:
    r"""Write a parameter that takes names, ready for a shell.

    Examples
    --------
    >>> option("drop", ["duration"]), option("drop", ["casual", "phone no", "a,b"])
    ('-p drop=duration', '-p \'drop=casual,phone no,"a,b"\'')
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(list(values))
    return f"-p {shlex.quote(f'{name}={line.getvalue()}')}"


def leave_out(sides: Sides, names: Iterable[str]) -> str:
    """Say how columns are left out."""
    names = list(names)
    if "drop" in sides.parameters:
        return f"leave out: {option('drop', names)}"
    return f"leave {quoted(names)} out of the features"


def hold_out_latest(sides: Sides, names: Iterable[str]) -> str:
    """Say how the latest rows are held out."""
    names = list(names)
    if "time" in sides.parameters and len(names) == 1:
        return f"hold out the latest ones: {option('time', names)}"
    more = ", in a file of their own: -p test_path=…" if "test_path" in sides.parameters else ""
    return f"hold out the latest ones{more}"


def hold_out_whole(sides: Sides, name: str) -> str:
    """Say how all rows of a key are held out together."""
    if "group" in sides.parameters:
        return f"hold out whole ones: {option('group', [name])}"
    more = " in a file of their own (-p test_path=…)" if "test_path" in sides.parameters else ""
    return f"hold out whole ones{more} and {leave_out(sides, [name])}"
