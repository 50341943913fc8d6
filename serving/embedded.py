"""The processes of an embedded Baton: Prefect server, serve process, MLflow server.

They live as long as the context that starts them; their state stays under the home. What
runs inside them belongs elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from baton import atomic
from baton.errors import InputError
from baton.settings import Settings
from serving.guard import HOST, link, new_secret
from tasks.platform.api import Access, Client
from tasks.platform.places import MANIFEST

_START_SECONDS = 180.0
_STOP_SECONDS = 8.0
_WAIT_FOR_HOME_SECONDS = 600.0
_NOT_FOR_OTHERS = 0o077
"""Rights that files and folders of a home do not give."""
_FOR_ANOTHER_SERVER = {
    "PREFECT_API_KEY",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_SERVER_API_AUTH_STRING",
}
"""What lets one in elsewhere; here it would stand in the way of the secret."""


class ProcessError(RuntimeError):
    """An embedded process did not start or ended by itself."""


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

    @property
    def mlflow_page(self) -> str:
        """Address of MLflow's page of experiments, which logs in; empty if there is none."""
        page = f"{self.mlflow}/#/experiments"
        return link(page, self.secret) if self.has_own_mlflow else self.mlflow


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    is_brief: bool = False
    """It ends by itself when its work is done."""

    @property
    def has_failed(self) -> bool:
        """Tell whether it has ended although it should not have."""
        code = self.process.poll()
        return code is not None and not (self.is_brief and code == 0)

    def failure(self) -> str:
        """Tell how the process ended, with the last thing it said."""
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line]
        code = self.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        said = f": {lines[-1].strip()[:200]}" if lines else ""
        return f"the {self.name} process {how}{said} (log: {self.log})"


@dataclass
class Processes:
    """The running processes."""

    settings: Settings
    api: str = ""
    secret: str = field(default_factory=new_secret, repr=False)
    """What the servers ask for, new with every start."""
    children: list[_Child] = field(default_factory=list)

    def start(
        self, name: str, command: list[str], *, is_brief: bool = False, **environment: str
    ) -> None:
        """Start a process that ends with this one; its output goes to a log file."""
        self.settings.logs.mkdir(parents=True, exist_ok=True)
        log = self.settings.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=MANIFEST.parent,
                env=self._environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=_NOT_FOR_OTHERS,
            )
        self.children.append(_Child(name, process, log, is_brief))

    def _environment(self) -> dict[str, str]:
        dropped = {"PYTHONDONTWRITEBYTECODE", *_FOR_ANOTHER_SERVER}
        kept = {k: v for k, v in os.environ.items() if k not in dropped}
        return kept | {
            "BATON_HOME": str(self.settings.home),
            "BATON_PARENT_PID": str(os.getpid()),
            "PREFECT_API_URL": self.api,
            "PREFECT_API_AUTH_STRING": self.secret,
            # It is http on the loopback: certificates would be read for nothing, by every client.
            "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true",
            "PREFECT_HOME": str(self.settings.home / "prefect"),
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
        end = time.monotonic() + _START_SECONDS
        while not is_ready():
            self.check()
            if time.monotonic() > end:
                last = self.children[-1]
                raise ProcessError(f"the {last.name} process did not get ready (log: {last.log})")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise a ProcessError if a process has ended."""
        for child in self.children:
            if child.has_failed:
                raise ProcessError(child.failure())

    def stop(self) -> None:
        """End the processes, the last one first."""
        for child in reversed(self.children):
            _end(child.process)
        self.children.clear()


def _end(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):  # what it started itself
                os.killpg(process.pid, signal.SIGKILL)
            return


@contextmanager
def claimed(settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the home for this process alone, waiting for another Baton to leave it.

    Raises
    ------
    InputError
        If the home cannot be written, or another Baton stays in it.
    """
    with _private(), _entered(settings, say):
        yield


@contextmanager
def _private() -> Iterator[None]:
    """Make files and folders for this user alone."""
    before = os.umask(_NOT_FOR_OTHERS)
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
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"waiting for another Baton to leave {settings.home} …")
            lock.acquire(timeout=_WAIT_FOR_HOME_SECONDS)
    except Timeout:
        raise InputError(
            f"another Baton is using {settings.home}; stop it or set BATON_HOME to another folder"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot write to {settings.home} ({error.strerror});"
            " set BATON_HOME to a folder of yours"
        ) from None
    with lock:
        lock.release()  # `with` counts a second holding
        yield


