"""Prefect's internals: whatever reaches behind its public face, and nothing else does.

Each reach says what it does, why it is needed, and what is the case without it: slower, and
otherwise the same. Prefect is imported inside the functions, so that a light process stays one.
``tests/integration/test_prefect_internals.py`` proves of each that it is needed and that it works;
one that is needed no more goes.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar, copy_context
from datetime import timedelta
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from baton.internals import reach

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun
    from prefect.runner import Runner


@reach("Prefect's runner lets nobody say how a run is started: runs start cold")
def start_runs_by(
    runner: Runner, command: Callable[[], str], entrypoint: Callable[[FlowRun], str | None]
) -> bool:
    """Let a runner that was entered start its runs by another command than its own.

    Prefect's runner starts ``python -m prefect.engine`` for each run, which imports for seconds;
    only a worker's command can be set. Without: runs start cold.

    Parameters
    ----------
    runner : Runner
    command : callable
        Makes ready what the command needs and returns it; called once, where it can be used.
    entrypoint : callable
        Says where the flow of a run is, so that the run does not ask the server; None to let it.
    """
    poller: Any = runner._scheduled_run_poller
    stock = poller._resolve_starter
    line = command()

    def resolve(flow_run: FlowRun) -> Any:
        starter = stock(flow_run)
        _set_command(starter, line)
        if place := entrypoint(flow_run):
            _set_entrypoint(starter, place)
        return starter

    poller._resolve_starter = resolve
    return True


@reach("Prefect's runner lets nobody choose among runs: all that are due begin at once")
def take_turns(
    runner: Runner,
    has_room: Callable[[set[UUID]], bool],
    chosen: Callable[[list[FlowRun], set[UUID]], list[FlowRun]],
) -> bool:
    """Let a runner that was entered begin only the runs that are chosen.

    Prefect's runner can be given a limit, but takes the oldest, and a run that waits for others
    to begin keeps them out for ever. Without: all that are due begin at once.

    Parameters
    ----------
    runner : Runner
    has_room : callable
        Asked, with the ids of the runs that are going, before the server is asked.
    chosen : callable
        Picks those that begin now from those that are due, told what is going.
    """
    poller: Any = runner._scheduled_run_poller
    stock, going = poller._get_scheduled_flow_runs, poller._submitting_flow_run_ids

    async def due() -> list[FlowRun]:
        if not has_room(going):
            return []
        return chosen([run for run in await stock() if run.id not in going], going)

    poller._get_scheduled_flow_runs = due
    return True


@reach("Prefect's runner asks for runs at fixed times: each waits for the next one")
def ask_in_time(
    runner: Runner, due: Callable[[], Awaitable[None]], ended: Callable[[], None]
) -> bool:
    """Let a runner that was entered ask for runs when it is time to, and never otherwise.

    Prefect's runner asks again after so many seconds, whether there is anything or not. Without:
    just that.

    Parameters
    ----------
    runner : Runner
    due : callable
        Returns when the server is to be asked.
    ended : callable
        Called whenever a run has ended.
    """
    poller: Any = runner._scheduled_run_poller
    ask, submit, _ = poller._get_scheduled_flow_runs, poller._submit_run, poller._query_seconds

    async def asked() -> list[FlowRun]:
        await due()
        found: list[FlowRun] = await ask()
        return found

    async def submitted(*run: Any) -> None:
        try:
            await submit(*run)
        finally:
            ended()

    poller._get_scheduled_flow_runs, poller._submit_run = asked, submitted
    poller._query_seconds = 0.0
    return True


@reach("Prefect's runner takes no deployment that stands: each is told anew")
def serve_standing(runner: Runner, deployment: UUID, name: str) -> bool:
    """Let a runner serve a deployment that the server has already.

    Prefect's runner can only be given one that it writes anew, with its automations, a tenth of a
    second each. Without: just that.

    Parameters
    ----------
    runner : Runner
    deployment : UUID
        Its id on the server.
    name : str
    """
    runner._deployment_registry.register_deployment(deployment, name)
    return True


@reach("Prefect starts a run by no command that can be set: runs start cold")
def _set_command(starter: Any, command: str) -> None:
    if starter._command is None:
        starter._command = command


@reach("Prefect tells no run where its flow is: each asks the server")
def _set_entrypoint(starter: Any, entrypoint: str) -> None:
    if starter._entrypoint is None:
        starter._entrypoint = entrypoint


@reach("Prefect watches for suspensions otherwise: each run begins when it does")
def watch_suspension_aside() -> bool:
    """Let runs of this process begin while what watches for their suspension still connects.

    Prefect waits for that connection before the first line of a run, a sixth of a hop, and
    for its end after the last one. Without: runs wait.
    """
    engine: Any = import_module("prefect.flow_engine")
    engine.observe_flow_run_suspension = partial(_aside, engine.observe_flow_run_suspension)
    return True


@contextmanager
def _aside(
    watched: Callable[..., AbstractContextManager[Any]], *args: Any, **options: Any
) -> Iterator[None]:
    """Enter a context in a thread of its own, and do not wait for it."""
    ended = Event()

    def watch() -> None:
        with watched(*args, **options):
            ended.wait()

    Thread(target=copy_context().run, args=(watch,), daemon=True, name="suspension").start()
    try:
        yield
    finally:
        ended.set()


@reach("Prefect's settings cannot be read again: runs start cold")
def read_settings_again() -> bool:
    """Let Prefect read its settings from the environment as it is now.

    A fork has what the template had read from its own, which names no run. Without: nothing is
    forked.
    """
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    return True


@reach("Prefect's clients do not share certificates: each one reads them")
def share_certificates(*, are_read: bool = False) -> bool:
    """Let the clients of this process share one TLS context for each file of certificates.

    Prefect reads them for every client that it makes, a tenth of a second each, also where the
    server's address has no TLS; a stage makes dozens. The contexts are used by nothing but
    Prefect's clients, which set all of them alike. Without: each client reads them.

    Parameters
    ----------
    are_read : bool
        Read the system's now, for processes that are forked from this one.
    """
    orchestration: Any = import_module("prefect.client.orchestration")
    shared = SimpleNamespace(**vars(orchestration.ssl))
    shared.create_default_context = cache(ssl.create_default_context)
    orchestration.ssl = shared
    if are_read:
        shared.create_default_context()
    return True


@reach("Prefect begins its transactions otherwise: on SQLite, writers turn each other away")
def make_writers_wait() -> bool:
    """Begin every transaction of the server on SQLite with ``BEGIN IMMEDIATE``.

    Prefect begins most of them as readers; where two have read and both want to write, SQLite
    turns one away at once, the server answers 503, and Prefect's client comes back two seconds
    later. Without: just that.
    """
    from prefect.server.database.configurations import SQLITE_BEGIN_MODE
    from prefect.server.database.configurations import AioSqliteConfiguration as Configuration

    begin = Configuration.begin_transaction
    signature(begin).bind(None, None, with_for_update=True)

    def begin_as_writer(
        self: Any,
        session: Any,
        with_for_update: bool = False,  # noqa: ARG001
        **options: Any,
    ) -> AbstractAsyncContextManager[Any]:
        begun = begin(self, session, with_for_update=True, **options)
        return _as_writer(begun, session, SQLITE_BEGIN_MODE)

    Configuration.begin_transaction = begin_as_writer  # type: ignore
    return True


@asynccontextmanager
async def _as_writer(
    begun: AbstractAsyncContextManager[Any], session: Any, mode: ContextVar[Any]
) -> AsyncIterator[Any]:
    """Begin a transaction at once: what is read beside it meanwhile must not wait for its end.

    Pausing a work queue does that, and would wait for itself.
    """
    async with begun as transaction:
        await session.connection()
        token = mode.set(None)
        try:
            yield transaction
        finally:
            mode.reset(token)


@reach("Prefect's server finds its application otherwise: it is searched for at every action")
def keep_application() -> bool:
    """Let what asks for the running application get it without a search.

    Every action of an automation asks for it, and Prefect writes all settings down to find it, a
    third of the server's time. Without: just that.
    """
    server: Any = import_module("prefect.server.api.server")
    create = server.create_app
    running = cache(create)

    def created(*args: Any, **options: Any) -> Any:
        return create(*args, **options) if args or options else running()

    server.create_app = created
    return True


@reach("Prefect's server looks for put-off work otherwise: as often as it does, also when idle")
def look_seldom(seconds: float) -> bool:
    """Let the server look only so often for work that it has put off for later.

    What Prefect does from time to time, such as scheduling runs, stands in a queue that it looks at
    four times a second, also when it is idle; its settings do not say how often. Work
    that is due at once is begun at once, up to ten pieces at a time as before; what is more waits
    for the next look. Without: just that.

    Parameters
    ----------
    seconds : float
        Between two looks.
    """
    workers: Any = import_module("prefect.server.api.background_workers")
    pause = timedelta(seconds=seconds)
    intervals = {"minimum_check_interval": pause, "scheduling_resolution": pause}
    signature(workers.Worker).bind_partial(**intervals)
    workers.Worker = partial(workers.Worker, **intervals)
    return True


@reach("Prefect keeps its migrations elsewhere: whether a database is migrated is not said")
def migrations() -> Path:
    """Folder of the migrations of Prefect's SQLite database.

    Prefect has no command that says whether a database is migrated, and its server would migrate
    it. Without: it is not said.
    """
    place = Path(find_spec("prefect").origin).parent  # type: ignore[union-attr,arg-type]
    folder = place / "server" / "database" / "_migrations" / "versions" / "sqlite"
    if not folder.is_dir():
        raise ImportError(f"there is no {folder}")
    return folder
