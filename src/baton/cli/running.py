"""Commands that run something to its end: ``run``, ``train``, ``predict``."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from baton import choice, options, problems, terms
from baton.chain import outcome, periods, records, stored
from baton.chain.events import DatasetReady, Stage, registered_name
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import Begun
from baton.cli import show
from baton.cli.answers import Answers, Wish
from baton.cli.app import OUT, AsJson, Options, Values, Whole, app, complain, pairs, print_json
from baton.cli.connection import Reached, away, connected, noticed, server_at
from baton.cli.following import Patience, exit_code_of, follow
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError, NoModelError
from baton.settings import settings
from baton.sources import piped as piping
from baton.sources.places import PIPED
from baton.stores import shelf
from serving.embedded import Addresses, private
from tasks.platform import orders
from tasks.platform.api import ApiError
from tasks.platform.places import MANIFEST
from tasks.platform.server import Order, Server

_CANCEL_SECONDS = 6.0
"""After these a server that hangs keeps nobody who wants to leave."""

IsWatched = Annotated[
    bool,
    Parameter(
        name="--progress",
        negative=(),
        show=False,
        help="Say on stderr how far each stage is, also beside `--json`.",
    ),
]


@app.command
def run(
    problem: str,
    /,
    *,
    parameters: Values = [],  # noqa: B006
    as_json: AsJson = False,
    is_watched: IsWatched = False,
) -> int:
    """Run one chain of PROBLEM to its end.

    It runs against the server in PREFECT_API_URL if that is set, else in the `baton up` of this
    home if there is one, else with a server of its own that ends with it. All state is kept
    under BATON_HOME (.baton by default). What earlier chains made is taken from there; `-p
    fresh=true` reads the source again.

    Examples
    --------
    `baton run spheres`

    `baton run table -p path=wine.csv -p target=quality`
    """
    try:
        order = order_of(problem, pairs(parameters))
        return _carry_out(order, console_for(as_json, is_watched), as_json)
    except InputError as error:
        if as_json:
            print_json(outcome.never_begun(problem, str(error)))
        raise


def order_of(problem: str, given: Mapping[str, Any]) -> Order:
    """Chain of a problem by what ``-p`` was given, after checking what can be checked here."""
    chosen = problems.get(problem)
    asked = orders.data_set(problem, _piped(chosen, dict(given)))
    try:
        orders.look_at(asked)
    except OSError as error:
        raise InputError(str(error)) from None
    return Order.of(asked)


@app.command
def train(
    chain: str = "",
    /,
    *,
    parameters: Options = [],  # noqa: B006
    as_json: AsJson = False,
) -> int:
    """Train again on the data of an earlier CHAIN, without making them anew.

    It begins a chain of its own, at the stage `train`. Without CHAIN, the latest one's data.

    Examples
    --------
    `baton train 3f9c1a -p model=random_forest`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    data = records.find(settings(), chain_id=chain).data
    asked = options.parse(None, pairs(parameters))
    asked = orders.with_places(problems.get(data.problem), asked)
    return _carry_out(order_again(data, asked), console_for(as_json), as_json)


def order_again(data: DatasetReady, asked: dict[str, Any]) -> Order:
    """Chain that trains on the data of another one.

    Another model, or a search, takes over nothing of the first one's choice of hyperparameters.
    """
    is_fresh = "model" in asked or "quality" in asked or asked.get("tune", False)
    forgotten: dict[str, Any] = {"model_params": {}, "compare": ()} if is_fresh else {}
    is_other = is_fresh or "compare" in asked
    if is_other:
        forgotten |= {"quality": None, "minutes": None}
    if "quality" in asked:
        forgotten["model"] = terms.Quality(asked["quality"]).family
    found = data.options.model_dump() | {"tune": False} | forgotten | asked
    orders.check_notebook(found)
    merged = terms.Options.model_validate(found)
    chain_id = uuid.uuid4().hex[:12]
    changes = {"chain": chain_id, "options": merged} | ({"study": None} if is_other else {})
    changes |= _decided(data, merged)
    content = {"data": data.model_copy(update=changes).payload()}
    first = Stage.TUNE if merged.tune else Stage.TRAIN
    return Order(data.problem, first, content, merged.labels, chain_id)


