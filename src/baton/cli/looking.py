"""Commands that look at what is there: ``status``, ``report``, ``compare``, ``models`` and more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from baton import chains, problems
from baton.atomic import write_bytes
from baton.chain import outcome, records, stored
from baton.chain import status as standing
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import Json
from baton.chain.status import Status
from baton.cli import show
from baton.cli.app import ERR, OUT, AsJson, Whole, app, print_json
from baton.cli.browser import open_page
from baton.cli.connection import (
    away,
    connected,
    is_there,
    place_looked_in,
    require_there,
    server_at,
)
from baton.cli.following import with_events
from baton.errors import InputError
from baton.settings import settings
from baton.showing.compared import Compared, side_by_side
from serving.embedded import private
from tasks.platform.places import MANIFEST
from tasks.platform.server import Server

IsOpened = Annotated[
    bool, Parameter(name="--open", negative=(), help="Open it in the browser as well.")
]
OutFile = Parameter(name="--out", help="HTML page to write it to as well.")


@app.command
def status(chain: str = "", /, *, as_json: AsJson = False) -> int:
    """Show the latest chains, or one CHAIN in detail.

    Of each: when it began, what it learns from which file, the model, its score on the rows held
    out (the metric that decides), its state, and what it waits for while it is not over: a
    person's approval, whoever takes its next run, or a stage that runs, and since when.

    Examples
    --------
    `baton status`

    `baton status 3f9c1a --json`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    seen, now = _seen(chain), datetime.now(UTC)
    is_elsewhere = bool(settings().prefect_api_url)
    made = [_object(one, now, is_elsewhere=is_elsewhere) for one in seen]
    if as_json:
        print_json(made[0] if chain else made)
    elif chain:
        show.outcome(OUT, seen[0].chain, made[0], {})
        show.chain_facts(OUT, seen[0], now)
    else:
        show.chain_list(OUT, seen, now, place_looked_in())
    return 0


def _object(seen: Status, now: datetime, *, is_elsewhere: bool) -> Json:
    """What came of a chain, and what is known of it while there is no more."""
    made = outcome.of_chain(seen.chain, settings().results, is_elsewhere=is_elsewhere)
    known = standing.facts(seen, now).items()
    return made | {name: value for name, value in known if made.get(name) is None}


def _seen(chain: str) -> list[Status]:
    """The chain asked for, or the latest ones; no home is made to see that there is none."""
    if not chain and not is_there():
        return []
    require_there(chain)
    manifest = read_manifest(MANIFEST)
    with connected(ERR, serving=False) as (addresses, _):
        server = server_at(addresses)
        return [_one(server, manifest, chain)] if chain else server.statuses(manifest)


def _one(server: Server, manifest: Manifest, beginning: str) -> Status:
    """The one chain whose id begins so, with what it made."""
    seen = server.statuses(manifest, beginning)
    if len(seen) != 1:
        which = f"{len(seen) or 'no'} chains {place_looked_in()}"
        raise InputError(f"{which} begin with {beginning!r}; `baton status` lists them")
    return replace(seen[0], chain=with_events(server, manifest, seen[0].chain))


@app.command
def report(chain: str = "", /, *, is_opened: IsOpened = False, as_json: AsJson = False) -> int:
    """Print the path of the HTML report of the latest chain, or of CHAIN; `--open` opens it.

    Where there is no browser, or no display, that is said, and the path is there to be copied.

    Examples
    --------
    `baton report --open`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    evaluated = records.find(settings(), chain_id=chain)
    path = stored.brought(settings().results, evaluated.report)
    if not path.is_file():
        raise InputError(f"report {path} is gone; run its chain again")
    if as_json:
        print_json({"chain": evaluated.chain, "report": str(path)})
    else:
        OUT.print(str(path), soft_wrap=True, highlight=False, markup=False)
    if is_opened:
        open_page(path)
    return 0


@app.command
def compare(
    a: str, b: str, /, *, as_json: AsJson = False, out: Annotated[Path | None, OutFile] = None
) -> int:
    """Set two chains side by side: what was chosen otherwise, and by how much their scores differ.

    Differences are of the same held-out rows, with a 95 % interval; where the rows differ, that is
    said instead.

    Examples
    --------
    `baton compare 3f9c1a 7d20b4`

    `baton compare wine-quality wine-quality-2`

    Parameters
    ----------
    a
        Id of a chain or its first digits, or a problem's or model's name: its latest chain.
    b
        The other one; its differences are B less A.
    """
    found = chains.compare(a, b, home=settings().home)
    if out is not None:
        write_page(out, found)
    if as_json:
        print_json(found.as_json())
    else:
        show.compared(OUT, found)
    return 0


def write_page(path: Path, found: Compared) -> None:
    """Write a comparison as a page.

    Raises
    ------
    InputError
        If it cannot be written there.
    """
    try:
        write_bytes(path, side_by_side(found).encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


@app.command
def explain(problem: str, /, *, row: Annotated[int, Whole], chain: str = "") -> int:
    """Explain one held-out row of PROBLEM: what drove its prediction.

    Parameters
    ----------
    row
        Row id: the row's position in the raw table, as in predictions.parquet.
    chain
        Id of a chain or its first digits; the problem's latest one if not given.
    """
    with away():
        from tasks.explaining import explain_row

    problems.get(problem)
    evaluated = records.find(settings(), chain_id=chain, problem=problem)
    with private(), ERR.status("explaining …"):
        explained, picture = explain_row(evaluated, row)
    show.waterfall(OUT, explained)
    OUT.print(f"picture  {picture}", soft_wrap=True, highlight=False, markup=False)
    return 0


@app.command(name="models")
def list_models(problem: str = "", /, *, as_json: AsJson = False) -> int:
    """List the registered models, or those of one PROBLEM: newest version, champion, target."""
    with away():
        from tasks.platform.tracking import registered_models

    if problem:
        problems.get(problem)
    with private():
        found = registered_models(problem)
    if as_json:
        print_json([show.model_facts(one) for one in found])
    else:
        show.model_list(OUT, found, place_looked_in())
    return 0


@app.command(name="problems")
def list_problems(problem: str = "", /) -> int:
    """List the problems, or the parameters of one PROBLEM."""
    if problem:
        show.problem_details(OUT, problem)
    else:
        show.problem_list(OUT)
    return 0
