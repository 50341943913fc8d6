"""A `baton up` in a home of its own, and what became of the chains in it.

What the programs that measure a standing Baton share: chaos, burst and soak. Which chains they
begin, and what they do meanwhile, belongs to them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chain import BATON, ROOT, environment_of
from sqlalchemy import URL, create_engine, text

from baton.settings import Settings
from serving.embedded import found
from tasks.platform.api import Access, ApiError, Client

START_SECONDS = 120.0
SMALL = {"importance_rows": 50, "n_repeats": 1, "explain_rows": 5}
"""Options of a chain whose work is small."""
STAGES = ("generate", "train", "evaluate", "promote")
NAMES = {
    "serve": "-m serving ",
    "server": " serving.server ",
    "mlflow": " mlflow server ",
    "worker": "prefect worker start ",
}
"""What the command lines of processes of a kind hold."""
OWN_REASONS = ("its process died", "StorageError")
"""What the message of a run says that was given up for what happened to itself or its disk."""
LOCKED = b"database is locked"
Json = dict[str, Any]


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
    def mark(self) -> bytes:
        """What the environment of each of its processes holds."""
        return f"BATON_HOME={self.home}\0".encode()

    @property
    def environment(self) -> dict[str, str]:
        """Environment of what is started in this home."""
        return environment_of(str(self.home)) | self.extra

    def __enter__(self) -> Self:
        self.home.mkdir(exist_ok=True)
        try:
            self.keep()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

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

    def kill(self, pid: int) -> None:
        """End one of its processes at once."""
        kill(pid)

    def stop(self, signum: int) -> None:
        """Send the whole a signal, and wait for its end."""
        assert self.process is not None
        kill(self.process.pid, signum)
        self.process.wait(60)

    def end(self) -> None:
        """End all of it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
            self.process.kill()
        self.end_rest()

    def end_rest(self) -> None:
        """End what is left."""
        for pid in self.processes():
            kill(pid)
        self.read_logs()

    def logs(self) -> Iterator[Path]:
        """Files in which its processes speak."""
        yield from (self.home / "logs").glob("*.log*")

    def read_logs(self) -> None:
        """Count what the logs have said since they were last read."""
        for log in self.logs():
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
        living = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_ours = self.mark in (place / "environ").read_bytes()
                if is_ours and state_of(int(place.name)) != "Z":
                    command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    living[int(place.name)] = command
        return living

    def of_kind(self, kind: str) -> list[int]:
        """Processes of a kind: run, template, serve, server, mlflow or worker."""
        living = self.processes()
        named = {pid for pid, command in living.items() if NAMES.get(kind, "-") in command}
        return sorted(_of_runs(living).get(kind, named))


def _of_runs(living: Mapping[int, str]) -> dict[str, set[int]]:
    """Serve processes, templates and runs: who was forked has the command line of who forked it."""
    warm = {pid for pid, command in living.items() if "-m serving.warm " in command}
    served = {pid for pid, command in living.items() if NAMES["serve"] in command}
    serve = {pid for pid in served if parent_of(pid) not in served}
    template = {pid for pid in served - serve if parent_of(pid) in serve}
    template |= {pid for pid in warm if parent_of(pid) not in warm | template}
    forked = {pid for pid in served | warm if parent_of(pid) in template}
    cold = {pid for pid, command in living.items() if "-m serving.engine" in command}
    return {"serve": serve, "template": template, "run": forked | cold}


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
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


# --- what became of chains ------------------------------------------------------------------------


@dataclass
class Ended:
    """What became of the chains."""

    chains: dict[str, str] = field(default_factory=dict)
    """How each chain ended by its id."""
    reasons: dict[str, str] = field(default_factory=dict)
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
            self.see(chain, mine)

    def see(self, chain: str, runs: list[Json]) -> None:
        """Note how far a chain is, by its runs."""
        self.chains[chain], self.reasons[chain] = judged(runs)


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
    if any(run["state_type"] == "COMPLETED" for run in by_stage["promote"]):
        return "completed", ""
    for name in STAGES:
        states = {run["state_type"] for run in by_stage[name]}
        if states and states <= {"FAILED", "CANCELLED"}:
            reason = str(by_stage[name][-1]["state"]["message"])
            is_told = any(words in reason for words in OWN_REASONS)
            return ("given up" if is_told else "lost"), f"{name}: {reason}"
    return "stuck", ", ".join(f"{r['stage']} {r['state_name']}" for r in runs)


def doubled(home: Path, database: URL | None = None) -> int:
    """Model versions that there are too many of: more than one with the same key.

    Parameters
    ----------
    home : Path
    database : URL, optional
        MLflow's, if it is not the file of the home.
    """
    file = home / "mlflow" / "mlflow.db"
    if database is None and not file.exists():
        return 0
    engine = create_engine(database or f"sqlite:///{file}")
    keys = "SELECT count(*) - count(DISTINCT value) FROM model_version_tags WHERE key = 'baton.key'"
    try:
        with engine.connect() as connection:
            return int(connection.execute(text(keys)).scalar_one())
    finally:
        engine.dispose()