def _decided(data: DatasetReady, asked: terms.Options) -> dict[str, Any]:
    """What decides, settled anew by what is asked for; as it was where the tables are not here."""
    choice.refuse_other_kind(asked.model_dump(), data.kind)
    facts = stored.lineage(settings().results, data.features)
    return choice.settled(facts, asked) if "goal" in facts else {}


@app.command
def predict(
    problem: str,
    /,
    *,
    parameters: Values = [],  # noqa: B006
    version: Annotated[int | None, Whole] = None,
    period: str = "",
    out: str = "",
    id: str = "",
    like: str = "",
    answers: Answers | None = None,
    as_json: AsJson = False,
) -> int:
    """Predict new rows with the champion of PROBLEM.

    The rows are read as the training rows were, by the same parameters but for those given. Of
    several tables' models, `-p name=` or `-p target=` says which; `baton models` lists them.

    The terminal shows the first answers and warns of cells that cannot be read as their column
    and of categories that the model does not know; the table new_doubts lists them by row. `--out`
    writes the answers to a file, a row for each row of the input, in its order.

    Examples
    --------
    `baton predict table -p path=new.csv -p name=wine-quality`

    `baton predict table -p path=new.csv --out answers.csv --id wine --answers probabilities`

    `baton predict taxi -p month=2021-03`

    Parameters
    ----------
    version
        Version of the registered model; the champion if not given, or the newest where there is
        none.
    period
        Year, month, day or hour, such as 2021-03, that `{period}` in a parameter stands for. It is
        predicted once: asked for again, what was answered then is answered.
    out
        File to write the answers to: .csv, .tsv or .parquet.
    id
        Column of the new rows to carry into that file; the row's number if not given.
    like
        File whose header the answers take, such as a competition's sample submission. A column of
        it is one of the new rows, the target, or a class, whose probability it takes.
    answers
        labels, the default; probabilities: of every class, or of the second of two in one column
        of `--like`; intervals: a number between its low and high.
    """
    wish = Wish.of(out, id, like, answers)
    chosen = problems.get(problem)
    given = of_period(chosen, _piped(chosen, pairs(parameters)), period)
    _require_model(problem, given, version)
    if wish:
        here = periods.filled(given, period)
        wish.require_id(chosen.new_columns(here), str(here.get("path", "the new rows")))
    content = {"problem": problem, "parameters": given, "version": version, "period": period}
    order = Order(problem, Stage.PREDICT, content)
    return _carry_out(order, console_for(as_json), as_json, wish)


def of_period(chosen: problems.Problem[Any], given: dict[str, str], period: str) -> dict[str, Any]:
    """Parameters of new rows, checked as they are for a period that `{period}` stands for.

    Raises
    ------
    InputError
        If one is unknown or ill-typed, or if there is a period and nothing depends on it.
    """
    if not period:
        return problems.partial(chosen, given)
    if not periods.is_named(given):
        raise InputError(
            "--period: {period} stands in no parameter; such as -p path=new/{period}.csv"
        )
    periods.parse(period)
    return {
        name: _with_place(chosen, name, value) if periods.is_named(value) else checked
        for (name, value), checked in zip(
            given.items(),
            problems.partial(chosen, periods.filled(given, period)).values(),
            strict=True,
        )
    }


def _with_place(chosen: problems.Problem[Any], name: str, value: str) -> Any:
    """Parameter in which the period is still to be put in: a path is made absolute."""
    try:
        return problems.partial(chosen, {name: value})[name]
    except InputError:  # it takes a period alone, such as a month
        return value


def _piped(chosen: problems.Problem[Any], given: dict[str, str]) -> dict[str, str]:
    """Parameters, what a pipe sends kept as a file that a stage's process can read."""
    piped = [name for name in chosen.piped if given.get(name) == PIPED]
    if not piped:
        return given
    with private():
        place = piping.keep(sys.stdin.buffer, settings().home)
        shelf.put(place)
    return given | {piped[0]: shelf.seen(place)}


