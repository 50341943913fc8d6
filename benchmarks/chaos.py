"""Chains while what runs them is killed: how many are lost, doubled or stuck.

Starts a `baton up` in a temporary home and chains in it, kills at random moments what the kinds
name, waits for every chain to end, and prints what became of them. A chain is *lost* if it ended
without its last stage and without being given up for deaths of its own, *doubled* if it has two
model versions, *stuck* if it did not end in time. The exit code is 1 if there is any of them.

    .venv/bin/python benchmarks/chaos.py --faults 12 --seed 1 --chains 8
    .venv/bin/python benchmarks/chaos.py --faults 10 --kinds run,template
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chain import BATON, ROOT, environment_of

from baton.settings import Settings
from serving.embedded import found
from tasks.platform.api import Access, ApiError, Client

KINDS = ("run", "template", "serve", "server", "up")
START_SECONDS = 120.0
SMALL = {"importance_rows": 50, "n_repeats": 1, "explain_rows": 5}
STAGES = ("generate", "train", "evaluate")
PAGE_MIB = 2**20
Json = dict[str, Any]


def main() -> None:
    """Make faults, wait, print."""
    options = _parsed()
    with tempfile.TemporaryDirectory(prefix="baton-chaos-", dir=options.folder) as home:
        standing = Standing(Path(home))
        watch = Memory(standing)
        try:
            standing.keep()
            watch.start()
            ended = Chaos(standing, options).run()
        finally:
            watch.is_over.set()
            standing.end()
            if options.keep:
                subprocess.run(["cp", "-r", home, options.keep], check=False)
        _print(ended, standing, watch)
    raise SystemExit(bool(ended.lost or ended.doubled or ended.stuck))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=10, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of kinds and moments")
    parser.add_argument("--chains", type=int, default=8, help="begun while faults happen")
    parser.add_argument(
        "--kinds",
        type=lambda text: text.split(","),
        default=list(KINDS),
        help="what is killed, with commas between: run (the process of a stage), template (the"
        " process that forks them), serve, server, up (SIGTERM or SIGKILL of `baton up`);"
        " default all",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=240.0,
        help="seconds after the last fault until a chain"
        " that has not ended is stuck (default %(default)s)",
    )
    parser.add_argument("--rows", type=int, default=2000, help="of each chain's table")
    parser.add_argument("--folder", help="where the temporary home is made")
    parser.add_argument("--keep", help="folder to copy the home to in the end, to look at it")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return options


# --- the processes of a home ----------------------------------------------------------------------


@dataclass
class Standing:
    """A `baton up` that is started again whenever it has ended."""

    home: Path
    process: subprocess.Popen[bytes] | None = None
    n_locked: int = 0
    """Times that a log said that the database is locked."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment of what is started in this home."""
        return environment_of(str(self.home))

    def keep(self) -> None:
        """Start it if it does not run, and wait until it is ready."""
        if self.process and self.process.poll() is None:
            return
        self._read_logs()
        _until(lambda: not self.processes(), 30)
        (self.home / "up.json").unlink(missing_ok=True)
        with (self.home / "up.out").open("ab") as said:
            self.process = subprocess.Popen(
                [BATON, "up", "--no-mlflow"],
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
            _kill(pid)
        self._read_logs()

    def _read_logs(self) -> None:
        for log in (self.home / "logs").glob("*.log"):
            self.n_locked += log.read_text("utf-8", "replace").count("database is locked")

    def client(self) -> Client:
        """Client of its server; of none where it is not ready."""
        addresses = found(Settings(home=self.home))
        return Client(addresses.access if addresses else Access("http://127.0.0.1:9/api"))

    def processes(self) -> dict[int, str]:
        """Command lines of the home's living processes by id."""
        mark, found = f"BATON_HOME={self.home}".encode(), {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_ours = mark in (place / "environ").read_bytes().split(b"\0")
                if is_ours and _state(int(place.name)) != "Z":
                    command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(place.name)] = command
        return found

    def of_kind(self, kind: str) -> list[int]:
        """Processes that a fault of this kind may kill."""
        found = self.processes()
        warm = {pid for pid, command in found.items() if "-m serving.warm " in command}
        forked = {pid for pid in warm if _parent(pid) in warm}
        cold = {pid for pid, command in found.items() if "-m prefect.engine" in command}
        serve = {pid for pid, command in found.items() if "-m serving " in command}
        server = {pid for pid, command in found.items() if " serving.server " in command}
        groups = {"run": forked | cold, "template": warm - forked, "serve": serve, "server": server}
        return sorted(groups[kind])


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _state(pid: int) -> str:
    return _status(pid)[0]


def _parent(pid: int) -> int:
    try:
        return int(_status(pid)[1])
    except OSError:
        return 0


def _kill(pid: int, signum: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)


def _until(is_so: Callable[[], object], seconds: float, step: float = 0.1) -> bool:
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
            used = sum(_shared_kib(pid) for pid in self.standing.processes())
            self.peak_kib = max(self.peak_kib, used)


def _shared_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


# --- faults and chains ----------------------------------------------------------------------------


@dataclass
class Ended:
    """What became of the chains."""

    chains: dict[str, str] = field(default_factory=dict)
    """How each chain ended by its id."""
    reasons: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[datetime, str]] = field(default_factory=list)
    doubled: int = 0
    longest_recovery: float = 0.0
    n_begun_again: int = 0

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