@contextmanager
def run_embedded(
    settings: Settings,
    say: Callable[[str], None],
    *,
    serving: bool = True,
    standing: bool = False,
    pages: bool = True,
) -> Iterator[tuple[Processes, Addresses]]:
    """Run an embedded Baton.

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
    """
    with ExitStack() as stack:
        stack.enter_context(claimed(settings, say))
        running = Processes(settings)
        stack.callback(running.stop)
        port = _port(settings.prefect_port if standing else 0)
        running.api = f"http://{HOST}:{port}/api"
        stack.enter_context(_kept_secret(running))
        if serving:
            running.start("store", guarded("tasks.platform.tracking"), is_brief=True)
        _start_server(running, port, schedules=standing)
        ready = settings.home / "serving"
        ready.unlink(missing_ok=True)
        if serving:  # its imports take as long as the server's start: both at once
            _start_serving(running, ready)
        addresses = Addresses(os.getpid(), running.api, secret=running.secret)
        running.wait(lambda: is_up(addresses))
        mlflow = _start_mlflow(running) if standing and pages else ""
        if serving:
            say("starting to serve the chain …")
            running.wait(ready.exists)
        is_own = bool(mlflow) and not settings.mlflow_tracking_uri
        addresses = replace(addresses, mlflow=mlflow, has_own_mlflow=is_own)
        if standing:
            stack.enter_context(_findable(settings, addresses))
        yield running, addresses


@contextmanager
def _findable(settings: Settings, addresses: Addresses) -> Iterator[None]:
    """Let other commands of this home find the addresses; the secret has a file of its own."""
    place = settings.home / "up.json"
    told = {name: value for name, value in asdict(addresses).items() if name != "secret"}
    place.write_text(json.dumps(told), "utf-8")
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


@contextmanager
def _kept_secret(running: Processes) -> Iterator[None]:
    """Keep the secret for other commands of this user, as long as the processes live."""
    place = _secret_place(running.settings)
    atomic.write_bytes(place, running.secret.encode())
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def _secret_place(settings: Settings) -> Path:
    return settings.home / "auth"


def guarded(module: str, *arguments: str) -> list[str]:
    """Command that runs a module so that it ends with this process."""
    return [sys.executable, "-m", "baton.parent", str(os.getpid()), module, *arguments]


def _start_server(running: Processes, port: int, *, schedules: bool) -> None:
    running.start(
        "server",
        guarded("serving.server"),
        BATON_PREFECT_PORT=str(port),
        PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED="false",
        PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED=str(schedules).lower(),
        PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL="0.2",
        PREFECT_SERVER_UI_API_URL=running.api,
        PREFECT_SERVER_CORS_ALLOWED_ORIGINS=running.api.removesuffix("/api"),
    )


def _start_serving(running: Processes, ready: Path) -> None:
    options = ["--ready", str(ready), "--wait", str(_START_SECONDS)]
    running.start("serve", [sys.executable, "-m", "serving", *options])


def _start_mlflow(running: Processes) -> str:
    given = running.settings.mlflow_tracking_uri
    if given:  # an address of a database has a password in it
        return given if given.startswith("http") and "@" not in given else ""
    store_made = running.children[0].process  # until then nobody else may open the database
    running.wait(lambda: store_made.poll() is not None)
    port = _port(running.settings.mlflow_port)
    store = running.settings.tracking_uri
    where = ["--host", HOST, "--port", str(port)]
    options = ["--app-name", "baton", "--uvicorn-opts", "--no-access-log", "--workers", "1"]
    running.start(
        "mlflow",
        guarded("mlflow", "server", *options, *where, "--backend-store-uri", store),
        BATON_MLFLOW_PORT=str(port),
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",  # Baton has no use for its job runner
    )
    address = f"http://{HOST}:{port}"
    running.wait(lambda: is_up(Addresses(0, address, secret=running.secret)))
    return address


def found(settings: Settings) -> Addresses | None:
    """Addresses of a `baton up` that runs in this home, if there is one."""
    try:
        content: dict[str, Any] = json.loads((settings.home / "up.json").read_text("utf-8"))
        secret = _secret_place(settings).read_text("utf-8")
        addresses = Addresses(**content, secret=secret)
    except (OSError, ValueError, TypeError):
        return None
    return addresses if _is_held(settings) and is_up(addresses) else None


def awaited(settings: Settings, say: Callable[[str], None]) -> Addresses | None:
    """Addresses of a `baton up` of this home, one that is still starting included.

    Parameters
    ----------
    settings : Settings
    say : callable
        Told what is waited for.
    """
    end = time.monotonic() + _WAIT_FOR_HOME_SECONDS
    while not (standing := found(settings)):
        if not _is_claimed(settings) or time.monotonic() > end:
            return None
        say(f"waiting for another Baton to start, or to leave {settings.home} …")
        time.sleep(0.5)
    return standing


def _is_claimed(settings: Settings) -> bool:
    """Tell whether a Baton is in this home, without making a home to see."""
    return (settings.home / "baton.lock").exists() and _is_held(settings)


def _is_held(settings: Settings) -> bool:
    """Tell whether a Baton is in this home: one that was killed leaves its addresses behind."""
    try:
        with FileLock(settings.home / "baton.lock", timeout=0):
            return False
    except Timeout:
        return True


def is_up(addresses: Addresses) -> bool:
    """Tell whether the server answers to those who have its secret."""
    with Client(addresses.access) as client:
        return client.is_healthy()


def _port(wanted: int) -> int:
    """Port on the loopback interface: the wanted one if it is free, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise ProcessError(f"no free port on {HOST}")
