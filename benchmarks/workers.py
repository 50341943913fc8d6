"""The chain under what can take its runs: Prefect's worker, Baton's, a serve process.

One Prefect server on SQLite; each takes the runs of a chain of its own, in turn, each time after
a run that is not counted, so that it stands. Prefect's worker asks for runs as often as the others.
Prints of each the median wall time of `baton run` and its ratio to the serve process's, and the
seconds from each event to the first line of the flow that it starts.

    .venv/bin/python benchmarks/workers.py
    .venv/bin/python benchmarks/workers.py --rows 10000 --repeats 1
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from composed import POOL, SERVES, WORKER, Composed, worked
from standing import BATON, ROOT, START_SECONDS

TAKERS = {
    "prefect worker start": WORKER,
    "baton worker": (BATON, "worker", "--pool", POOL),
    "python -m serving": SERVES,
}
EVERY = "0.5"
ONCE = {
    "PREFECT_WORKER_QUERY_SECONDS": EVERY,
    "BATON_POLL_SECONDS": EVERY,
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",  # it alone keeps SQLite locked
}


@dataclass
class Measured:
    """What the chains of one taker of runs took."""

    chains: list[float] = field(default_factory=list)
    hops: list[float] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3, help="chains of each")
    options = parser.parse_args()
    found = {name: Measured() for name in TAKERS}
    with tempfile.TemporaryDirectory(prefix="baton-") as folder, worked(Path(folder), ONCE) as on:
        environment = on.environments[0] | ONCE
        for turn in range(options.repeats):
            for place, name in enumerate(TAKERS):
                seed = turn * len(TAKERS) + place  # another one each time: nothing is cached
                with _taking(on, name, environment):
                    _measure(found[name], options.rows, seed, environment)
    _tell(found, options)


@contextmanager
def _taking(on: Composed, name: str, environment: dict[str, str]) -> Iterator[None]:
    """Let one of them take the server's runs, and wait until it does."""
    if TAKERS[name] is not SERVES:  # a serve process takes the deployments out of the pool
        _done([BATON, "deploy"], environment)
    taker = subprocess.Popen(
        TAKERS[name],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _take_one(on)
        yield
    finally:
        _end(taker)


def _take_one(on: Composed) -> None:
    """Have a small run done: it imports what there is to import."""
    end = time.monotonic() + START_SECONDS
    with on.client() as client:
        name = "deployments/name/reconcile/reconcile"
        made = client.post(f"deployments/{client.find(name)['id']}/create_flow_run", {})
        while client.find(f"flow_runs/{made['id']}")["state_type"] != "COMPLETED":
            if time.monotonic() > end:
                raise SystemExit("nobody took a run")
            time.sleep(0.5)


def _end(taker: subprocess.Popen[bytes]) -> None:
    """End it; Prefect's worker waits for its runs at the first signal, and not at the second."""
    for _ in range(2):
        taker.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            taker.wait(5)
    taker.wait(60)


def _measure(found: Measured, rows: int, seed: int, environment: dict[str, str]) -> None:
    given = ["-p", f"rows={rows}", "-p", f"seed={seed}", "--json"]
    began = time.perf_counter()
    report = json.loads(_done([BATON, "run", "spheres", *given], environment))
    found.chains.append(time.perf_counter() - began)
    found.hops += [one["hop_seconds"] for one in report["stages"] if one["hop_seconds"]]


def _done(command: list[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def _tell(found: dict[str, Measured], options: argparse.Namespace) -> None:
    load = os.getloadavg()[2]
    print(f"{os.cpu_count()} cores, load {load:.1f} in the last 15 minutes; {options.rows:,} rows;")
    print(f"medians of {options.repeats} chains each, in turn; runs asked for every {EVERY} s")
    base = statistics.median(found["python -m serving"].chains)
    for name, one in found.items():
        chain, hop = statistics.median(one.chains), statistics.median(one.hops)
        print(f"{name:<21} chain {chain:6.1f} s, ratio {chain / base:5.2f};", end=" ")
        print(f"event to first line: median {hop:.2f} s, most {max(one.hops):.2f} s")


if __name__ == "__main__":
    main()
