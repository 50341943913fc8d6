"""A hop of other orchestrators: from the end of a task to the first line of what follows from it.

Baton's hops are those of small chains beside `baton up`. The others have an environment of their
own each. Dagster has an asset whose sensor begins a job: once looking as often as a sensor does by
itself, once every second. Airflow has a DAG that an asset schedules, by `airflow standalone` with
SQLite. A chain of ours and a hop of theirs in turn; both have begun before.

    .venv/bin/python benchmarks/orchestrators.py
    .venv/bin/python benchmarks/orchestrators.py --hops 1
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from chain import environment_of, start, told
from peers import environment
from row import Row, tell

from tests.services import free_port

HOPS = 3
EVERY = ("", "1")
"""Seconds between two looks of Dagster's sensor; its own, and its least."""
_SMALL = ("rows=1000", "importance_rows=50", "n_repeats=1", "explain_rows=5")
_MOST_SECONDS = 180.0
Peer = AbstractContextManager[Callable[[], float]]
"""Stands while it is open, and gives what makes one hop and tells its seconds."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hops", type=int, default=HOPS, help="of each (default %(default)s)")
    parser.add_argument("--every", nargs="*", default=EVERY, help="seconds between two looks")
    options = parser.parse_args()
    tell(rows(options.hops, options.every))


def rows(hops: int = HOPS, every: Sequence[str] = EVERY) -> list[Row]:
    """Rows of the table of `make bench`; none of what cannot be installed or does not begin.

    Parameters
    ----------
    hops : int
    every : sequence of str
        Seconds between two looks of Dagster's sensor; empty for its own.
    """
    peers = list(_peers(every))
    if not peers:
        return []
    with tempfile.TemporaryDirectory(prefix="baton-") as home:
        own = environment_of(home)
        up = start(home, own)
        try:
            _chain(own, -1)  # what is imported later is imported
            found = [_row(name, peer, hops, own) for name, peer in peers]
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    return [row for row in found if row is not None]


def _peers(every: Sequence[str]) -> Iterator[tuple[str, Peer]]:
    """What can be installed, by how it is called in the table."""
    if dagster := environment.python_of("dagster"):
        for one in every:
            name = f"Dagster's asset sensor, {f'every {one} s' if one else 'as it is'}"
            yield name, _dagster(dagster, one)
    if airflow := environment.python_of("airflow"):
        yield "Airflow's schedule by an asset", _airflow(airflow)


def _row(name: str, peer: Peer, hops: int, own: dict[str, str]) -> Row | None:
    ours: list[float] = []
    theirs: list[float] = []
    try:
        with peer as hop:
            for turn in range(hops):
                ours += _chain(own, turn)
                theirs.append(hop())
    except (TimeoutError, ChildProcessError) as error:
        print(f"{name} is left out: {error}", file=sys.stderr)
        return None
    what = f"from a task's end to the next one's first line, median of {len(ours)}"
    return Row(what, statistics.median(ours), statistics.median(theirs), "s", name)


def _chain(own: dict[str, str], seed: int) -> list[float]:
    """Hops of a small chain."""
    given = [part for pair in (*_SMALL, f"seed={seed + 1}") for part in ("-p", pair)]
    stages = told(["spheres", *given], own)["stages"]
    return [stage["hop_seconds"] for stage in stages if stage["hop_seconds"]]


@contextmanager
def _dagster(python: Path, every: str) -> Iterator[Callable[[], float]]:
    """Dagster's daemon, and what makes one hop."""
    with _folder() as folder:
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
        told = {"DAGSTER_HOME": str(folder)} | ({"HOPS_EVERY": every} if every else {})
        script = str(environment.HERE / "dagster_hops.py")
        run = [str(python.with_name("dagster-daemon")), "run", "-f", script]
        with _standing(run, folder, told) as (variables, log):
            _until(lambda: b"SensorDaemon" in log.read_bytes(), "no sensor ran")
            make = [str(python.with_name("dagster")), "job", "execute", "-f", script]
            yield lambda: _hop([*make, "-j", "make_first"], folder, variables)


@contextmanager
def _airflow(python: Path) -> Iterator[Callable[[], float]]:
    """Airflow's servers, and what makes one hop."""
    with _folder() as folder:
        (folder / "dags").mkdir()
        shutil.copy(environment.HERE / "airflow_hops.py", folder / "dags")
        port, airflow = free_port(), str(python.with_name("airflow"))
        told = {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        with _standing([airflow, "standalone"], folder, told) as (variables, _):
            make = [airflow, "dags", "trigger", "make_first"]
            _until(lambda: _done(make, folder, variables), "its DAGs were not read")
            _until(lambda: _times(folder / "began"), "the second DAG did not begin")
            yield lambda: _hop(make, folder, variables)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="baton-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def _standing(
    command: list[str], folder: Path, told: dict[str, str]
) -> Iterator[tuple[dict[str, str], Path]]:
    """A peer's processes: their environment and their log."""
    variables, log = {**os.environ, "HOPS_FOLDER": str(folder), **told}, folder / "peer.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=said, stderr=said, start_new_session=True
        )
        try:
            yield variables, log
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
            process.wait()


def _hop(make: list[str], folder: Path, variables: dict[str, str]) -> float:
    """Have the first job made, and wait for the second."""
    n_before = len(_times(folder / "began"))
    if not _done(make, folder, variables):
        raise ChildProcessError("its job failed")
    _until(lambda: len(_times(folder / "began")) > n_before, "the second job did not begin")
    return _times(folder / "began")[n_before] - _times(folder / "ended")[-1]


def _done(command: list[str], folder: Path, variables: dict[str, str]) -> bool:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return not subprocess.run(command, cwd=folder, env=variables, check=False, **quiet).returncode


def _times(path: Path) -> list[float]:
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def _until(is_so: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + _MOST_SECONDS
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
