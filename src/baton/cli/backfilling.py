"""The command that makes up for periods that were not predicted: ``backfill``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from baton import problems
from baton.chain import periods
from baton.chain.events import Stage
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import ChainRun, Json
from baton.cli.app import ERR, OUT, AsJson, Values, app, complain, pairs, print_json
from baton.cli.connection import connected, noticed, server_at
from baton.cli.following import Patience, follow
from baton.cli.interrupts import unless_interrupted
from baton.cli.running import of_period
from serving.embedded import Addresses
from tasks.platform.places import MANIFEST
from tasks.platform.server import Order

AtOnce = Annotated[
    int,
    Parameter(validator=Number(gte=1, lte=64), help="Periods that are predicted at the same time."),
]


@app.command
def backfill(
    what: Literal["predict"],
    problem: str,
    /,
    *,
    start: str,
    end: str,
    parallel: AtOnce = 2,
    parameters: Values = [],  # noqa: B006
    version: int | None = None,
    as_json: AsJson = False,
) -> int:
    """Predict the periods of PROBLEM from one to another, each once: twice changes nothing.

    `{period}` in a parameter stands for the period. What was predicted before stays as it is. A
    period that cannot be predicted does not keep the others.

    Examples
    --------
    `baton backfill predict taxi --start 2021-01 --end 2021-06 -p month={period}`

    Parameters
    ----------
    what
        The stage that is made up for.
    start
        First period: a year, month, day or hour, such as 2021-01.
    end
        Last one, alike.
    version
        Version of the registered model; the champion if not given.
    """
    del what  # there is one
    chosen, wanted = problems.get(problem), periods.between(start, end)
    given = of_period(chosen, pairs(parameters), wanted[0])
    content = {"problem": problem, "parameters": given, "version": version, "is_past": True}
    orders = {one: Order(problem, Stage.PREDICT, content | {"period": one}) for one in wanted}
    console, found = (ERR if as_json else OUT), {}
    with connected(console) as (addresses, check):
        patience = Patience(unless_interrupted(check), noticed(console))
        for period, seen in _ended(orders, addresses, patience, parallel):
            found[period] = _facts(period, seen)
            console.print(_line(found[period]), markup=False, highlight=False, soft_wrap=True)
    made = [found[one] for one in wanted]
    if as_json:
        print_json(made)
    return _exit_code(made)


def _ended(
    orders: dict[str, Order], addresses: Addresses, patience: Patience, parallel: int
) -> Iterator[tuple[str, ChainRun]]:
    """Chain of each period, as they end."""
    manifest = read_manifest(MANIFEST)

    def run(order: Order) -> ChainRun:
        server = server_at(addresses)
        begun = server.begin(order, manifest)
        return follow(server, manifest, begun, tell=lambda _: None, patience=patience)

    with ThreadPoolExecutor(parallel) as pool:
        futures = {pool.submit(run, order): period for period, order in orders.items()}
        try:
            for done in as_completed(futures):
                yield futures[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _facts(period: str, seen: ChainRun) -> Json:
    """What came of a period."""
    ready, predict = seen.predicted, seen.stages[0]
    return {
        "period": period,
        "chain": seen.id,
        "state": seen.state,
        "cached": predict.is_cached,
        "n_rows": ready.predictions.n_rows if ready else None,
        "version": ready.model.version if ready else None,
        "error": seen.input_error or seen.failure or None,
        "is_input_error": bool(seen.input_error),
    }


def _line(made: Json) -> str:
    if made["error"]:
        return f"{made['period']}  failed: {made['error']}"
    how = "as before" if made["cached"] else "predicted"
    if made["n_rows"] is None:  # its event is not readable yet
        return f"{made['period']}  {how}"
    return f"{made['period']}  {made['n_rows']:,} rows {how}, by version {made['version']}"


def _exit_code(made: list[Json]) -> int:
    failed = [one for one in made if one["error"]]
    if not failed:
        return 0
    complain(f"{len(failed)} of {len(made)} periods failed: {failed[0]['error']}")
    return 2 if all(one["is_input_error"] for one in failed) else 1
