"""Baton as a team runs it, every process started again when it ended: what an engine would do.

Servers, and what takes their runs: serve processes, or workers of a pool. What these programs
share about any standing Baton belongs in ``standing.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from standing import BATON, ROOT, Standing

from tasks.platform.api import Access, Client

sys.path.insert(0, str(ROOT))

from tests.services import Server, Team, free_port, team

POOL = "baton"
PREFECT = BATON.with_name("prefect")
SERVES = (sys.executable, "-m", "serving")
WORKER = (PREFECT, "worker", "start", "--pool", POOL, "--type", "process")
QUICK = {"PREFECT_WORKER_QUERY_SECONDS": "1"}


@dataclass
class Composed(Standing):
    """Servers and takers of runs that are started again whenever they have ended.

    Parameters
    ----------
    home : Path
    servers : list of Server
        Of Prefect.
    environments : list of dict
        Of each taker of runs.
    taker : sequence of str
        Command of what takes runs.
    mlflow : Server, optional
    """

    servers: list[Server] = field(default_factory=list)
    environments: list[dict[str, str]] = field(default_factory=list)
    taker: tuple[str | Path, ...] = SERVES
    mlflow: Server | None = None
    takers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def mark(self) -> bytes:
        """What the environment of each of its processes holds."""
        return str(self.home.parent).encode()

    def keep(self) -> None:
        """Start what does not run."""
        for server in [*self.servers, *([self.mlflow] if self.mlflow else [])]:
            if server.process is None or server.process.poll() is not None:
                server.start(wait=False)
        for place in range(len(self.environments)):
            living = self.takers.get(place)
            if living is None or living.poll() is not None:
                self.takers[place] = self._take(place)

    def _take(self, place: int) -> subprocess.Popen[bytes]:
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        with (self.home / "logs" / f"taker-{place}.log").open("ab") as said:
            return subprocess.Popen(
                self.taker,
                cwd=ROOT,
                env=self.environments[place] | self.extra | {"BATON_HOME": str(self.home)},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def of_kind(self, kind: str) -> list[int]:
        """Processes of a kind; servers are started as a team's are."""
        groups = {"server": self.servers, "mlflow": [self.mlflow] if self.mlflow else []}
        if kind not in groups:
            return super().of_kind(kind)
        started = (server.process for server in groups[kind])
        return [one.pid for one in started if one is not None and one.poll() is None]

    def kill(self, pid: int) -> None:
        """End one of its processes at once, a server with all that it started."""
        if pid in [*self.of_kind("server"), *self.of_kind("mlflow")]:
            os.killpg(pid, signal.SIGKILL)
        else:
            super().kill(pid)

    def stop(self, signum: int) -> None:
        """End all of it at once, as when the machine stops."""
        for taker in self.takers.values():
            taker.send_signal(signum)
        for server in [*self.servers, *([self.mlflow] if self.mlflow else [])]:
            server.end(signum)
        for taker in self.takers.values():
            with suppress(subprocess.TimeoutExpired):
                taker.wait(30)
            taker.kill()
            taker.wait()

    def end(self) -> None:
        """End all of it for good."""
        self.stop(signal.SIGTERM)
        self.end_rest()

    def logs(self) -> Iterator[Path]:
        """Files in which its processes speak."""
        yield from super().logs()
        yield from self.home.parent.glob("*.log")

    def client(self) -> Client:
        """Client of a server that answers; of the first where none does."""
        living = [one for one in self.servers if one.is_up()] or self.servers
        secret = self.environments[0].get("PREFECT_API_AUTH_STRING", "")
        return Client(Access(living[0].api, auth_string=secret))


@contextmanager
def composed(
    folder: Path, extra: dict[str, str], *, by_workers: bool = False
) -> Iterator[tuple[Composed, Team]]:
    """Two Prefect servers on PostgreSQL and Redis, MLflow, and what takes runs for each server.

    Parameters
    ----------
    folder : Path
        Of the home, and of what the servers keep.
    extra : dict of str to str
        Environment beside what ``compose.yaml`` says.
    by_workers : bool
        Whether workers of a pool take them, rather than serve processes.
    """
    with _environment(extra), team(folder) as found:
        environments = [found.environment(server=n) for n in range(len(found.prefect))]
        standing = Composed(folder / "home", extra, servers=found.prefect, mlflow=found.mlflow)
        standing.environments = [one | QUICK for one in environments]
        if by_workers:
            deploy(environments[0])
            standing.taker = WORKER
        yield standing, found


@contextmanager
def worked(folder: Path, extra: dict[str, str]) -> Iterator[Composed]:
    """Yield a Prefect server on SQLite and two workers of its pool, on which all is deployed.

    Parameters
    ----------
    folder : Path
        Of the home, and of what the server keeps.
    extra : dict of str to str
        Environment of all processes beside their own.
    """
    home, own = folder / "home", {"PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
    port = free_port()
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    told = own | {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_API_URL": f"{address}/api"}
    server = Server("prefect", command, told, folder, address, "/api/health")
    with _environment(extra):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "BATON_"))}
        asks = kept | told | QUICK | {"BATON_HOME": str(home)}
        server.start()
        try:
            deploy(asks)
            both = [asks, asks]
            yield Composed(home, extra, servers=[server], environments=both, taker=WORKER)
        finally:
            server.end()


def deploy(environment: dict[str, str]) -> None:
    """Deploy what prefect.yaml declares to a work pool of processes."""
    for said in (["work-pool", "create", POOL, "--type", "process"], ["deploy", "--all"]):
        subprocess.run(
            [PREFECT, "--no-prompt", *said],
            cwd=ROOT,
            env=environment,
            check=True,
            capture_output=True,
            timeout=300,
        )


@contextmanager
def _environment(extra: dict[str, str]) -> Iterator[None]:
    """Have the servers, which take what this process has, run with these variables."""
    os.environ.update(extra)
    try:
        yield
    finally:
        for name in extra:
            os.environ.pop(name, None)
