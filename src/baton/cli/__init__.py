"""The ``baton`` command: the only part of ``baton`` above the flows.

It parses, connects and prints. Processes are in ``serving``, following a chain in ``chain``,
printing in ``show``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from httpx import HTTPError
from pydantic import ValidationError
from rich.console import Console

from baton import options, problems, terms
from baton.chain import manifest, records
from baton.chain.events import Stage
from baton.cli import show
from baton.cli.chain import NOTHING, Server, follow, look, with_events
from baton.errors import InputError
from baton.settings import settings
from baton.showing import notebooks
from baton.sources.secrets import SecretOutOfReachError
from serving.embedded import Addresses, ProcessError, Processes, awaited, is_up, run_embedded
from tasks.platform.places import MANIFEST, NOTEBOOKS

app = App(
    name="baton",
    help="Event-chained machine learning on Prefect: generate → train → evaluate.",
    help_format="markdown",
)

_out = Console()
_err = Console(stderr=True)
_interrupts: list[int] = []
"""Signals that asked this process to end."""

Values = Annotated[
    list[str],
    Parameter(
        name=["-p", "--parameter"],
        negative=(),
        help="KEY=VALUE, a parameter of the problem; `baton problems NAME` lists them.",
    ),
]
Options = Annotated[
    list[str],
    Parameter(
        name=["-p", "--parameter"],
        negative=(),
        help="KEY=VALUE, an option of any chain, such as model; the last of `baton problems NAME`.",
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", negative=(), help="Print one JSON object and nothing else.")
]


@app.command
def run(problem: str, /, *, parameters: Values = [], as_json: AsJson = False) -> int:  # noqa: B006
    """Run one chain of PROBLEM to its end.

    It runs against the server in PREFECT_API_URL if that is set, else in the `baton up` of this
    home if there is one, else with a server of its own that ends with it. All state is kept
    under BATON_HOME (.baton by default).

    Examples
    --------
    `baton run spheres`

    `baton run table -p path=wine.csv -p target=quality`
    """
    console = Console(stderr=True, quiet=as_json and not sys.stderr.isatty()) if as_json else _out
    try:
        chosen = problems.get(problem)
        pairs = _pairs(parameters)
        asked = options.parse(chosen, pairs)
        _check_notebook(asked)
        params = problems.parse(chosen, {k: v for k, v in pairs.items() if k not in asked})
        try:
            chosen.fingerprint(params)
        except SecretOutOfReachError:
            pass  # a stage's process can read it: checked there
        except OSError as error:
            raise InputError(str(error)) from None
        return _run_chain(problem, params.model_dump(mode="json"), asked, console, as_json)
    except InputError as error:
        if as_json:
            _print_json(_nothing(problem, str(error)))
        raise


def _run_chain(
    problem: str,
    parameters: dict[str, Any],
    options: dict[str, Any],
    console: Console,
    as_json: bool,
) -> int:
    def begin(server: Server, chain_of: manifest.Manifest) -> str:
        return server.begin(chain_of, problem, parameters, options)

    labels = terms.Options.model_validate(options).labels
    return _follow(problem, begin, Stage.GENERATE, labels, console, as_json)


def _follow(
    problem: str,
    begin: Callable[[Server, manifest.Manifest], str],
    first: Stage,
    labels: dict[str, str],
    console: Console,
    as_json: bool,
) -> int:
    """Begin a run, watch it and what it starts to the end, and say what came of it."""
    chain_of = manifest.read(MANIFEST)
    with connected(console) as (addresses, check):
        server = Server(addresses.prefect, **_credentials())
        chain = begin(server, chain_of)
        try:
            with show.live(console) as tell:
                seen = follow(
                    server,
                    chain_of,
                    chain,
                    problem,
                    first=first,
                    labels=labels,
                    tell=tell,
                    check=_unless(check),
                )
        except KeyboardInterrupt:  # it may have come in the middle of a request: a new client
            Server(addresses.prefect, **_credentials()).cancel(chain)
            raise
    report = seen.report(settings())
    if as_json:
        _print_json(report)
    else:
        show.outcome(_out, seen, report, _pages(addresses, seen.stages[0].flow_run_id))
    if seen.state == "COMPLETED":
        return 0
    _complain(seen.input_error or seen.failure)
    return 2 if seen.input_error else 1


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
    console = Console(stderr=True, quiet=as_json and not sys.stderr.isatty()) if as_json else _out
    data = records.find(settings(), chain=chain).data
    pairs = _pairs(parameters)
    asked = options.parse(None, pairs)
    found = data.options.model_dump() | {"tune": False} | _fresh(asked)
    _check_notebook(found)
    merged = terms.Options.model_validate(found)
    changes = {"chain": uuid.uuid4().hex[:12], "options": merged}
    again = data.model_copy(update=changes | ({"study": None} if _is_fresh(asked) else {}))
    first = Stage.TUNE if merged.tune else Stage.TRAIN

    def begin(server: Server, _: manifest.Manifest) -> str:
        server.start(first.value, first.value, {"data": again.payload()})
        return again.chain

    return _follow(data.problem, begin, first, merged.labels, console, as_json)


def _check_notebook(options: dict[str, Any]) -> None:
    """Refuse a notebook that is not there, or that nothing could run, before the chain begins."""
    if name := options.get("notebook"):
        notebooks.require()
        notebooks.find(name, notebooks.places(settings(), NOTEBOOKS))


def _fresh(options: dict[str, Any]) -> dict[str, Any]:
    """Options that were asked for; another model takes over nothing of the first one's choice."""
    return ({"model_params": {}, "compare": ()} | options) if _is_fresh(options) else options


