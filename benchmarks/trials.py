"""Trials side by side and the same trials one after the other with all cores.

Prints the seconds from the first trial's begin to the last one's end for both, from one run (A and
B in turn, the same hyperparameters), and their ratio. The trials are XGBoost's, in subflows of the
stage `tune`.

    .venv/bin/python benchmarks/trials.py --rows 20000 --trials 8
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
from typing import Any

import pyarrow.parquet as pq
from chain import BATON, ROOT, environment_of, start

BRIEFLY = ("importance_rows=50", "n_repeats=1", "explain_rows=20")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument(
        "--trials", type=int, default=5, help="up to 5 none is given up, so that all are the same"
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of each; medians are printed")
    options = parser.parse_args()
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    with tempfile.TemporaryDirectory() as home:
        environment = environment_of(home)
        up = start(home, environment)
        try:
            _compare(options, cores, environment)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(60)


def _compare(options: argparse.Namespace, cores: int, environment: dict[str, str]) -> None:
    together, one_by_one = [], []
    for turn in range(options.repeats):
        seconds, tried = _search(options, cores, turn, environment)
        together.append(seconds)
        seconds, same = _search(options, 1, turn, environment)
        one_by_one.append(seconds)
        assert tried == same, "other hyperparameters were tried"
    a, b = statistics.median(together), statistics.median(one_by_one)
    print(
        f"{options.rows} rows, {options.trials} trials of XGBoost, {cores} cores: {cores} at once"
        f" {a:.1f} s, one after the other with all cores {b:.1f} s, ratio {a / b:.2f}"
    )


def _search(
    options: argparse.Namespace, at_once: int, turn: int, environment: dict[str, str]
) -> tuple[float, list[Any]]:
    """Seconds of all trials, and what they tried."""
    pairs = [
        f"rows={options.rows}",
        f"seed={turn}",
        "tune=true",
        f"n_trials={options.trials}",
        f"trials_at_once={at_once}",
        f"study=bench-{at_once}-{turn}",
        *BRIEFLY,
    ]
    given = [part for pair in pairs for part in ("-p", pair)]
    command = [BATON, "run", "spheres", *given, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    trials = pq.read_table(json.loads(done.stdout)["results"]["trials"]).to_pandas()
    seconds = (trials["ended"].max() - trials["began"].min()).total_seconds()
    tried = trials.filter(like="param_").fillna(-1).to_numpy().tolist()
    return float(seconds), tried


if __name__ == "__main__":
    main()
