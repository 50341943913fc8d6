"""The command that makes room: ``clean``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from baton.chain import leftovers
from baton.chain.leftovers import Item
from baton.chain.manifest import read as read_manifest
from baton.cli.app import ERR, OUT, AsJson, app, complain, print_json
from baton.cli.connection import (
    away,
    connected,
    require_there,
    server_at,
)
from baton.errors import InputError
from baton.settings import settings
from baton.words.spans import span
from baton.words.text import counted
from serving.embedded import Addresses, private
from tasks.platform.places import MANIFEST

if TYPE_CHECKING:
    from tasks.platform.cleaning import Leftovers

Age = Annotated[
    str,
    Parameter(
        name="--older-than",
        help="Leave alone what is younger: a number of days (30d), hours (12h), minutes (90min).",
    ),
]
IsDry = Annotated[bool, Parameter(negative=(), help="Only say what would be removed.")]
IsSure = Annotated[bool, Parameter(negative=(), help="Remove it without asking.")]
WithModels = Annotated[
    bool,
    Parameter(
        negative=(),
        help="Delete versions without an alias in MLflow, too, but for the newest of each model.",
    ),
]


@app.command
def clean(
    *,
    older_than: Age = "30d",
    dry_run: IsDry = False,
    yes: IsSure = False,
    models: WithModels = False,
    as_json: AsJson = False,
) -> int:
    """Remove what nothing needs: results of old chains, downloads, what was put aside, and locks.

    Kept is all that a version with an alias (`champion`, `previous` or another), the newest of a
    model, or one that predicted lately rests on: its features, evaluation, profile and reports. So
    is what periods were answered, whatever a chain that is not over names, and any result of its
    problem while it is at work. Links are not followed. What is removed is made anew when its chain
    is run again.

    In a terminal it asks; elsewhere it only says what it would remove, unless there is `--yes`.

    Examples
    --------
    `baton clean --dry-run`

    `baton clean --older-than 7d --models --yes`
    """
    age = _age(older_than)
    require_there()
    with connected(ERR, serving=False) as (addresses, _), away(), private():
        from tasks.platform import cleaning

        going = _going(addresses)
        with cleaning.alone():
            found = cleaning.look(age, going, with_models=models)
            _tell(found, as_json=as_json)
            is_wanted = bool(found.items) and not dry_run and (yes or _is_agreed(found, as_json))
            removed = cleaning.remove(found, going) if is_wanted else []
    _tell_end(found, removed, is_wanted=is_wanted, as_json=as_json)
    return 0


def _age(written: str) -> timedelta:
    """How old what is removed must be; 0 of any unit is no age at all."""
    if written.strip().rstrip("abcdefghijklmnopqrstuvwxyz ") == "0":
        return timedelta(0)
    try:
        return span(written)
    except ValueError as error:
        raise InputError(f"--older-than: {error}") from None


def _going(addresses: Addresses) -> partial[leftovers.Busy]:
    """Ask what chains that are not over may need."""
    from tasks.platform.going import busy

    return partial(busy, server_at(addresses).client, read_manifest(MANIFEST))


def _is_agreed(found: Leftovers, as_json: bool) -> bool:
    """Ask a person, if there is one."""
    if as_json or not (sys.stdin.isatty() and OUT.is_terminal):
        return False
    question = f"remove {counted(len(found.items), 'thing')}, {_size(found.n_bytes)}? [y/N] "
    OUT.print(question, end="", highlight=False, markup=False)
    return OUT.input().strip().lower() in {"y", "yes"}


def _tell(found: Leftovers, *, as_json: bool) -> None:
    """Print what nothing needs, by kind."""
    for place in found.passed:
        complain(f"{place} is a link: it is passed over")
    if found.busy.problems:
        names = ", ".join(sorted(found.busy.problems))
        complain(f"a chain of {names} goes on: its results stay, and so do downloads")
    if as_json:
        return
    table = Table()
    for heading in ("what", "of", "number", "size"):
        table.add_column(heading, justify="right" if heading in {"number", "size"} else "left")
    for (kind, about), (number, n_bytes) in leftovers.counted(found.items).items():
        table.add_row(kind.value, escape(about), f"{number:,}", _size(n_bytes))
    if found.items:
        table.add_section()
        table.add_row("all", "", f"{len(found.items):,}", _size(found.n_bytes))
        OUT.print(table)


def _tell_end(found: Leftovers, removed: Iterable[Item], *, is_wanted: bool, as_json: bool) -> None:
    """Print what was done."""
    gone = list(removed)
    n_bytes = sum(one.n_bytes for one in gone)
    if as_json:
        told = {"items": [one.facts for one in found.items], "n_bytes": found.n_bytes}
        print_json(told | {"removed": [one.facts for one in gone], "removed_bytes": n_bytes})
        return
    said = f"removed {counted(len(gone), 'thing')}, {_size(n_bytes)}"
    if not found.items:
        said = f"nothing is left over in {settings().home}"
    elif not is_wanted:
        said = "nothing was removed: add --yes to remove it"
    elif left := len(found.items) - len(gone):
        said += f"; {counted(left, 'thing')} stayed: a chain has begun, or holds it"
    OUT.print(said, highlight=False, markup=False, soft_wrap=True)


def _size(n_bytes: int) -> str:
    """Bytes, as people read them."""
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes} B"
