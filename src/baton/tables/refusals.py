"""Errors that several modules and problems put in the same words.

A sentence of one module stays there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from baton.errors import InputError
from baton.words.text import did_you_mean, listed


def unknown_column(what: str, name: str, known: Sequence[str], where: str) -> InputError:
    """Error for a column that is not there: which ones are, and which was meant.

    Examples
    --------
    >>> print(unknown_column("target", "qualty", ["ph", "quality"], "wine.csv"))
    target 'qualty' is not a column of wine.csv: did you mean 'quality'? It has: ph, quality
    """
    meant = did_you_mean(name, known)
    lead = f"{meant}It" if meant else "it"
    headless = bool(known) and all(_is_number(column) for column in known)
    hint = "; the first line looks like data: add a header line" if headless else ""
    return InputError(
        f"{what} {name!r} is not a column of {where}: {lead} has: "
        f"{listed(known, 20, last=', ')}{hint}"
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None