def _is_fresh(options: dict[str, Any]) -> bool:
    return "model" in options or options.get("tune", False)


@app.command
def predict(
    problem: str,
    /,
    *,
    parameters: Values = [],  # noqa: B006
    version: int | None = None,
    as_json: AsJson = False,
) -> int:
    """Predict new rows with the newest model of PROBLEM.

    The rows are read as the training rows were, by the same parameters but for those given.

    Examples
    --------
    `baton predict table -p path=new.csv`

    `baton predict taxi -p month=2021-03`

    Parameters
    ----------
    version
        Version of the registered model; the newest if not given.
    """
    console = Console(stderr=True, quiet=as_json and not sys.stderr.isatty()) if as_json else _out
    chosen = problems.get(problem)
    given = problems.partial(chosen, _pairs(parameters))
    asked = {"problem": problem, "parameters": given, "version": version}

    def begin(server: Server, _: manifest.Manifest) -> str:
        return server.start(Stage.PREDICT.value, Stage.PREDICT.value, asked)

    return _follow(problem, begin, Stage.PREDICT, manifest.PLAIN, console, as_json)


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"-p takes KEY=VALUE, got {text!r}")
        if key in pairs:
            raise InputError(f"parameter {key!r} is given twice")
        pairs[key] = value
    return pairs


def _nothing(problem: str, error: str) -> dict[str, Any]:
    """Return the object of a chain that did not begin."""
    return {
        "chain": None,
        "problem": problem,
        "state": "FAILED",
        "stages": [],
        **NOTHING,
        "error": error,
    }


def _credentials() -> dict[str, Any]:
    user, colon, password = settings().prefect_auth_string.get_secret_value().partition(":")
    return {
        "auth": (user, password) if colon else None,
        "key": settings().prefect_api_key.get_secret_value(),
    }


@contextmanager
def connected(
    console: Console, *, serving: bool = True
) -> Iterator[tuple[Addresses, Callable[[], None]]]:
    """Reach a Prefect server: the given one, the standing one, or one for the while."""
    given = settings().prefect_api_url
    if given:
        if not is_up(given):
            raise InputError(
                f"no Prefect server answers at PREFECT_API_URL={given};"
                " start it or unset the variable"
            )
        yield Addresses(0, given), lambda: None
        return
    with console.status("looking for a Baton …") as sign:
        standing = awaited(settings(), sign.update)
    if standing:
        yield standing, lambda: None
        return
    with _started(console, serving=serving, standing=False) as (running, addresses):
        yield addresses, running.check


@contextmanager
def _started(
    console: Console, *, serving: bool, standing: bool, pages: bool = True
) -> Iterator[tuple[Processes, Addresses]]:
    """Run an embedded Baton, with a sign of life until it stands."""
    with ExitStack() as stack:
        with console.status("starting Prefect …") as sign:
            running = run_embedded(
                settings(), sign.update, serving=serving, standing=standing, pages=pages
            )
            entered = stack.enter_context(running)
        yield entered


def _pages(addresses: Addresses, first_run: str | None) -> dict[str, str]:
    if not addresses.pid or addresses.mlflow:
        pages = {"Prefect": f"{addresses.pages}/runs/flow-run/{first_run}"}
        return pages | ({"MLflow": addresses.mlflow} if addresses.mlflow else {})
    return {"pages": "`baton up` shows Prefect's and MLflow's pages of this run"}


