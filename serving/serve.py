"""The long-running process: serves exactly the deployments that prefect.yaml declares.

How its runs are started is decided here; how a worker's are, in ``serving/worker.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from httpx import HTTPError
from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, FlowRun
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectException
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from baton import problems
from baton.chain import manifest, turns
from baton.chain.manifest import Deployment, Manifest
from baton.chain.turns import Waiting
from baton.errors import InputError, import_fault
from baton.parent import die_with
from baton.settings import settings
from baton.stores import shelf
from serving import beside, door, told
from serving.asking import Pace
from serving.beside import Asked, Place
from serving.child import Child, end
from serving.embedded import private
from serving.ending import ending_in_a_line
from serving.entrance import token_of
from serving.listening import keep_hearing
from serving.template import Forked, fork_template, keep_template, warm_command
from serving.told import Told
from tasks.platform.api import Access, ApiError, Client
from tasks.platform.arrivals import tell_untold
from tasks.platform.cluster import cores
from tasks.platform.deployments import full_name, trigger_of
from tasks.platform.notifying import register
from tasks.platform.places import MANIFEST
from tasks.platform.prefect_internals import (
    ask_in_time,
    serve_standing,
    share_certificates,
    start_runs_by,
    take_turns,
)
from tasks.platform.recovery import recover
from tasks.platform.upkeep import drop_twins

log = logging.getLogger("baton.serve")

_SECONDS_BETWEEN_LOOKS = 5.0
_LEAST_AT_ONCE = 4
_RECOVERING = "reconcile"
"""Flow whose work this process does itself, more often."""
_SECONDS_BETWEEN_LOOKS_AT_ANSWERS = 0.5


async def to_deployment(entry: Deployment, mark: str = "") -> RunnerDeployment:
    """Turn an entry of prefect.yaml into a deployment that this process serves.

    Parameters
    ----------
    entry : Deployment
    mark : str
        Tag that says which prefect.yaml it is of.

    Raises
    ------
    InputError
        If its flow does not exist or has no such parameter.
    """
    flow = flow_of(entry)
    return await flow.ato_deployment(
        name=entry.name,
        description=entry.description or None,
        version=entry.version,
        tags=[*entry.tags, *([mark] if mark else [])],
        parameters=entry.parameters,
        enforce_parameter_schema=entry.enforce_parameter_schema,
        triggers=[trigger_of(entry, place) for place in range(len(entry.triggers))],
        schedules=_schedules(entry),
        concurrency_limit=_concurrency(entry),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def flow_of(entry: Deployment) -> Flow[..., Any]:
    """Flow that an entry of prefect.yaml names.

    Raises
    ------
    InputError
        If there is none, or it has no such parameter.
    """
    try:
        found = getattr(import_module(entry.module), entry.function, None)
    except ImportError as error:
        if not _is_itself(error, entry.module):
            raise InputError(
                f"prefect.yaml: deployment {entry.name!r}: flow {entry.entrypoint} cannot be"
                f" imported: {import_fault(error)}"
            ) from error
        found = None
    if not isinstance(found, Flow):
        raise InputError(
            f"prefect.yaml: deployment {entry.name!r}: there is no flow {entry.entrypoint}"
        )
    manifest.check_parameters(entry, set(signature(found.fn).parameters))
    return found


def _is_itself(error: ImportError, module: str) -> bool:
    """Tell whether it is a module itself that is not there, not one that it needs."""
    return isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")


def _schedules(entry: Deployment) -> list[Schedule] | None:
    is_wanted = entry.flow_name != _RECOVERING
    return [_schedule(schedule, is_wanted=is_wanted) for schedule in entry.schedules] or None


def _schedule(entry: manifest.Schedule, *, is_wanted: bool) -> Schedule:
    options: dict[str, Any] = {
        "timezone": entry.timezone,
        "active": entry.active and is_wanted,
        "slug": entry.slug,
        "parameters": entry.parameters,
    }
    if entry.cron is not None:
        return Cron(entry.cron, **options)
    assert entry.interval is not None
    return Interval(entry.interval, **options)


def _concurrency(entry: Deployment) -> int | ConcurrencyLimitConfig | None:
    if isinstance(entry.concurrency_limit, manifest.Concurrency):
        return ConcurrencyLimitConfig(**entry.concurrency_limit.model_dump())
    return entry.concurrency_limit


class StageRunner(Runner):
    """Prefect's runner, with four differences.

    Its runs start warm where the system can fork. They begin in turn, as many at once as this
    machine can do, and as soon as the server says that there is one. On SIGTERM it leaves them to
    be taken up by the next runner, where Prefect's would leave them Running for ever.

    Parameters
    ----------
    most : int
        Runs at once.
    warmed : Warmed, optional
        A template that stands already.
    **options
        Of Prefect's.
    """

    def __init__(self, most: int, warmed: Warmed | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._most = most
        self._template = warmed.template if warmed else None
        self._flow_of: dict[UUID | None, str] = {}
        self._entrypoint_of: dict[UUID | None, str] = {}
        self._let_in: dict[UUID, str] = {}
        self._door = warmed.door if warmed else door.new_door()
        self._keeping: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._pace = Pace(self.query_seconds)
        self.beside: list[Child] = []
        """Processes that end with this one, in order."""

    async def __aenter__(self) -> Self:
        """Start the template, and start runs through it."""
        await super().__aenter__()
        if sys.platform == "linux":
            start_runs_by(self, self._warm_command, self._entrypoint)
        take_turns(self, self._has_room, self._chosen)
        if settings().fast and ask_in_time(self, self._pace.due, self._pace.ended):
            served = [one for one in self._flow_of if one]
            self._hearing = asyncio.create_task(keep_hearing(self._pace, served))
        return self

    async def add(self, deployment: RunnerDeployment, entry: Deployment) -> UUID:
        """Serve a deployment that an entry of prefect.yaml declares; returns its id."""
        made = await self.aadd_deployment(deployment)
        self._know(made, entry)
        return made

    def take(self, deployment: UUID, entry: Deployment) -> bool:
        """Serve a deployment that stands already; tell whether it can be."""
        self._know(deployment, entry)
        return bool(serve_standing(self, deployment, entry.name))

    def _know(self, deployment: UUID, entry: Deployment) -> None:
        self._flow_of[deployment] = entry.flow_name
        self._entrypoint_of[deployment] = f"{entry.module}.{entry.function}"

    def _entrypoint(self, run: FlowRun) -> str | None:
        return self._entrypoint_of.get(run.deployment_id) if settings().fast else None

    def _has_room(self, going: set[UUID]) -> bool:
        self._let_in = {run: flow for run, flow in self._let_in.items() if run in going}
        has_room = turns.has_room(self._let_in.values(), self._most)
        if not has_room:
            self._pace.full()
        return has_room

    def _chosen(self, due: list[FlowRun], going: set[UUID]) -> list[FlowRun]:
        runs = {str(run.id): run for run in due}
        flows = {name: self._flow_of.get(run.deployment_id, "") for name, run in runs.items()}
        waiting = [Waiting(name, flows[name], _due(run)) for name, run in runs.items()]
        at_work = [self._let_in.get(run, "") for run in going]
        chosen = [runs[name] for name in turns.in_turn(waiting, at_work, self._most)]
        self._let_in |= {run.id: flows[str(run.id)] for run in chosen}
        told = [name for name, run in runs.items() if not run.auto_scheduled]
        self._pace.answered(runs, told, are_left=len(chosen) < len(runs))
        return chosen

    def _warm_command(self) -> str:
        self._keeping = asyncio.create_task(keep_template(self._door, self._template))
        return shlex.join(warm_command(self._door))

    def handle_sigterm(self, *_: Any) -> None:
        """End at once; the runs' processes follow, and their locks are free then."""
        end(self.beside)
        door.close(self._door)
        os._exit(0)


