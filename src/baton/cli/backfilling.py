"""The command that makes up for periods that were not predicted, or not trained: ``backfill``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from baton import problems
from baton.chain import periods
from baton.chain.events import ModelPromoted, Stage
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import Begun, ChainRun, Json, StageRun
from baton.cli.app import ERR, OUT, AsJson, Values, Whole, app, complain, pairs, print_json
from baton.cli.connection import connected, noticed, server_at
from baton.cli.following import Patience, follow
from baton.cli.interrupts import unless_interrupted
from baton.cli.running import of_period, order_of
from baton.errors import InputError
from baton.words.text import number
from serving.embedded import Addresses
from tasks.platform import orders
from tasks.platform.api import ApiError
from tasks.platform.places import MANIFEST
from tasks.platform.server import Order

_CANCEL_SECONDS = 6.0
"""After these a server that hangs keeps nobody who wants to leave."""

AtOnce = Annotated[
    int,
    Whole,
    Parameter(validator=Number(gte=1, lte=64), help="Periods that are at work at the same time."),
]
What = Literal["predict", "train"]
Wanted = Mapping[str, Callable[[], Order]]
"""Makes the order of each period's chain."""


@app.command
def backfill(
    what: What,
    problem: str,
    /,
    *,
    start: str,
    end: str,
    parallel: AtOnce = 2,
    parameters: Values = [],  # noqa: B006
    version: Annotated[int | None, Whole] = None,
    as_json: AsJson = False,
) -> int:
    """Predict, or train on, the periods of PROBLEM from one to another, each once.

    `{period}` in a parameter stands for the period. Twice changes nothing: what was predicted
    before stays as it is, and what was trained on the same data is found. A period that cannot be
    done does not keep the others. Of models that are trained the gate decides about each, in the
    order in which they end: with `--parallel 1` that of the periods.

    Ctrl-C cancels the chains that have begun and says which; the same command goes on with the
    rest.

    Examples
    --------
    `baton backfill predict taxi --start 2021-01 --end 2021-06 -p month={period}`

    `baton backfill train taxi --start 2021-01 --end 2021-06 -p train={period} --parallel 1`

    Parameters
    ----------
    what
        What is made up for: predictions, or whole chains that train.
    start
        First period: a year, month, day or hour, such as 2021-01.
    end
        Last one, alike.
    version
        Version of the registered model that predicts; the champion if not given.
    """
    wanted = periods.between(start, end)
    of_what = _predictions if what == "predict" else _trainings
    chains = of_what(problem, pairs(parameters), wanted, version)
    console, found = (ERR if as_json else OUT), {}
    with connected(console) as (addresses, check):
        patience = Patience(unless_interrupted(check), noticed(console))
        work = Work(addresses, read_manifest(MANIFEST), patience)
        try:
            for period, seen in work.ended(chains, parallel):
                found[period] = _facts(period, seen)
                console.print(_line(found[period]), markup=False, highlight=False, soft_wrap=True)
        except KeyboardInterrupt:
            _tell_cancelled(work.cancelled(), n_left=len(wanted) - len(found))
            raise
        finally:
            if as_json:
                print_json([found[one] for one in wanted if one in found])
    return _exit_code([found[one] for one in wanted])


def _predictions(
    problem: str, given: dict[str, str], wanted: list[str], version: int | None
) -> Wanted:
    """Chains that predict the periods' rows."""
    parameters = of_period(problems.get(problem), given, wanted[0])
    content = {"problem": problem, "parameters": parameters, "version": version, "is_past": True}

    def order(period: str) -> Order:
        return Order(problem, Stage.PREDICT, content | {"period": period})

    return {one: lambda one=one: order(one) for one in wanted}  # type: ignore[misc]


def _trainings(
    problem: str, given: dict[str, str], wanted: list[str], version: int | None
) -> Wanted:
    """Chains that train on the periods' rows, which are looked at when their turn comes."""
    if version is not None:
        raise InputError("--version is for predictions: a training makes a version")
    if not periods.is_named(given):
        raise InputError(
            "{period} stands in no parameter; such as -p path=months/{period}.csv, or for taxi"
            " -p train={period}"
        )
    orders.data_set(problem, periods.filled(given, wanted[0]))  # refused before anything begins

    def order(period: str) -> Order:
        return order_of(problem, periods.filled(given, period))

    return {one: lambda one=one: order(one) for one in wanted}  # type: ignore[misc]


