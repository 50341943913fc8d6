"""The processes of an embedded Baton: Prefect server, serve process, MLflow server.

They live as long as the context that starts them; their state stays under the home. What
runs inside them belongs elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from baton import atomic, disk
from baton.errors import InputError
from baton.settings import Settings
from baton.stores import shelf
from serving import holder
from serving.child import (
    NOT_FOR_OTHERS,
    START_SECONDS,
    Child,
    ProcessError,
    default_restarts,
    end,
)
from serving.databases import put_damaged_aside
from serving.demand import OnDemand
from serving.entrance import FREED_SECONDS, listening
from serving.guard import HOST, link, new_secret
from serving.restarts import Restarts
from tasks.platform import mlflow_store
from tasks.platform.api import Access, Client

_WAIT_FOR_HOME_SECONDS = 600.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_OF_A_LOOK = 0.3
"""Where somebody is connected at once, and answered when the server has begun."""
_POLL_SECONDS_OF_ONE_CHAIN = 0.2
"""Between two looks for runs where somebody waits for a chain, and the processes end with it."""

_LOOK_SECONDS = "5"
_SELDOM_SECONDS = "30"
"""Between two looks of the server for what nobody waits for by the second."""

_HERE = re.compile(rf"http://{re.escape(HOST)}:\d{{1,5}}(/api)?")
"""Addresses of a server of this machine."""

_FOR_ANOTHER_SERVER = {
    "PREFECT_API_KEY",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_SERVER_API_AUTH_STRING",
}
"""What lets one in elsewhere; here it would stand in the way of the secret."""


@dataclass(frozen=True)
class Addresses:
    """Where an embedded Baton can be reached."""

    pid: int
    prefect: str
    """Address of the Prefect API."""
    mlflow: str = ""
    """Address of MLflow's pages, if there are any."""
    has_own_mlflow: bool = False
    """Whether those are started with it, and ask for its secret."""
    announce: str = ""
    """Address that is told of data, if there is one."""
    pages: str = ""
    """Address of Baton's own pages, if there are any; they ask for the secret."""
    secret: str = field(default="", repr=False)
    """What an embedded one asks of everybody, ``user:password``; empty for another server."""

    @property
    def access(self) -> Access:
        """Access to the API of an embedded one."""
        return Access(self.prefect, auth_string=self.secret)

    def prefect_page(self, path: str = "/") -> str:
        """Address of one of Prefect's pages, which logs in."""
        page = self.prefect.removesuffix("/api") + path
        return link(page, self.secret) if self.secret else page

    def own_page(self, path: str = "/") -> str:
        """Address of one of Baton's own pages, which logs in; empty if there are none."""
        return link(f"{self.pages}{path}", self.secret) if self.pages else ""

    @property
    def mlflow_page(self) -> str:
        """Address of MLflow's page of experiments, which logs in; empty if there is none."""
        return self.mlflow_at("/experiments")

    def mlflow_at(self, place: str) -> str:
        """Address of one of MLflow's pages, which logs in; empty if there is none."""
        page = f"{self.mlflow}/#{place}" if self.mlflow else ""
        return link(page, self.secret) if self.has_own_mlflow else page


_ADDRESSES = TypeAdapter(Addresses)