def _due(run: FlowRun) -> datetime:
    return run.next_scheduled_start_time or run.expected_start_time or datetime.now(UTC)


@dataclass
class Telling:
    """How a server comes to have the deployments: told, or known to have them from before."""

    declared: Manifest
    by: str
    """Digest of what decides them; empty where the server is not the home's own."""
    before: Told | None
    """What was told by the same, the last time."""
    made: list[RunnerDeployment] = field(default_factory=list)

    @classmethod
    def of(cls, declared: Manifest, loaded: float | None) -> Self:
        """Make ready what can be made ready before the server answers."""
        is_own = settings().fast and settings().parent_pid and loaded is not None
        by = told.decides(loaded) if is_own and loaded is not None else ""
        telling = cls(declared, by, Told.before(by) if by else None)
        if telling.before is None:
            asyncio.run(telling.make())
        return telling

    async def have_served(self, runner: StageRunner) -> dict[str, UUID]:
        """Have a runner serve all; returns the ids of those that were told anew, by their names."""
        entries = self.declared.deployments
        stands = await asyncio.to_thread(self.before.stands) if self.before else False
        if self.before and stands:
            ids = [self.before.id_of.get(full_name(one)) for one in entries]
            pairs = zip(ids, entries, strict=True)
            if all(one and runner.take(one, entry) for one, entry in pairs):
                return {}
        if not self.made:
            await self.make()
        # Side by side: the server writes down the one while the next is being said.
        made = await asyncio.gather(*map(runner.add, self.made, entries))
        return dict(zip(map(full_name, entries), made, strict=True))

    def keep(self, ids: dict[str, UUID]) -> None:
        """Keep what was told for the next start, where there is a use for it."""
        if self.by and ids:
            Told(self.by, id_of=ids).keep()

    async def make(self) -> None:
        """Make the deployments as they are to be told."""
        mark = self.declared.mark
        self.made = [await to_deployment(one, mark) for one in self.declared.deployments]


