"""A `baton up` in a home of its own, and what became of the chains in it.

What the programs that measure a standing Baton share: chaos, burst and soak. Which chains they
begin, and what they do meanwhile, belongs to them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from chain import BATON, ROOT, environment_of

from baton.settings import Settings
from serving.embedded import found
from tasks.platform.api import Access, ApiError, Client

START_SECONDS = 120.0
SMALL = {"importance_rows": 50, "n_repeats": 1, "explain_rows": 5}
"""Options of a chain whose work is small."""
STAGES = ("generate", "train", "evaluate")
LOCKED = b"database is locked"
POSTGRESQL = os.environ.get("BATON_TEST_POSTGRESQL", "postgresql://root@127.0.0.1:5432/postgres")
REDIS = os.environ.get("BATON_TEST_REDIS", "redis://127.0.0.1:6379/5")
DATABASES = ("sqlite", "postgresql")
Json = dict[str, Any]


def parser_of(text: str) -> argparse.ArgumentParser:
    """Parser of what all of these programs take."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the chains' tables")
    parser.add_argument(
        "--database",
        choices=DATABASES,
        default="sqlite",
        help="where Prefect, MLflow and Optuna keep what they know; with postgresql, events go"
        " through Redis (BATON_TEST_POSTGRESQL and BATON_TEST_REDIS say where, databases of its"
        " own are made and dropped)",
    )
    parser.add_argument("--rows", type=int, default=2000, help="of each chain's table")
    parser.add_argument("--folder", help="where the temporary home is made")
    parser.add_argument("--keep", help="folder to copy the home to in the end, to look at it")
    return parser


@contextmanager
def standing_in(
    options: argparse.Namespace, *up: str, **more: str
) -> Iterator[tuple[Standing, Memory]]:
    """A `baton up` with these options in a temporary home, and a watch of its memory."""
    with (
        tempfile.TemporaryDirectory(prefix="baton-", dir=options.folder) as home,
        databases(options.database) as extra,
    ):
        standing = Standing(Path(home), extra | more, up)
        watch = Memory(standing)
        try:
            standing.keep()
            watch.start()
            yield standing, watch
        finally:
            watch.is_over.set()
            standing.end()
            if options.keep:
                shutil.copytree(home, options.keep, dirs_exist_ok=True)


@contextmanager
def databases(kind: str) -> Iterator[dict[str, str]]:
    """Environment of a Baton on databases of its own, which are dropped afterwards."""
    if kind == "sqlite":
        yield {}
        return
    server = sa.make_url(POSTGRESQL)
    name = f"baton_bench_{os.getpid()}"
    names = {role: f"{name}_{role}" for role in ("prefect", "mlflow", "optuna")}
    try:
        for one in names.values():
            _execute(server, f'create database "{one}"')
        prefect, mlflow, optuna = (server.set(database=one) for one in names.values())
        _execute(prefect, "create extension if not exists pg_trgm")
        asked = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect.set(drivername="postgresql+asyncpg"),
            "BATON_MLFLOW_TRACKING_URI": mlflow.set(drivername="postgresql+psycopg2"),
            "BATON_STUDY_STORAGE": optuna.set(drivername="postgresql+psycopg2"),
        }
        told = {k: v.render_as_string(hide_password=False) for k, v in asked.items()}
        yield told | _broker(name)
    finally:
        for one in names.values():
            _execute(server, f'drop database if exists "{one}" with (force)')


def _broker(name: str) -> dict[str, str]:
    """Environment of a server whose events go through Redis, where its adapter is installed."""
    if find_spec("prefect_redis") is None:
        return {}
    redis = sa.make_url(REDIS)
    return {
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_SERVER_DOCKET_NAME": name,
        "PREFECT_SERVER_DOCKET_URL": REDIS,
        "PREFECT_REDIS_MESSAGING_HOST": redis.host or "127.0.0.1",
        "PREFECT_REDIS_MESSAGING_PORT": str(redis.port or 6379),
        "PREFECT_REDIS_MESSAGING_DB": redis.database or "0",
    }


def databases_of(standing: Standing) -> dict[str, str]:
    """Addresses of the databases of a standing Baton, as one asks them from outside."""
    inside = {
        "prefect": standing.home / "prefect" / "prefect.db",
        "mlflow": standing.home / "mlflow" / "mlflow.db",
    }
    asked = {
        "prefect": standing.extra.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", ""),
        "mlflow": standing.store,
    }
    return {
        name: asked[name].replace("+asyncpg", "+psycopg2") or f"sqlite:///{place}"
        for name, place in inside.items()
    }


