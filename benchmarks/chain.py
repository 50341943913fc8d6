"""The chain beside one plain script that does the same work without Prefect and MLflow.

Prints, for each number of rows, the wall time of both from one run (A and B in turn) and
their ratio, and the seconds from each event to the first line of the flow that it starts.

    make bench
    .venv/bin/python benchmarks/chain.py --rows 10000 --repeats 1
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from row import Row, tell

ROOT = Path(__file__).parent.parent
BATON = Path(sys.executable).with_name("baton")
PLAIN = Path(__file__).with_name("plain.py")


ROWS = (10_000, 1_000_000)
_TARGETS = {10_000: "0.77 ×", 1_000_000: "0.95 ×"}
"""A chain that takes 1.3 and 1.05 times as long as the script."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; medians are printed")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; medians of {options.repeats} runs, A and B in turn")
    tell(rows(options.rows, options.repeats))


def rows(sizes: Sequence[int] = ROWS, repeats: int = 3) -> list[Row]:
    """Rows of the table of `make bench`."""
    with tempfile.TemporaryDirectory() as home:
        environment = environment_of(home)
        up = start(home, environment)
        try:
            return [_compare(one, repeats, environment) for one in sizes]
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)


def environment_of(home: str) -> dict[str, str]:
    """Environment of a Baton of its own."""
    drop = {"PREFECT_API_URL", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    return kept | {"BATON_HOME": home, "BATON_PREFECT_PORT": "0", "BATON_MLFLOW_PORT": "0"}


def start(home: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a standing Baton: its own start is not part of a chain."""
    up = subprocess.Popen([BATON, "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while not (Path(home) / "up.json").exists():
        if up.poll() is not None:
            raise SystemExit("baton up did not start")
        time.sleep(0.5)
    return up


def told(words: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    """What a chain tells of itself when it has ended: `baton run` with these words."""
    return _printed([BATON, "run", *words, "--json"], environment)


def _compare(rows: int, repeats: int, environment: dict[str, str]) -> Row:
    chains, plains, hops = [], [], []
    for seed in range(repeats):  # another seed each time, so that nothing is cached
        seconds, report = _timed(
            [BATON, "run", "spheres", "-p", f"rows={rows}", "-p", f"seed={seed}", "--json"],
            environment,
        )
        chains.append(seconds)
        plain_seconds, plain = _timed([sys.executable, PLAIN, str(rows), str(seed)], environment)
        plains.append(plain_seconds)
        hops += [stage["hop_seconds"] for stage in report["stages"] if stage["hop_seconds"]]
        if abs(plain["accuracy"] - report["metrics"]["accuracy"]) > 1e-12:
            raise SystemExit("the two did not do the same work: their accuracies differ")
    hop = f"hops of {statistics.median(hops):.2f} s, at most {max(hops):.2f}"
    target = _TARGETS.get(rows, "")
    what = f"a chain of {rows:,} rows beside `baton up`, {hop}"
    chain, plain_median = statistics.median(chains), statistics.median(plains)
    return Row(what, chain, plain_median, "s", "a plain script", target)


def _timed(command: list[object], environment: dict[str, str]) -> tuple[float, dict]:
    began = time.perf_counter()
    found = _printed(command, environment)
    return time.perf_counter() - began, found


def _printed(command: list[object], environment: dict[str, str]) -> dict[str, Any]:
    """The JSON that a command prints."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