def wait_for_server(seconds: float) -> None:
    """Wait until the Prefect server answers, or the time is up: what then fails says why."""
    api = settings().prefect_api_url
    end = time.monotonic() + seconds
    with Client(Access.of(settings(), api)) as client:
        while api and time.monotonic() < end and not client.is_healthy():
            time.sleep(0.1)


@dataclass(frozen=True)
class Warmed:
    """A template that was started before the runner."""

    door: Path
    """Where it listens."""
    template: Forked


def _warmed(declared: Manifest, loaded: float | None) -> Warmed | None:
    """Fork the template while this process has no thread, socket or event loop of its own.

    It imports on while the server begins, and has what this process has imported.
    """
    may = sys.platform == "linux" and settings().fast and settings().internals
    if loaded is None or not may:
        return None
    for entry in declared.deployments:
        flow_of(entry)
    place = door.new_door()
    forked = fork_template(place, loaded)
    return Warmed(place, forked) if forked else None


async def serve(
    declared: Manifest,
    telling: Telling,
    ready: Path | None = None,
    places: Sequence[Place] = (),
    warmed: Warmed | None = None,
) -> None:
    """Serve every deployment of the manifest until the process ends.

    Parameters
    ----------
    declared : Manifest
    telling : Telling
        How the server comes to have its deployments.
    ready : Path, optional
        File to create once every deployment and automation stands.
    places : sequence of Place
        Where champions are to answer beside it.
    warmed : Warmed, optional
        A template that stands already.
    """
    most = settings().runs_at_once or max(_LEAST_AT_ONCE, 2 * cores())
    every = settings().poll_seconds
    runner = StageRunner(most, warmed, name="baton", query_seconds=every, limit=None)
    is_told = await telling.have_served(runner)
    await asyncio.to_thread(_settle_messages, declared)
    if is_told:
        await asyncio.to_thread(drop_twins)
    runner.beside = [beside.started(one, _told(), settings()) for one in places]
    resuming = asyncio.create_task(_keep_recovering(declared))
    answering = asyncio.create_task(_keep_answering(runner.beside))
    if ready:
        ready.touch()
    keeping = asyncio.create_task(asyncio.to_thread(telling.keep, is_told))  # no run waits for it
    log.info("serving %s", ", ".join(entry.name for entry in declared.deployments))
    try:
        await runner.start()
    finally:
        for one in (resuming, answering, keeping):
            one.cancel()
        end(runner.beside)


