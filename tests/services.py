"""PostgreSQL, MariaDB and Redis as they stand on this machine, and a team's servers on them.

    with postgresql() as url: ...            # a database of its own; a SQLAlchemy URL
    with mysql() as url: ...                 # the same of MariaDB or MySQL
    with redis_databases(2) as urls: ...     # database numbers of its own

    with team(folder, n_servers=2) as found:     # two Prefect servers, MLflow, databases
        found.prefect[0].end(signal.SIGKILL)
        found.prefect[0].start()                 # at the same address; waits until it answers
        subprocess.run(["baton", "run", "spheres"], env=found.environment(server=1))
        with found.role("arriving", ANNOUNCE_TOKEN="t") as server: ...  # another of its services

Addresses are those of ``BATON_TEST_POSTGRESQL``, ``BATON_TEST_MYSQL`` and ``BATON_TEST_REDIS``
(URLs), else the standard ports of 127.0.0.1. Whatever is made is dropped in the end, also after
an error. Where nobody answers, `NobodyAnswersError` says so.

A team's servers are told what ``compose.yaml`` tells them: the same commands and variables, and
nothing but the places is different. This module knows no pytest: benchmarks use it, too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import redis
import yaml
from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

STANDARD = {
    "BATON_TEST_POSTGRESQL": (
        "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres",
        "postgresql+psycopg2://root@127.0.0.1:5432/postgres",
    ),
    "BATON_TEST_MYSQL": ("mysql+pymysql://root@127.0.0.1:3306",),
    "BATON_TEST_REDIS": ("redis://127.0.0.1:6379",),
}
DRIVERS = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
START_SECONDS = 180.0
_CLAIM_SECONDS = 3 * 3600
_OURS, _CLAIM = "baton-tests", "baton-tests:claim"
_FOREIGN = ("PREFECT_", "MLFLOW_", "BATON_", "PYTHONDONTWRITEBYTECODE")
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class NobodyAnswersError(RuntimeError):
    """A service that is not there, in one line."""


# --- databases ------------------------------------------------------------------------------------


@contextmanager
def postgresql(*databases: str) -> Iterator[Any]:
    """Databases of this caller alone, and a role that owns them.

    Parameters
    ----------
    databases : str
        What each is for.

    Yields
    ------
    URL or dict of str to URL
        With user and password; one URL if no name is given.
    """
    with _administered("BATON_TEST_POSTGRESQL") as admin:
        name, password = f"baton_{token_hex(4)}", token_hex(12)
        made = {one: f"{name}_{one}" for one in databases or ("test",)}
        _execute(admin, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        try:
            for one in made.values():
                _execute(admin, f"CREATE DATABASE {one} OWNER {name}")
            urls = _urls(admin, name, password, made)
            yield urls if databases else urls["test"]
        finally:
            for one in made.values():
                _execute(admin, f"DROP DATABASE IF EXISTS {one} WITH (FORCE)")
            _execute(admin, f"DROP ROLE {name}")


@contextmanager
def mysql() -> Iterator[URL]:
    """Yield the URL of a database of this caller alone on MariaDB or MySQL, with its password."""
    with _administered("BATON_TEST_MYSQL") as admin:
        name, password = f"baton_{token_hex(4)}", token_hex(12)
        _execute(admin, f"CREATE DATABASE {name}")
        try:
            _execute(admin, f"CREATE USER {name}@'%' IDENTIFIED BY '{password}'")
            _execute(admin, f"GRANT ALL ON {name}.* TO {name}@'%'")
            yield _urls(admin, name, password, {"test": name})["test"]
        finally:
            _execute(admin, f"DROP DATABASE {name}")
            _execute(admin, f"DROP USER IF EXISTS {name}@'%'")


def _urls(admin: Engine, user: str, password: str, databases: dict[str, str]) -> dict[str, URL]:
    own = admin.url.set(username=user, password=password)
    return {one: own.set(database=name) for one, name in databases.items()}


@contextmanager
def _administered(variable: str) -> Iterator[Engine]:
    engine = _answering(variable)
    try:
        yield engine
    finally:
        engine.dispose()


def _answering(variable: str) -> Engine:
    said = ""
    for address in _addresses(variable):
        url = make_url(address)
        url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
        engine = create_engine(
            url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5}
        )
        try:
            with engine.connect():
                return engine
        except (SQLAlchemyError, ImportError) as error:
            said = str(getattr(error, "orig", None) or error)
            engine.dispose()
    raise _nobody(variable, said)


def _addresses(variable: str) -> tuple[str, ...]:
    given = os.environ.get(variable)
    return (given,) if given else STANDARD[variable]


def _nobody(variable: str, said: str) -> NobodyAnswersError:
    reason = " ".join(said.split())[:150]
    return NobodyAnswersError(
        f"wants a server at {_addresses(variable)[0]} ({reason}); start it or set {variable}"
    )


def _execute(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement))


@contextmanager
def redis_databases(number: int = 1) -> Iterator[list[str]]:
    """URLs of numbered databases that nobody else uses; they are emptied in the end.

    A database is free if it is empty, or if what is in it was left by tests that were killed.
    """
    (address,) = _addresses("BATON_TEST_REDIS")
    taken: list[redis.Redis] = []
    try:
        for place in reversed(range(_count(address))):
            client = redis.Redis.from_url(address, db=place)
            if len(taken) < number and _claimed(client):
                taken.append(client)
        if len(taken) < number:
            raise NobodyAnswersError(f"wants {number} empty databases of {address}")
        yield [f"{address.rstrip('/')}/{c.get_connection_kwargs()['db']}" for c in taken]
    finally:
        for client in taken:
            client.flushdb()
            client.close()


def _count(address: str) -> int:
    try:
        with redis.Redis.from_url(address, socket_connect_timeout=5) as client:
            return int(client.config_get("databases")["databases"])
    except redis.RedisError as error:
        raise _nobody("BATON_TEST_REDIS", str(error)) from None


def _claimed(client: redis.Redis) -> bool:
    """Take a database if it is free."""
    if client.dbsize() and not client.exists(_OURS):
        return False
    if not client.set(_CLAIM, os.getpid(), nx=True, ex=_CLAIM_SECONDS):
        return False
    for key in client.scan_iter(count=1000):
        if key.decode() != _CLAIM:
            client.delete(key)
    client.set(_OURS, "")
    return True


# --- what compose.yaml says -----------------------------------------------------------------------


def variables(service: str, values: dict[str, str]) -> dict[str, str]:
    """Environment that compose.yaml gives to a service.

    Parameters
    ----------
    service : str
    values : dict of str to str
        What stands in ``.env``.
    """
    given = COMPOSE["services"][service]["environment"]
    return {name: _filled(str(value), values) for name, value in given.items()}


def command(service: str, values: dict[str, str]) -> list[str]:
    """Command that compose.yaml gives to a service; without one the image serves."""
    given = COMPOSE["services"][service].get("command", ["python", "-m", "serving"])
    return [_filled(part, values) for part in given]


def health_check(service: str) -> list[str]:
    """Command that says whether a service is well: its own, else the image's."""
    own = COMPOSE["services"][service].get("healthcheck")
    if own is not None:
        return list(own["test"][1:])
    (found,) = re.findall(r"^HEALTHCHECK [^\n]+\n +CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    return list(json.loads(found))


def _filled(text: str, values: dict[str, str]) -> str:
    """Text with what stands in ``.env`` in the places of its variables."""

    def fill(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return values.get(name, default) if kind == "-" else values[name]

    return _VARIABLE.sub(fill, text)


def declared_databases() -> list[str]:
    """Databases that compose.yaml makes: the one of the image, and those of its script."""
    first = COMPOSE["services"]["postgres"]["environment"]["POSTGRES_DB"]
    return [first, *re.findall(r"CREATE DATABASE (\w+)", _script())]


def declared_extensions() -> list[str]:
    """Statements of that script which make extensions in the first of them."""
    return re.findall(r"CREATE EXTENSION [^;]+", _script())


def _script() -> str:
    return str(COMPOSE["configs"]["databases"]["content"])


# --- a team's servers -----------------------------------------------------------------------------


@dataclass
class Server:
    """A server in a process group of its own."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    address: str
    """Without a path."""
    health: str
    """Path that answers once it is up."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """File of all that it said."""
        return self.folder / f"{self.name}.log"

    @property
    def api(self) -> str:
        """Address of its API, if it is Prefect's."""
        return f"{self.address}/api"

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it answers."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                # It ends when this process is gone, however.
                [sys.executable, "-m", "baton.parent", str(os.getpid()), *self.command],
                cwd=self.folder,
                env=kept | self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + START_SECONDS
        while not self.is_up():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.2)

    def is_up(self) -> bool:
        """Tell whether it answers; one that listens nowhere is up at once."""
        if not self.address:
            return True
        try:
            return httpx.get(self.address + self.health, timeout=2, verify=False).is_success
        except httpx.HTTPError:
            return False

    def send(self, signum: int) -> None:
        """Send a signal to it and what it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)

    def end(self, signum: int = signal.SIGTERM) -> None:
        """End it and what it started."""
        if self.process is None:
            return
        self.send(signum)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.send(signal.SIGKILL)
        self.process.wait()


@dataclass
class Team:
    """Prefect servers on one database and one broker, MLflow, and where studies are kept."""

    folder: Path
    databases: dict[str, URL]
    """By the name that compose.yaml gives them: prefect, mlflow, optuna."""
    brokers: list[str]
    """URLs of the databases of Redis: messaging, docket."""
    values: dict[str, str]
    """What stands in ``.env``."""
    prefect: list[Server] = field(default_factory=list)
    mlflow: Server | None = None

    @property
    def auth_string(self) -> str:
        """Login of the API, ``user:password``."""
        return self.values["PREFECT_AUTH"]

    def end(self) -> None:
        """End all servers."""
        servers = [*self.prefect, *([self.mlflow] if self.mlflow else [])]
        for one in servers:
            one.send(signal.SIGTERM)
        for one in servers:
            one.end()

    def environment(self, server: int = 0, **more: str) -> dict[str, str]:
        """Environment of whoever uses the team, as compose.yaml gives it to the serve process.

        Parameters
        ----------
        server : int
            Place of the Prefect server that it talks to.
        more : str
            Further variables.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        own = {"PREFECT_HOME": str(self.folder / "home"), "DO_NOT_TRACK": "1"}
        return kept | own | self.told("serve", self.prefect[server]) | more

    def told(self, service: str, prefect: Server, **values: str) -> dict[str, str]:
        """What compose.yaml tells a service, with the places of this team."""
        port = prefect.address.rpartition(":")[2]
        found = variables(service, self.values | {"PREFECT_PORT": port} | values)
        return {name: self._placed(value, prefect) for name, value in found.items()}

    @contextmanager
    def role(self, service: str, port: str = "", **values: str) -> Iterator[Server]:
        """Another service of compose.yaml's, with its command and variables; it ends with this.

        Parameters
        ----------
        service : str
        port : str, optional
            Variable of ``.env`` that says where it listens, if it does: a free one is given.
        values : str
            What else stands in ``.env``.
        """
        number = str(free_port()) if port else ""
        given = self.values | ({port: number} if port else {}) | values
        told = self.told(service, self.prefect[0], **given) | _of_the_image(self.folder)
        told |= {"PREFECT_HOME": str(self.folder / service)}
        told = {name: value.replace("0.0.0.0", "127.0.0.1") for name, value in told.items()}
        address = f"http://127.0.0.1:{number}" if port else ""
        parts = [one.replace("/data", f"{self.folder}/data") for one in command(service, given)]
        found = Server(service, _module(parts), told, self.folder, address, "/health")
        found.start(wait=bool(port))
        try:
            yield found
        finally:
            found.end()

    def is_well(self, server: Server) -> bool:
        """Tell what the health check of a service of compose.yaml says, in its environment."""
        check = [sys.executable, *health_check(server.name)[1:]]
        told = os.environ | server.environment
        return subprocess.run(check, env=told, capture_output=True, check=False).returncode == 0

    def _placed(self, value: str, prefect: Server) -> str:
        places = {f"redis:6379/{n}": url.split("//")[1] for n, url in enumerate(self.brokers)}
        places["prefect:4200"] = prefect.address.split("//")[1]
        places["/data/"] = f"{self.folder}/data/"
        if self.mlflow:
            places["http://mlflow:5000"] = self.mlflow.address
        for name, url in self.databases.items():
            place = f"{url.host}:{url.port or 5432}/{url.database}"
            places |= {
                f"{user}postgres:5432/{name}": f"{login}@{place}"
                for user, login in self._logins(url)
            }
        for old, new in places.items():
            value = value.replace(old, new)
        return value

    def _logins(self, url: URL) -> Iterator[tuple[str, str]]:
        yield f"baton:{self.values['POSTGRES_PASSWORD']}@", f"{url.username}:{url.password}"
        yield "baton@", str(url.username)


@contextmanager
def team(folder: Path, n_servers: int = 2, *, mlflow: bool = True) -> Iterator[Team]:
    """Servers as compose.yaml sets them up; they and their databases are gone in the end.

    Parameters
    ----------
    folder : Path
        Where logs and artifacts are put.
    n_servers : int
        Prefect servers on one database.
    mlflow : bool
        Start MLflow, too.
    """
    with ExitStack() as stack:
        databases = stack.enter_context(postgresql(*declared_databases()))
        brokers = stack.enter_context(redis_databases(2))
        _extend(databases[declared_databases()[0]])
        found = Team(folder, databases, brokers, _secrets(databases))
        found.mlflow = _server("mlflow", "mlflow", folder, "/health")
        found.prefect = [
            _server("prefect", f"prefect-{n}", folder, "/api/health") for n in range(n_servers)
        ]
        stack.callback(found.end)
        _begin(found, mlflow=mlflow)
        yield found


def _of_the_image(folder: Path) -> dict[str, str]:
    """Variables of Baton's that the image itself sets, with /data in a folder."""
    found = re.findall(r"(BATON_\w+)=(\S+)", DOCKERFILE)
    return {name: value.replace("/data", f"{folder}/data") for name, value in found}


def _module(command: list[str]) -> list[str]:
    """Command of the image as a module and its arguments."""
    return command[2:] if command[:2] == ["python", "-m"] else command


def _secrets(databases: dict[str, URL]) -> dict[str, str]:
    import base64

    password = next(iter(databases.values())).password
    return {
        "POSTGRES_PASSWORD": str(password),
        "PREFECT_AUTH": f"team:{token_hex(12)}",
        "PREFECT_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }


def _extend(url: URL) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in declared_extensions():
                connection.execute(text(statement))
    finally:
        engine.dispose()


def _server(service: str, name: str, folder: Path, health: str) -> Server:
    """Server of compose.yaml's command, on a free port of the loopback."""
    port = free_port()
    command = [
        {"0.0.0.0": "127.0.0.1", "5000": str(port)}.get(part, part)
        for part in COMPOSE["services"][service]["command"]
    ]
    if "--port" not in command:
        command += ["--port", str(port)]
    return Server(name, command, {}, folder, f"http://127.0.0.1:{port}", health)


def _begin(found: Team, *, mlflow: bool) -> None:
    """Start all; the second Prefect server when the first has made the tables."""
    first, *others = found.prefect
    for one in found.prefect:
        own = {"PREFECT_HOME": str(found.folder / one.name)}
        one.environment = found.told("prefect", one) | own
    assert found.mlflow is not None
    found.mlflow.environment = found.told("mlflow", first)
    if mlflow:
        found.mlflow.start(wait=False)
    first.start()
    for one in others:
        one.start()
    if mlflow:
        found.mlflow.wait()


def free_port() -> int:
    """Port on the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