class Chaos:
    """Chains and faults in turn, by the seed."""

    def __init__(self, standing: Standing, options: argparse.Namespace) -> None:
        self.standing, self.options = standing, options
        self.random = random.Random(options.seed)
        self.begun: dict[str, int] = {}
        self.ended = Ended()

    def run(self) -> Ended:
        """Begin all chains, make all faults, wait for all to end."""
        left = list(range(self.options.chains))
        for turn in range(self.options.faults):
            n_due = max(1, round(len(left) / (self.options.faults - turn)))
            for number in [left.pop(0) for _ in range(min(n_due, len(left)))]:
                self.begin(number)
            time.sleep(self.random.uniform(0.5, 5.0))
            self.fault(self.random.choice(self.options.kinds))
            self.standing.keep()
        for number in left:
            self.begin(number)
        self._wait()
        self._read()
        return self.ended

    def begin(self, number: int) -> None:
        """Begin a chain of a seed of its own; again until the server says that it did."""
        parameters = {"problem": "spheres", "options": SMALL, "parameters": self._table(number)}
        wanted = {"parameters": parameters, "idempotency_key": f"chaos {number}"}

        def begin(client: Client) -> str:
            found = client.find("deployments/name/generate/generate-spheres")
            return str(client.post(f"deployments/{found['id']}/create_flow_run", wanted)["id"])

        self.begun[self._ask(begin)] = number

    def _table(self, number: int) -> Json:
        return {"rows": self.options.rows, "seed": 1000 * self.options.seed + number}

    def _ask(self, what: Callable[[Client], Any], seconds: float = 120.0) -> Any:
        """Ask a server that may be starting again."""
        end = time.monotonic() + seconds
        while True:
            try:
                with self.standing.client() as client:
                    return what(client)
            except (ApiError, TypeError):
                if time.monotonic() > end:
                    raise
                self.standing.keep()
                time.sleep(1.0)

    def fault(self, kind: str) -> None:
        """Kill something of a kind, once there is one."""
        said = kind
        if kind == "up":
            signum = self.random.choice([signal.SIGTERM, signal.SIGKILL])
            said = f"up {signum.name}"
            assert self.standing.process is not None
            _kill(self.standing.process.pid, signum)
            self.standing.process.wait(60)
        else:
            if not _until(lambda: self.standing.of_kind(kind), 20.0):
                self.ended.faults.append((datetime.now(UTC), f"{kind} (none there)"))
                return
            _kill(self.random.choice(self.standing.of_kind(kind) or [2**30]))
        self.ended.faults.append((datetime.now(UTC), said))
        print(f"{datetime.now(UTC):%H:%M:%S} killed {said}", file=sys.stderr)
        if kind in {"serve", "server"}:
            time.sleep(2.0)  # a `baton up` that does not start it again ends now

    def _wait(self) -> None:
        end = time.monotonic() + self.options.patience
        while time.monotonic() < end:
            self.standing.keep()
            self._look()
            if "stuck" not in self.ended.chains.values():
                return
            time.sleep(1.0)

    def _look(self) -> None:
        runs = self._ask(lambda client: list(_all_runs(client)))
        for run_id in self.begun:
            chain = run_id.replace("-", "")[:12]
            mine = [r for r in runs if r["id"] == run_id or _is_of(r, chain)]
            self.ended.chains[chain], self.ended.reasons[chain] = _judged(mine)

    def _read(self) -> None:
        """Read from the databases what they say of the whole."""
        self.standing.keep()
        self.ended.doubled = _doubled(self.standing.home, len(self.begun))
        runs = self._ask(lambda client: list(_all_runs(client)))
        times = [at for at, _ in self.ended.faults]
        for run in runs:
            states = self._ask(
                lambda c, run=run: c.find(f"flow_run_states/?flow_run_id={run['id']}")
            )
            for seconds in _recoveries(states, times):
                self.ended.n_begun_again += 1
                self.ended.longest_recovery = max(self.ended.longest_recovery, seconds)