def _settle_messages(declared: Manifest) -> None:
    """Have messages sent as declared; a server that does not take them serves the chain still."""
    try:
        register(declared, settings().notify)
    except (HTTPError, PrefectException) as error:
        log.warning("no messages are sent: the server did not take them: %s", type(error).__name__)


def _told() -> dict[str, str]:
    """Environment of what is started beside this process."""
    return {**os.environ, "BATON_HOME": str(settings().home), "PYTHONUNBUFFERED": "1"}


async def _keep_answering(children: Sequence[Child]) -> None:
    """Start what answers again when it has died; the chain goes on meanwhile."""
    while children:
        for one in children:
            try:
                await asyncio.to_thread(one.tend, time.monotonic(), log.warning)
            except OSError as error:  # such as too many processes: tried again
                log.warning("%s cannot be looked after: %s", one.name, error)
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS_AT_ANSWERS)


async def _keep_recovering(declared: Manifest) -> None:
    """Take up what a crash left, that of a serve process before this one too, and what arrived."""
    alone_since = datetime.now(UTC) if settings().parent_pid else None
    looks = (partial(recover, declared, alone_since), tell_untold)
    while True:
        for look in looks:
            try:
                await asyncio.to_thread(look)
            except (OSError, HTTPError, PrefectException, ApiError) as error:
                log.warning("could not look for abandoned runs and arrivals: %s", error)
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def main(arguments: Iterable[str] | None = None, loaded: float | None = None) -> None:
    """Serve what prefect.yaml declares.

    Parameters
    ----------
    arguments : iterable of str, optional
        Those of the command line if not given.
    loaded : float, optional
        Time of the latest change of the sources before this process imported any.
    """
    options = _parser().parse_args(list(arguments) if arguments is not None else None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    with ending_in_a_line():
        declared = manifest.read(MANIFEST)
        warmed = _warmed(declared, loaded)
        gc.freeze()  # what was imported stays: it is not looked at again
        gc.enable()
        die_with(settings().parent_pid)
        share_certificates()
        os.environ["BATON_PARENT_PID"] = str(os.getpid())
        shelf.require()
        with beside.opened(_answering(declared, options), settings()) as places:
            for one in places:
                log.info("%s answers at %s", one.name, one.address)
            telling = Telling.of(declared, loaded)
            wait_for_server(options.wait)
            asyncio.run(serve(declared, telling, options.ready, places, warmed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve the deployments that prefect.yaml declares, on the Prefect server"
        " that PREFECT_API_URL names, and the champions that are to answer beside them.",
    )
    parser.add_argument("--ready", type=Path, help="file to create once all is served")
    parser.add_argument(
        "--wait", type=float, default=0, help="seconds to wait for the server to answer"
    )
    parser.add_argument(
        "--no-answers", action="store_true", help="the deployments alone: no champion answers"
    )
    return parser


def _answering(declared: Manifest, options: argparse.Namespace) -> tuple[Asked, ...]:
    """Champions of prefect.yaml that are to answer, and a token by which they do."""
    if options.no_answers or not declared.serving:
        return ()
    manifest.check_problems(declared.serving, problems.names())
    with private():
        token_of(settings())
    return beside.asked_of((), declared.serving, settings())


if __name__ == "__main__":
    main()