@app.command
def up(*, mlflow: bool = True) -> int:
    """Serve the chain until Ctrl-C: Prefect server, serve process and MLflow's pages.

    Other commands of the same home use it. A chain that was interrupted goes on.

    Parameters
    ----------
    mlflow
        Whether to show MLflow's pages; runs are tracked either way.
    """
    if settings().prefect_api_url:
        raise InputError(
            "PREFECT_API_URL is set: unset it for a server of Baton's own, or serve that one by"
            " `python -m serving`"
        )
    with _started(_out, serving=True, standing=True, pages=mlflow) as (running, addresses):
        _out.print(f"Prefect  {addresses.pages}", highlight=False)
        if addresses.mlflow:
            _out.print(f"MLflow   {addresses.mlflow}", highlight=False)
        _out.print("ready; Ctrl-C ends it", highlight=False)
        while True:
            running.check()
            time.sleep(0.5)


@app.command
def status(chain: str = "", /, *, as_json: AsJson = False) -> int:
    """Show the latest chains, or one CHAIN in detail.

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    chain_of = manifest.read(MANIFEST)
    with connected(_err, serving=False) as (addresses, _):
        server = Server(addresses.prefect, **_credentials())
        seen = [
            look(
                server,
                chain_of.stages(begun.stage, begun.labels),
                begun.chain,
                begun.problem,
                begun.since,
            )
            for begun in server.chains(chain)
        ]
        if chain and len(seen) != 1:
            which = "no chain" if not seen else f"{len(seen)} chains"
            raise InputError(f"{which} begin with {chain!r}; `baton status` lists them")
        if chain:
            seen = [with_events(server, chain_of, seen[0])]
    if as_json:
        reports = [one.report(settings()) for one in seen]
        _print_json(reports[0] if chain else reports)
    elif chain:
        show.outcome(_out, seen[0], seen[0].report(settings()), {})
    else:
        show.chain_list(_out, seen)
    return 0


@app.command
def report(chain: str = "", /) -> int:
    """Print the path of the HTML report of the latest chain, or of CHAIN.

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    evaluated = records.find(settings(), chain=chain)
    path = settings().results / evaluated.report.key
    if not path.is_file():
        raise InputError(f"report {path} is gone; run its chain again")
    _out.print(str(path), soft_wrap=True, highlight=False, markup=False)
    return 0


@app.command
def explain(problem: str, /, *, row: int, chain: str = "") -> int:
    """Explain one held-out row of PROBLEM: what drove its prediction.

    Parameters
    ----------
    row
        Row id: the row's position in the raw table, as in predictions.parquet.
    chain
        Id of a chain or its first digits; the problem's latest one if not given.
    """
    from tasks.explaining import explain_row

    problems.get(problem)
    evaluated = records.find(settings(), chain=chain, problem=problem)
    with _err.status("explaining …"):
        explained, picture = explain_row(evaluated, row)
    show.waterfall(_out, explained)
    _out.print(f"picture  {picture}", soft_wrap=True, highlight=False, markup=False)
    return 0


@app.command(name="problems")
def list_problems(problem: str = "", /) -> int:
    """List the problems, or the parameters of one PROBLEM."""
    if problem:
        show.problem_details(_out, problem)
    else:
        show.problem_list(_out)
    return 0


@app.command
def prune() -> int:
    """Remove deployments that no longer stand in prefect.yaml, and automations without one.

    For the server in PREFECT_API_URL or the `baton up` of this home. Only what carries the tag
    `baton` or the chain's own events is looked at.
    """
    from tasks.platform.upkeep import prune as remove

    chain_of = manifest.read(MANIFEST)
    with connected(_err, serving=False) as (addresses, _):
        for name in remove(chain_of, addresses.prefect):
            _out.print(f"removed {name}", highlight=False)
    return 0


def _print_json(content: Any) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _complain(text: str) -> None:
    _err.print(f"baton: {text}", style="red", markup=False, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 failed, 2 bad usage or input, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _complain(f"{' '.join(str(error).split())} See `baton --help`.")
        code = 2
    except InputError as error:
        _complain(str(error))
        code = 2
    except ValidationError as error:
        _complain(_setting(error))
        code = 2
    except ProcessError as error:
        _complain(str(error))
        code = 1
    except HTTPError as error:
        _complain(f"the Prefect server did not answer as expected: {' '.join(str(error).split())}")
        code = 1
    except KeyboardInterrupt:
        _complain("interrupted")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    raise SystemExit(code or 0)


def _setting(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "a setting"
    return f"setting BATON_{name.upper()}: {first['msg']}, got {first.get('input')!r}"


def _interrupt(signum: int, _: Any) -> None:
    _interrupts.append(signum)
    raise KeyboardInterrupt


def _unless(check: Callable[[], None]) -> Callable[[], None]:
    """Return the check, and stop also where an interrupt was lost: a finalizer swallows it."""

    def checked() -> None:
        if _interrupts:
            raise KeyboardInterrupt
        check()

    return checked