def _execute(address: sa.URL, statement: str) -> None:
    engine = sa.create_engine(address.set(drivername="postgresql+psycopg2"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@dataclass
class Standing:
    """A `baton up` that is started again whenever it has ended.

    Parameters
    ----------
    home : Path
    extra : dict, optional
        Environment beside what a Baton of its own has: where its databases are.
    options : sequence of str, optional
        Of the command.
    """

    home: Path
    extra: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ("--no-mlflow",)
    process: subprocess.Popen[bytes] | None = None
    n_locked: int = 0
    """Times that a log said that the database is locked."""
    _read: dict[Path, int] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Environment of what is started in this home."""
        return environment_of(str(self.home)) | self.extra

    @property
    def store(self) -> str:
        """Address of MLflow's database; empty where it is in the home."""
        return self.extra.get("BATON_MLFLOW_TRACKING_URI", "")

    def keep(self) -> None:
        """Start it if it does not run, and wait until it is ready."""
        if self.process and self.process.poll() is None:
            return
        until(lambda: not self.processes(), 30)
        self.read_logs()
        self._read.clear()  # a log begins anew with its process
        (self.home / "up.json").unlink(missing_ok=True)
        with (self.home / "up.out").open("ab") as said:
            self.process = subprocess.Popen(
                [BATON, "up", *self.options],
                cwd=ROOT,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + START_SECONDS
        while not (self.home / "up.json").exists() and self.process.poll() is None:
            if time.monotonic() > end:
                raise SystemExit("baton up did not get ready")
            time.sleep(0.2)

    def end(self) -> None:
        """End all of it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
        for pid in self.processes():
            kill(pid)
        self.read_logs()

    def read_logs(self) -> None:
        """Count what the logs have said since they were last read."""
        for log in (self.home / "logs").glob("*.log*"):
            with log.open("rb") as content:
                content.seek(self._read.get(log, 0))
                said = content.read()
            self._read[log] = self._read.get(log, 0) + len(said)
            self.n_locked += said.count(LOCKED)

    def client(self) -> Client:
        """Client of its server; of none where it is not ready."""
        addresses = found(Settings(home=self.home))
        return Client(addresses.access if addresses else Access("http://127.0.0.1:9/api"))

    def ask(self, what: Callable[[Client], Any], seconds: float = 120.0) -> Any:
        """Ask its server, which may be starting again."""
        end = time.monotonic() + seconds
        while True:
            try:
                with self.client() as client:
                    return what(client)
            except (ApiError, TypeError):
                if time.monotonic() > end:
                    raise
                self.keep()
                time.sleep(1.0)

    def begin(self, parameters: Json, once: str) -> str:
        """Begin a chain of the spheres, once however often it is asked for.

        Parameters
        ----------
        parameters : dict
            Of the problem.
        once : str
            The order's own name.

        Returns
        -------
        str
            Id of the run that begins it.
        """
        said = {"problem": "spheres", "options": SMALL, "parameters": parameters}
        wanted = {"parameters": said, "idempotency_key": once}

        def begin(client: Client) -> str:
            deployment = client.find("deployments/name/generate/generate-spheres")
            return str(client.post(f"deployments/{deployment['id']}/create_flow_run", wanted)["id"])

        return str(self.ask(begin))

    def processes(self) -> dict[int, str]:
        """Command lines of the home's living processes by id."""
        mark, living = f"BATON_HOME={self.home}".encode(), {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_ours = mark in (place / "environ").read_bytes().split(b"\0")
                if is_ours and state_of(int(place.name)) != "Z":
                    command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    living[int(place.name)] = command
        return living

    def of_kind(self, kind: str) -> list[int]:
        """Processes of a kind: up, run, template, serve, server or mlflow."""
        living = self.processes()
        warm = {pid for pid, command in living.items() if "-m serving.warm " in command}
        forked = {pid for pid in warm if parent_of(pid) in warm}
        cold = {pid for pid, command in living.items() if "-m prefect.engine" in command}
        groups = {
            "up": {self.process.pid} if self.process else set(),
            "run": forked | cold,
            "template": warm - forked,
            "serve": {pid for pid, command in living.items() if "-m serving " in command},
            "server": {pid for pid, command in living.items() if " serving.server " in command},
            "mlflow": {pid for pid, command in living.items() if " mlflow server " in command},
        }
        return sorted(groups[kind])


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state_of(pid: int) -> str:
    """State of a process, one letter."""
    return _status(pid)[0]


def parent_of(pid: int) -> int:
    """Parent of a process; 0 if it is gone."""
    try:
        return int(_status(pid)[1])
    except OSError:
        return 0


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signum)


def until(is_so: Callable[[], object], seconds: float, step: float = 0.1) -> bool:
    """Wait for something; tell whether it came."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


class Memory(threading.Thread):
    """Looks at the memory of a home's processes, pages that several share counted once."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(daemon=True)
        self.standing = standing
        self.is_over = threading.Event()
        self.peak_kib = 0

    def run(self) -> None:
        """Look every two seconds."""
        while not self.is_over.wait(2.0):
            used = sum(shared_kib(pid) for pid in self.standing.processes())
            self.peak_kib = max(self.peak_kib, used)


def shared_kib(pid: int) -> int:
    """Memory of a process, its part of pages that several share; 0 if it is gone."""
    return _memory(pid, "Pss:")


def own_kib(pid: int) -> int:
    """Memory that a process took for itself, whoever else reads the same files; 0 if it is gone."""
    return _memory(pid, "Anonymous:")


def _memory(pid: int, what: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1])
    return 0


# --- what became of chains ------------------------------------------------------------------------


@dataclass
class Ended:
    """What became of the chains."""

    chains: dict[str, str] = field(default_factory=dict)
    """How each chain ended by its id."""
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """From when each was asked for to the end of its last run."""
    doubled: int = 0

    def count(self, how: str) -> int:
        """Chains that ended so."""
        return sum(one == how for one in self.chains.values())

    @property
    def lost(self) -> int:
        """Chains that ended without their last stage and without a fault of their own."""
        return self.count("lost")

    @property
    def stuck(self) -> int:
        """Chains that did not end."""
        return self.count("stuck")

    def look(self, standing: Standing, begun: list[str]) -> None:
        """See how far chains are that these runs began."""
        runs = standing.ask(lambda client: list(all_runs(client)))
        for run_id in begun:
            chain = chain_of(run_id)
            mine = [run for run in runs if run["id"] == run_id or is_of(run, chain)]
            self.chains[chain], self.reasons[chain] = judged(mine)
            self.seconds[chain] = lasted(mine)

    def wait(self, standing: Standing, begun: list[str], patience: float) -> None:
        """Wait until all of them have ended, or none of them has for so many seconds."""
        n_going, since = len(begun) + 1, time.monotonic()
        while True:
            standing.keep()
            self.look(standing, begun)
            if self.stuck < n_going:
                n_going, since = self.stuck, time.monotonic()
            if not n_going or time.monotonic() - since > patience:
                return
            time.sleep(2.0)

    def tell(self, standing: Standing, watch: Memory, minutes: float) -> None:
        """Print it."""
        print(f"chains            {len(self.chains)}, completed {self.count('completed')}")
        print(f"lost              {self.lost + self.count('given up')}")
        print(f"twice             {self.doubled}")
        print(f"stuck             {self.stuck}")
        print(f"chains per minute {self.count('completed') / minutes:.1f}")
        print(f"longest chain     {max(self.seconds.values(), default=0.0):.1f} s")
        print(f"peak memory       {watch.peak_kib / 1024:.0f} MiB")
        print(f"database locked   {standing.n_locked}")
        for chain, reason in self.reasons.items():
            if reason:
                print(f"  chain {chain} {self.chains[chain]}: {reason}")

    @property
    def is_whole(self) -> bool:
        """Tell whether every chain completed, and once."""
        return self.count("completed") == len(self.chains) and not self.doubled


def lasted(runs: list[Json]) -> float:
    """Seconds from the first run of a chain to the end of its last one; 0.0 while there is none."""
    ends = [datetime.fromisoformat(run["end_time"]) for run in runs if run["end_time"]]
    begins = [datetime.fromisoformat(run["created"]) for run in runs]
    return (max(ends) - min(begins)).total_seconds() if ends else 0.0


def chain_of(run_id: str) -> str:
    """Id of the chain that a run began."""
    return run_id.replace("-", "")[:12]


def all_runs(client: Client) -> Iterator[Json]:
    """Runs of all stages, with the name of the stage."""
    names = {"flows": {"name": {"any_": list(STAGES)}}}
    flows = {flow["id"]: flow["name"] for flow in client.post("flows/filter", names)}
    n_seen = 0
    while page := client.post("flow_runs/filter", names | {"limit": 200, "offset": n_seen}):
        n_seen += len(page)
        yield from (run | {"stage": flows[run["flow_id"]]} for run in page)


def is_of(run: Json, chain: str) -> bool:
    """Tell whether a run is of a chain."""
    payloads = (value for value in run["parameters"].values() if isinstance(value, dict))
    return f"chain:{chain}" in run["tags"] or any(one.get("chain") == chain for one in payloads)


def judged(runs: list[Json]) -> tuple[str, str]:
    """How a chain ended, and why."""
    by_stage = {name: [r for r in runs if r["stage"] == name] for name in STAGES}
    if any(run["state_type"] == "COMPLETED" for run in by_stage["evaluate"]):
        return "completed", ""
    for name in STAGES:
        states = {run["state_type"] for run in by_stage[name]}
        if states and states <= {"FAILED", "CANCELLED"}:
            reason = str(by_stage[name][-1]["state"]["message"])
            return ("given up" if "its process died" in reason else "lost"), f"{name}: {reason}"
    return "stuck", ", ".join(f"{r['stage']} {r['state_name']}" for r in runs)


def doubled(home: Path, n_chains: int, store: str = "") -> int:
    """Model versions that there are too many of: each chain has a data set of its own.

    Parameters
    ----------
    home : Path
    n_chains : int
    store : str
        MLflow's database; the one in the home when empty.
    """
    engine = sa.create_engine(store or f"sqlite:///{home / 'mlflow' / 'mlflow.db'}")
    with engine.connect() as database:
        n_versions = database.scalar(sa.text("select count(*) from model_versions"))
    engine.dispose()
    return max(0, int(n_versions or 0) - n_chains)
