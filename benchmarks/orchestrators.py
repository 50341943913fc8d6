"""A hop of other orchestrators: from the end of a task to the first line of what follows from it.

Baton's hops are those of small chains beside `baton up`. Dagster, in an environment of its own, has
an asset whose sensor begins a job: once looking as often as a sensor does by itself, once every
second. A chain of ours and a hop of theirs in turn; both have begun before.

    .venv/bin/python benchmarks/orchestrators.py
    .venv/bin/python benchmarks/orchestrators.py --hops 1
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from chain import environment_of, start, told
from peers import environment
from row import Row, tell

HOPS = 3
EVERY = ("", "1")
"""Seconds between two looks of Dagster's sensor; its own, and its least."""
_SMALL = ("rows=1000", "importance_rows=50", "n_repeats=1", "explain_rows=5")
_MOST_SECONDS = 180.0


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
    """Rows of the table of `make bench`; none where Dagster cannot be installed or does not begin.

    Parameters
    ----------
    hops : int
    every : sequence of str
        Seconds between two looks of Dagster's sensor; empty for its own.
    """
    python = environment.python_of("dagster")
    if python is None:
        return []
    with tempfile.TemporaryDirectory(prefix="baton-") as home:
        own = environment_of(home)
        up = start(home, own)
        try:
            _chain(own, -1)  # what is imported later is imported
            found = [_row(python, one, hops, own) for one in every]
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)
    return [row for row in found if row is not None]


def _row(python: Path, every: str, hops: int, own: dict[str, str]) -> Row | None:
    ours: list[float] = []
    theirs: list[float] = []
    try:
        with _dagster(python, every) as hop:
            for turn in range(hops):
                ours += _chain(own, turn)
                theirs.append(hop())
    except (TimeoutError, ChildProcessError) as error:
        print(f"Dagster is left out: {error}", file=sys.stderr)
        return None
    seldom = f"Dagster's asset sensor, {f'every {every} s' if every else 'as it is'}"
    what = f"from a task's end to the next one's first line, median of {len(ours)}"
    return Row(what, statistics.median(ours), statistics.median(theirs), "s", seldom)


def _chain(own: dict[str, str], seed: int) -> list[float]:
    """Hops of a small chain."""
    given = [part for pair in (*_SMALL, f"seed={seed + 1}") for part in ("-p", pair)]
    stages = told(["spheres", *given], own)["stages"]
    return [stage["hop_seconds"] for stage in stages if stage["hop_seconds"]]


@contextmanager
def _dagster(python: Path, every: str) -> Iterator[Callable[[], float]]:
    """Dagster's daemon, and what makes one hop."""
    with tempfile.TemporaryDirectory(prefix="baton-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
        told = {"DAGSTER_HOME": name, "HOPS_FOLDER": name} | (
            {"HOPS_EVERY": every} if every else {}
        )
        variables = os.environ | told
        script = environment.HERE / "dagster_hops.py"
        log = (folder / "daemon.log").open("wb")
        daemon = subprocess.Popen(
            [python.with_name("dagster-daemon"), "run", "-f", script],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _until(lambda: b"SensorDaemon" in (folder / "daemon.log").read_bytes(), "no sensor ran")
            make = [python.with_name("dagster"), "job", "execute", "-f", script, "-j", "make_first"]
            yield lambda: _hop([str(one) for one in make], folder, variables)
        finally:
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)  # what it has started, too
            daemon.wait()
            log.close()


def _hop(make: list[str], folder: Path, variables: dict[str, str]) -> float:
    """Have the first job made, and wait for the second."""
    n_before = len(_times(folder / "began"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(make, cwd=folder, env=variables, check=False, **quiet).returncode:
        raise ChildProcessError("its job failed")
    _until(lambda: len(_times(folder / "began")) > n_before, "the second job did not begin")
    return _times(folder / "began")[n_before] - _times(folder / "ended")[-1]


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