def _all_runs(client: Client) -> Iterator[Json]:
    names = {"flows": {"name": {"any_": list(STAGES)}}}
    flows = {flow["id"]: flow["name"] for flow in client.post("flows/filter", names)}
    n_seen = 0
    while page := client.post("flow_runs/filter", names | {"limit": 200, "offset": n_seen}):
        n_seen += len(page)
        yield from (run | {"stage": flows[run["flow_id"]]} for run in page)


def _is_of(run: Json, chain: str) -> bool:
    payloads = (value for value in run["parameters"].values() if isinstance(value, dict))
    return f"chain:{chain}" in run["tags"] or any(one.get("chain") == chain for one in payloads)


def _judged(runs: list[Json]) -> tuple[str, str]:
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


def _doubled(home: Path, n_chains: int) -> int:
    """Model versions that there are too many of: each chain has a data set of its own."""
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as database:
        found = database.execute("select count(*) from model_versions").fetchone()[0]
    return max(0, int(found) - n_chains)


def _recoveries(states: list[Json], faults: list[datetime]) -> Iterator[float]:
    """Seconds from a fault to the moment from which the run that it hit was going again."""
    told = sorted((datetime.fromisoformat(s["timestamp"]), s["name"]) for s in states)
    for place, (at, name) in enumerate(told):
        before = [fault for fault in faults if fault <= at]
        again = [later for later, what in told[place:] if what == "Running"]
        if name == "AwaitingRetry" and before and again:
            yield (again[0] - max(before)).total_seconds()


def _print(ended: Ended, standing: Standing, watch: Memory) -> None:
    kinds = Counter(kind for _, kind in ended.faults)
    print(f"chains            {len(ended.chains)}, completed {ended.count('completed')}")
    print(f"faults            {', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))}")
    print(f"given up          {ended.count('given up')}")
    print(f"lost              {ended.lost}")
    print(f"twice             {ended.doubled}")
    print(f"stuck             {ended.stuck}")
    print(f"runs begun again  {ended.n_begun_again}")
    print(f"longest recovery  {ended.longest_recovery:.1f} s")
    print(f"peak memory       {watch.peak_kib / 1024:.0f} MiB")
    print(f"database locked   {standing.n_locked}")
    for chain, reason in ended.reasons.items():
        if reason:
            print(f"  chain {chain} {ended.chains[chain]}: {reason}")


if __name__ == "__main__":
    main()