@dataclass
class Work:
    """Chains of periods, some at the same time, and those of them that are going."""

    addresses: Addresses
    manifest: Manifest
    patience: Patience
    _going: dict[str, Begun] = field(default_factory=dict)
    _futures: dict[Any, str] = field(default_factory=dict)

    def ended(self, wanted: Wanted, parallel: int) -> Iterator[tuple[str, ChainRun]]:
        """Chain of each period, as they end."""
        pool = ThreadPoolExecutor(parallel)
        self._futures = {
            pool.submit(self._run, period, order): period for period, order in wanted.items()
        }
        try:
            for done in as_completed(self._futures):
                yield self._futures[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, period: str, order: Callable[[], Order]) -> ChainRun:
        self.patience.check()
        server = server_at(self.addresses)
        try:
            asked = order()
        except InputError as error:
            failed = StageRun(Stage.GENERATE, state="FAILED", input_error=str(error))
            return ChainRun("", "", (failed,))
        self._going[period] = begun = server.begin(asked, self.manifest)
        seen = follow(server, self.manifest, begun, tell=lambda _: None, patience=self.patience)
        del self._going[period]
        return seen

    def cancelled(self) -> dict[str, str]:
        """Cancel what is going; state of each period's chain then, with its id."""
        wait(self._futures, timeout=_CANCEL_SECONDS)  # those that were about to begin one
        end, going = time.monotonic() + _CANCEL_SECONDS, dict(self._going)
        with ThreadPoolExecutor(max(len(going), 1)) as pool:
            said = pool.map(lambda one: self._cancel(one, end), going.values())
            return dict(zip(going, said, strict=True))

    def _cancel(self, begun: Begun, end: float) -> str:
        stages = self.manifest.stages(begun.stage, begun.labels)
        try:
            seen = server_at(self.addresses, waits=(), until=end).cancel(begun, stages)
        except ApiError as error:
            return f"chain {begun.chain_id} could not be cancelled: {error}"
        said = {"RUNNING": "still running"}.get(seen.state, seen.state.lower())
        return f"chain {begun.chain_id} is {said}"


def _tell_cancelled(cancelled: Mapping[str, str], n_left: int) -> None:
    """Say what became of the chains that had begun."""
    for period, said in sorted(cancelled.items()):
        complain(f"{period}: {said}")
    complain(f"{n_left} periods are left; what was made stays, and the same command goes on")


def _facts(period: str, seen: ChainRun) -> Json:
    """What came of a period."""
    ready, evaluated = seen.predicted, seen.evaluated
    model = ready.model if ready else evaluated.model if evaluated else None
    metric = evaluated.data.headline if evaluated else None
    decided = isinstance(seen.decided, ModelPromoted) if seen.decided else None
    return {
        "period": period,
        "chain": seen.id or None,
        "state": seen.state,
        "cached": all(run.is_cached for run in seen.stages if run.stage in _MAKING),
        "n_rows": ready.predictions.n_rows if ready else None,
        "version": model.version if model else None,
        "metric": metric,
        "value": evaluated.scores.get(metric) if evaluated and metric else None,
        "promoted": decided,
        "error": seen.input_error or seen.failure or None,
        "is_input_error": bool(seen.input_error),
    }


_MAKING = {Stage.PREDICT, Stage.GENERATE, Stage.TUNE, Stage.TRAIN, Stage.EVALUATE}
"""Stages that make what is asked for; what follows them looks at it."""


def _line(made: Json) -> str:
    if made["error"]:
        return f"{made['period']}  failed: {made['error']}"
    if made["state"] == "PAUSED":
        return f"{made['period']}  waits for approval: `baton approve {made['chain']}`"
    if made["value"] is not None:
        how = "as before" if made["cached"] else "trained"
        decided = ", promoted" if made["promoted"] else ", not promoted"
        score = f"{made['metric']} {number(made['value'])}"
        return f"{made['period']}  {how}: version {made['version']}, {score}{decided}"
    how = "as before" if made["cached"] else "done"
    if made["n_rows"] is None:  # its event is not readable yet
        return f"{made['period']}  {how}"
    how = "as before" if made["cached"] else "predicted"
    return f"{made['period']}  {made['n_rows']:,} rows {how}, by version {made['version']}"


def _exit_code(made: list[Json]) -> int:
    failed = [one for one in made if one["error"]]
    if not failed:
        return 0
    complain(f"{len(failed)} of {len(made)} periods failed: {failed[0]['error']}")
    return 2 if all(one["is_input_error"] for one in failed) else 1