@dataclass
class Processes:
    """The running processes."""

    settings: Settings
    api: str = ""
    pages: str = ""
    """Address of Baton's own pages."""
    secret: str = field(default_factory=new_secret, repr=False)
    """What the servers ask for, new with every start."""
    children: list[Child] = field(default_factory=list)
    asleep: list[OnDemand] = field(default_factory=list)
    """Processes that are started when somebody asks for them."""
    kept: dict[Path, bytes] = field(default_factory=dict, repr=False)
    """What other commands find it by, as long as it lives."""

    def start(
        self,
        name: str,
        command: list[str],
        *,
        is_brief: bool = False,
        is_ready: Callable[[], bool] = lambda: True,
        prepare: Callable[[], None] = lambda: None,
        restarts: Restarts | None = None,
        stdin: int = subprocess.DEVNULL,
        **environment: str,
    ) -> Child:
        """Start a process that ends with this one; its output goes to a log file."""
        child = Child(
            name,
            command,
            self.environment() | environment,
            self.settings.logs / f"{name}.log",
            is_brief,
            is_ready,
            prepare,
            restarts or default_restarts(),
            stdin=stdin,
        )
        self.children.append(child)
        return child

    def environment(self) -> dict[str, str]:
        """What the processes are told: where the servers are, and what they ask for."""
        dropped = {"PYTHONDONTWRITEBYTECODE", *_FOR_ANOTHER_SERVER}
        kept = {k: v for k, v in os.environ.items() if k not in dropped}
        return kept | {
            "BATON_HOME": str(self.settings.home),
            "BATON_MLFLOW_TRACKING_URI": self.settings.mlflow_tracking_uri,
            "BATON_NOTIFY": self.settings.notify.get_secret_value(),
            "BATON_PAGES_URL": self.settings.pages_url or self.pages,
            "BATON_PARENT_PID": str(os.getpid()),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": self.secret,
            # It is http on the loopback: certificates would be read for nothing, by every client.
            "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true",
            "PREFECT_HOME": str(self.settings.home / "prefect"),
            **(_between_ourselves() if self.settings.fast else {}),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def wait(self, is_ready: Callable[[], bool]) -> None:
        """Wait until something is ready.

        Raises
        ------
        ProcessError
            If a process ended meanwhile, or it takes too long.
        """
        end = time.monotonic() + START_SECONDS
        while not is_ready():
            for child in self.children:
                child.check()
            if time.monotonic() > end:
                raise ProcessError(self.children[-1].lateness())
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def tend(self, say: Callable[[str], None]) -> None:
        """Start again what has died, and what is asked for.

        Parameters
        ----------
        say : callable
            Told in one line of what died, and when it is back.

        Raises
        ------
        ProcessError
            If one cannot stay up.
        """
        for place, content in self.kept.items():
            if _content(place) != content:
                atomic.write_bytes(place, content)
                say(f"{place} was gone or altered; it is written anew")
        for child in self.children:
            child.tend(time.monotonic(), say)
        for one in self.asleep:
            one.tend()

    @contextmanager
    def keep(self, place: Path, content: bytes) -> Iterator[None]:
        """Have a file hold this as long as the context lasts."""
        atomic.write_bytes(place, content)
        self.kept[place] = content
        try:
            yield
        finally:
            del self.kept[place]
            place.unlink(missing_ok=True)

    def found_by(self, addresses: Addresses) -> AbstractContextManager[None]:
        """Be found by other commands of the home as long as the context lasts."""
        return self.keep(self.settings.home / "up.json", _told(addresses))

    def stop(self) -> None:
        """End the processes."""
        end(self.children)
        self.children.clear()


def _between_ourselves() -> dict[str, str]:
    """What no client of the server needs to ask first: both are of one installation."""
    known = {"PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}
    is_asked = any("CSRF_PROTECTION" in name for name in os.environ)
    return known if is_asked else known | {"PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false"}


def _content(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None


@contextmanager
def claimed(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the home for this process alone, waiting for another Baton to leave it.

    Raises
    ------
    InputError
        If the home cannot be written, or another Baton stays in it.
    """
    with private(), _entered(settings, say):
        put_damaged_aside(settings, say)
        yield


@contextmanager
def private() -> Iterator[None]:
    """Make files and folders for this user alone."""
    before = os.umask(NOT_FOR_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _entered(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        if not settings.home.stat().st_mode & stat.S_ISVTX:  # that is a folder of everybody's
            settings.home.chmod(0o700)
        lock = FileLock(settings.home / "baton.lock")
        _acquire(lock, settings, say)
        holder.record(settings)
    except Timeout:
        using = holder.held_by(settings) or "another Baton"
        raise InputError(
            f"{using} is using {settings.home}; stop it or set BATON_HOME to another folder"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot write to {settings.home} ({error.strerror}), {disk.free(settings.home)}:"
            " make room, or set BATON_HOME to a folder of yours"
        ) from None
    with lock:
        lock.release()  # `with` counts a second holding
        try:
            yield
        finally:
            holder.forget(settings)


def _acquire(lock: FileLock, settings: Settings, say: Callable[[str], None]) -> None:
    end = time.monotonic() + _WAIT_FOR_HOME_SECONDS
    while True:
        try:
            lock.acquire(timeout=0.5 if time.monotonic() < end else 0)
        except Timeout:
            if time.monotonic() > end:
                raise
            say(holder.waiting_for(settings))
        else:
            return


@contextmanager
def run_embedded(
    settings: Settings,
    say: Callable[[str], None],
    *,
    serving: bool = True,
    standing: bool = False,
    pages: bool = True,
) -> Iterator[tuple[Processes, Addresses]]:
    """Run an embedded Baton in a home that this process has claimed.

    Parameters
    ----------
    settings : Settings
    say : callable
        Told what is going on.
    serving : bool
        Start the serve process too.
    standing : bool
        Stay for long: known ports, schedules on, found by other commands.
    pages : bool
        Start MLflow's pages too, if it stays for long.

    Yields
    ------
    Processes, Addresses

    Raises
    ------
    InputError
        If BATON_RESULTS is no place for results.
    StorageError
        If that place does not answer.
    """
    shelf.require()
    with ExitStack() as stack:
        running = Processes(settings)
        stack.callback(running.stop)
        port = _port(settings.prefect_port if standing else 0)
        running.api = f"http://{HOST}:{port}/api"
        stack.enter_context(running.keep(_secret_place(settings), running.secret.encode()))
        if serving and not mlflow_store.prepare():
            running.start("store", guarded("tasks.platform.tracking"), is_brief=True)
        server = _start_server(running, port, schedules=standing)
        # Their imports take as long as the server's start: all at once.
        beside = [_start_pages(running)] if standing and serving else []
        beside += [_start_serve(running, standing=standing)] if serving else []
        running.wait(server.is_ready)
        holder.record(settings, running.api)
        arriving = _start_arriving(running) if standing and serving else ""
        mlflow = _start_mlflow(running, stack) if standing and pages else ""
        for one in beside:
            say("starting to serve the chain …")
            running.wait(one.is_ready)
        addresses = _addresses(running, mlflow, arriving)
        if standing:
            stack.enter_context(running.found_by(addresses))
        yield running, addresses


def _addresses(running: Processes, mlflow: str, arriving: str) -> Addresses:
    """Where all of these are."""
    is_own = bool(mlflow) and not running.settings.mlflow_tracking_uri
    return Addresses(
        os.getpid(), running.api, mlflow, is_own, arriving, running.pages, running.secret
    )


def _told(addresses: Addresses) -> bytes:
    """Where this Baton is, without its secret, for other commands to find it."""
    told = {name: value for name, value in asdict(addresses).items() if name != "secret"}
    return json.dumps(told).encode()


def _secret_place(settings: Settings) -> Path:
    return settings.home / "auth"


def guarded(module: str, *arguments: str) -> list[str]:
    """Command that runs a module so that it ends with this process."""
    return [sys.executable, "-m", "baton.parent", str(os.getpid()), module, *arguments]


def _start_server(running: Processes, port: int, *, schedules: bool) -> Child:
    seldom = _SELDOM_SECONDS if running.settings.fast else _LOOK_SECONDS
    return running.start(
        "server",
        guarded("serving.server"),
        is_ready=lambda: is_up(Addresses(0, running.api, secret=running.secret)),
        BATON_PREFECT_PORT=str(port),
        # Its threads, one a connection, would each keep what they freed in an arena of their own.
        MALLOC_ARENA_MAX="1",
        PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS=seldom,
        PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS=seldom,
        PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED="false",
        PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED=str(schedules).lower(),
        PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL="0.2",
        PREFECT_SERVER_UI_API_URL=running.api,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=running.api.removesuffix("/api"),
    )


def _start_serve(running: Processes, *, standing: bool) -> Child:
    ready = running.settings.home / "serving"
    is_own = "poll_seconds" in running.settings.model_fields_set
    is_eager = running.settings.fast and not standing and not is_own
    often = _POLL_SECONDS_OF_ONE_CHAIN if is_eager else running.settings.poll_seconds
    options = ["--ready", str(ready), "--wait", str(START_SECONDS), "--no-answers"]
    return running.start(
        "serve",
        [sys.executable, "-m", "serving", *options],
        is_ready=ready.exists,
        prepare=lambda: ready.unlink(missing_ok=True),
        BATON_POLL_SECONDS=str(often),
    )


def _start_arriving(running: Processes) -> str:
    port = _freed(running.settings.announce_port)
    address = f"http://{HOST}:{port}"
    child = running.start(
        "arriving",
        guarded("serving.arriving", "--port", str(port), "--from", str(Path.cwd())),
        is_ready=lambda: is_up(Addresses(0, address)),
        restarts=Restarts(),
    )
    running.wait(child.is_ready)
    return address


def _start_pages(running: Processes) -> Child:
    """Start Baton's own pages; others are told where they are, so this is the first to be told."""
    port = _freed(running.settings.pages_port)
    running.pages = address = f"http://{HOST}:{port}"
    where = ["--port", str(port), "--from", str(Path.cwd()), "--beside"]
    return running.start(
        "pages",
        guarded("serving.pages", *where),
        is_ready=lambda: is_up(Addresses(0, address)),
        restarts=Restarts(),
    )


def _given_mlflow(settings: Settings) -> str:
    """Address of somebody else's MLflow; a database has none, and what holds a password is kept."""
    given = settings.mlflow_url.rstrip("/") or settings.mlflow_tracking_uri
    return given if given.startswith("http") and "@" not in given else ""


def _start_mlflow(running: Processes, stack: ExitStack) -> str:
    """Have MLflow's pages, once somebody asks for them; until then they take no memory."""
    if running.settings.mlflow_tracking_uri:
        return _given_mlflow(running.settings)
    # Until then nobody else may open the database.
    making = [one.process for one in running.children if one.is_brief]
    running.wait(lambda: all(one.poll() is not None for one in making))
    place = stack.enter_context(listening(_port(running.settings.mlflow_port)))
    place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections have it from here
    if running.settings.fast:
        running.asleep.append(OnDemand(place, lambda: _begin_mlflow(running, place)))
    else:
        running.wait(_begin_mlflow(running, place).is_ready)
    return _address_of(place)


def _begin_mlflow(running: Processes, place: socket.socket) -> Child:
    """Start MLflow's server on a socket, its standard input: it hands no other to its own child."""
    address = Addresses(0, _address_of(place), secret=running.secret)
    store = running.settings.tracking_uri
    asked = ["--app-name", "baton", "--workers", "1", "--uvicorn-opts", "--no-access-log --fd 0"]
    return running.start(
        "mlflow",
        guarded("mlflow", "server", *asked, "--backend-store-uri", store),
        is_ready=lambda: is_up(address, _SECONDS_OF_A_LOOK),
        stdin=place.fileno(),
        BATON_MLFLOW_PORT=str(place.getsockname()[1]),
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # Baton has no use for its job runner
    )


def _address_of(place: socket.socket) -> str:
    return f"http://{HOST}:{place.getsockname()[1]}"


def named(settings: Settings) -> Addresses | None:
    """Addresses of the server that PREFECT_API_URL names, if it names one.

    Where that is the one of the home's `baton up`, what else it has.
    """
    if not settings.prefect_api_url:
        return None
    secret = settings.prefect_auth_string.get_secret_value()
    with suppress(OSError, ValueError):
        told = _ADDRESSES.validate_json((settings.home / "up.json").read_bytes())
        if told.prefect == settings.prefect_api_url and _HERE.fullmatch(told.prefect):
            return replace(told, secret=secret)
    return Addresses(0, settings.prefect_api_url, mlflow=_given_mlflow(settings))


def found(settings: Settings) -> Addresses | None:
    """Addresses of a `baton up` that runs in this home, if there is one."""
    try:
        told = _ADDRESSES.validate_json((settings.home / "up.json").read_bytes())
        addresses = replace(told, secret=_secret_place(settings).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return addresses if _is_held(settings) and _is_up_here(addresses) else None


def awaited(
    settings: Settings, say: Callable[[str], None], *, serving: bool = True
) -> Addresses | None:
    """Addresses of a `baton up` of this home, one that is still starting included.

    Parameters
    ----------
    settings : Settings
    say : callable
        Told what is waited for.
    serving : bool
        Whether it must serve whoever comes; else the server of a running `baton run` will do.
    """
    end = time.monotonic() + _WAIT_FOR_HOME_SECONDS
    while not (addresses := found(settings) or (None if serving else passing(settings))):
        if not is_claimed(settings) or time.monotonic() > end:
            return None
        say(holder.waiting_for(settings))
        time.sleep(0.5)
    return addresses


def passing(settings: Settings) -> Addresses | None:
    """Addresses of a Baton of this home that ends with its own command."""
    held = holder.held_by(settings)
    if held is None or not held.prefect or not is_claimed(settings):
        return None
    try:
        secret = _secret_place(settings).read_text("utf-8")
    except (OSError, ValueError):
        return None
    addresses = Addresses(held.pid, held.prefect, secret=secret)
    return addresses if _is_up_here(addresses) else None


def is_claimed(settings: Settings) -> bool:
    """Tell whether a Baton is in this home, without making a home to see."""
    return (settings.home / "baton.lock").exists() and _is_held(settings)


def _is_held(settings: Settings) -> bool:
    """Tell whether a Baton is in this home: one that was killed leaves its addresses behind."""
    try:
        with FileLock(settings.home / "baton.lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # nobody can hold what nobody can write
        return False


def _is_up_here(addresses: Addresses) -> bool:
    """Tell whether what a file of the home says is up: the secret is told to this machine only."""
    asking = [addresses.prefect, *([addresses.mlflow] if addresses.has_own_mlflow else [])]
    return all(map(_HERE.fullmatch, asking)) and is_up(addresses)


def is_up(addresses: Addresses, seconds: float = 2.0) -> bool:
    """Tell whether the server answers to those who have its secret, within so many seconds."""
    with Client(addresses.access) as client:
        return client.is_healthy(seconds)


def _freed(wanted: int) -> int:
    """Port that others know by heart: one that a killed Baton is about to let go is waited for."""
    end = time.monotonic() + FREED_SECONDS
    while (found := _port(wanted)) != wanted and wanted and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _port(wanted: int) -> int:
    """Port on the loopback interface: the wanted one if it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ProcessError(f"no free port on {HOST}")
