"""Tables larger than memory: what each stage of a chain takes of memory and time.

Each stage runs in a process of its own, whose greatest resident memory the system tells; a Prefect
server of its own records the runs. Points of `spheres`, whose features take 41 bytes a row
in memory: 10 million are 0.4 GB, 100 million 4.1 GB. Samples and parts are those of a table beyond
memory, whatever its size, so that sizes can be compared.

    .venv/bin/python benchmarks/streams.py --rows 10000000 100000000
    .venv/bin/python benchmarks/streams.py --csv --rows 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from row import Row, growth, temporary_home

ROWS = (4_000_000, 8_000_000)
"""Tables of fewer than 20 million cells are checked in whole."""
STAGES = ("generate", "train", "evaluate")
_BYTES_OF_ROW = 41
_CHAIN = "0123456789ab"


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    seconds: float
    busy: float
    """Seconds of processors, which others on the machine do not change."""
    peak: int
    """Bytes, its greatest resident memory."""


def main() -> None:
    """Measure and print; or be a stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--trees", type=int, default=300, help="rounds of XGBoost, at most")
    parser.add_argument("--csv", action="store_true", help="the points from a CSV file")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        _run(options)
        return
    for n_rows in options.rows:
        with _served():
            if options.csv:
                _csv(n_rows)
            for stage in options.stages:
                cost = _measured(stage, n_rows, trees=options.trees, is_csv=options.csv)
                of_table = cost.peak / n_rows / _BYTES_OF_ROW
                print(
                    f"{stage}, {n_rows:,} rows: {cost.seconds:.0f} s,"
                    f" {cost.busy:.0f} s of processors,"
                    f" {cost.peak / 2**30:.2f} GiB resident, {of_table:.2f} × the table",
                    flush=True,
                )


def rows(sizes: Sequence[int] = ROWS) -> list[Row]:
    """Rows of the table of `make bench`: making the tables, in pieces and in whole."""
    with _served():
        ours = [_measured("generate", size) for size in sizes]
        whole = _measured("generate", sizes[-1], is_whole=True)
    what = f"generate, {sizes[-1]:,} points"
    return [
        Row(
            f"{what}: memory, imports among it",
            ours[-1].peak / 2**20,
            whole.peak / 2**20,
            "MB",
            "the table in whole",
            growth=growth(sizes, [cost.peak for cost in ours]),
        ),
        Row(
            f"{what}: seconds of processors",
            ours[-1].busy,
            whole.busy,
            "s",
            "the table in whole",
            growth=growth(sizes, [cost.busy for cost in ours]),
        ),
    ]


@contextmanager
def _served() -> Iterator[None]:
    """A home of its own, with a Prefect server that nothing is served by."""
    from baton.settings import settings
    from serving.embedded import run_embedded

    with temporary_home(), run_embedded(settings(), _silent, serving=False) as (home, addresses):
        told = {
            "PREFECT_API_URL": addresses.prefect,
            "PREFECT_API_AUTH_STRING": home.secret,
            "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true",
            "BATON_STREAM_BYTES": "0",
        }
        os.environ.update(told)
        try:
            yield
        finally:
            for name in told:
                del os.environ[name]


def _silent(_: str) -> None:
    """Say nothing."""


def _measured(
    stage: str, n_rows: int, *, trees: int = 300, is_csv: bool = False, is_whole: bool = False
) -> Cost:
    command = [sys.executable, __file__, "--stage", stage, "--rows", str(n_rows)]
    command += ["--trees", str(trees)]
    command += ["--csv"] * is_csv + ["--whole"] * is_whole
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    *said, most = process.stdout.read().split(b"\n")
    sys.stderr.buffer.write(b"\n".join(said))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{stage} of {n_rows:,} rows failed")
    seconds, busy = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    return Cost(seconds, busy, int(most))


def _run(options: argparse.Namespace) -> None:
    """Be a stage: what came before is told by a file, as an event would."""
    from baton.problems import spheres

    if options.whole:
        spheres.AT_ONCE = options.rows[0]
    ways = {"generate": _generate, "train": _train, "evaluate": _evaluate}
    asyncio.run(ways[options.stage](options))
    print(f"\n{_peak()}", end="")


def _peak() -> int:
    """Most bytes of this process: what the system counts for it begins with its parent's."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


async def _generate(options: argparse.Namespace) -> None:
    from baton.settings import settings
    from baton.terms import Options
    from flows.generate import generate
    from tasks.data import dataset_ready, plan_dataset

    # Another seed: made in whole, it is the same table, and there already.
    problem, parameters = "spheres", {"rows": options.rows[0], "seed": int(options.whole)}
    if options.csv:
        problem, parameters = "table", {"path": str(_csv(options.rows[0])), "target": "cluster"}
    asked = Options(model="xgboost", model_params={"n_estimators": options.trees})
    await generate(problem, parameters, asked, return_state=True)
    ready = dataset_ready(plan_dataset(problem, parameters, asked, _CHAIN))
    (settings().home / "dataset.json").write_text(ready.model_dump_json())


async def _train(options: argparse.Namespace) -> None:  # noqa: ARG001
    from baton.chain.events import DatasetReady
    from flows.train import train
    from tasks.training import TrainingPlan, model_trained

    data = DatasetReady.model_validate_json(_place("dataset").read_bytes())
    await train(data, return_state=True)
    trained = model_trained(TrainingPlan(data))
    _place("trained").write_text(trained.model_dump_json())


async def _evaluate(options: argparse.Namespace) -> None:  # noqa: ARG001
    from baton.chain.events import ModelTrained
    from flows.evaluate import evaluate
    from tasks.evaluation import EvaluationPlan

    trained = ModelTrained.model_validate_json(_place("trained").read_bytes())
    await evaluate(trained, return_state=True)
    found = {line.metric: round(line.value, 5) for line in EvaluationPlan(trained).lines}
    print(json.dumps(found), flush=True)


def _place(name: str) -> Path:
    from baton.settings import settings

    return settings().home / f"{name}.json"


def _csv(n_rows: int) -> Path:
    """Points of `spheres` as a CSV file, which is there already for the second time."""
    from baton.problems.blobs import Blobs
    from baton.settings import settings

    path = settings().home / "points.csv"
    if not path.exists():
        with path.open("w") as file:
            file.write("x,y,z,cluster\n")
            for points, cluster in Blobs(n_rows, 3, 3, 2.0, 0).pieces(500_000):
                lines = zip(points.tolist(), cluster.tolist(), strict=True)
                file.writelines(f"{x:.9f},{y:.9f},{z:.9f},{c}\n" for (x, y, z), c in lines)
    return path


if __name__ == "__main__":
    main()