def _require_model(problem: str, given: dict[str, Any], version: int | None) -> None:
    """Refuse a prediction without a model before its chain begins, where that can be known here.

    MLflow takes seconds to be asked, so it is asked only where this home's chains do not say.
    """
    if settings().prefect_api_url or settings().mlflow_tracking_uri:
        return
    if not (settings().mlflow / "mlflow.db").exists():
        raise NoModelError(
            f"there is no model of {problem} in {settings().home}; `baton run {problem}` trains one"
        )
    chosen = problems.get(problem)
    asked = {name: given.get(name) for name in chosen.names_models}
    if version is None and _has_trained(problem, asked):
        return
    with away():
        from tasks.platform.tracking import model_for, newest_version

    with private():
        newest_version(model_for(chosen, asked), problem, version)


def _has_trained(problem: str, asked: dict[str, Any]) -> bool:
    """Tell whether a chain of this home has ended with the model that is asked for."""
    known = records.names_of_models(settings(), problem)
    if name := asked.get("name"):
        return registered_name(problem, name) in known
    return len(known) == 1 and not any(asked.values())


def console_for(as_json: bool, is_watched: bool = False) -> Console:
    """Where progress is shown: beside JSON on stderr, and there only to those who look."""
    if not as_json:
        return OUT
    return Console(stderr=True, quiet=not (is_watched or sys.stderr.isatty()))


def _carry_out(order: Order, console: Console, as_json: bool, wish: Wish | None = None) -> int:
    return carry_out(lambda *_: order, console, as_json, wish)


def carry_out(
    order_of: Callable[[Server, Manifest], Order],
    console: Console,
    as_json: bool,
    wish: Wish | None = None,
) -> int:
    """Begin a chain, watch it to its end, and say what came of it.

    Parameters
    ----------
    order_of : callable
        Makes the chain's order, told of the server and of prefect.yaml.
    console : Console
        Where progress is shown.
    as_json : bool
    wish : Wish, optional
        What is to be written of what was predicted.
    """
    manifest = read_manifest(MANIFEST)
    with connected(console) as (addresses, check):
        reached = Reached(addresses)
        begun = reached.server.begin(order_of(reached.server, manifest), manifest)
        again = reached.again if addresses.secret else None
        patience = Patience(unless_interrupted(check), noticed(console), again)
        try:
            with show.live(console) as tell:
                seen = follow(reached.server, manifest, begun, tell=tell, patience=patience)
        except KeyboardInterrupt:
            _cancel(reached.addresses, begun, manifest, as_json)
            raise
    made = outcome.of_chain(seen, settings().results, is_elsewhere=not addresses.pid)
    if wish and seen.predicted:
        predictions = stored.checked(settings().results, seen.predicted.predictions)
        wish.write(predictions, seen.predicted.target)
        made["answers"] = str(wish.out)
    if as_json:
        print_json(made)
    else:
        pages = _pages(reached.addresses, seen.stages[0].flow_run_id)
        show.outcome(OUT, seen, made, pages)
    return exit_code_of(seen)


def _cancel(addresses: Addresses, begun: Begun, manifest: Manifest, as_json: bool) -> None:
    """Cancel a chain and say so; the interrupt may have come in a request: a new client."""
    stages = manifest.stages(begun.stage, begun.labels)
    end = time.monotonic() + _CANCEL_SECONDS
    try:
        seen = server_at(addresses, waits=(), until=end).cancel(begun, stages)
    except ApiError as error:
        complain(f"chain {begun.chain_id} could not be cancelled: {error}")
        return
    said = {"RUNNING": "still running"}.get(seen.state, seen.state.lower())
    complain(f"chain {begun.chain_id} is {said}; what its stages have made stays")
    if as_json:
        print_json(outcome.of_chain(seen, settings().results))


def _pages(addresses: Addresses, first_run: str | None) -> dict[str, str]:
    if not addresses.pid or addresses.mlflow:
        pages = {"Prefect": addresses.prefect_page(f"/runs/flow-run/{first_run}")}
        return pages | ({"MLflow": addresses.mlflow_page} if addresses.mlflow else {})
    return {"pages": "`baton up` shows Prefect's and MLflow's pages of this run"}
