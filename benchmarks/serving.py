"""Requests answered by `baton serve` over promotions, beside MLflow's server and FastAPI alone.

Two versions of one model are registered in a home of its own, whose answers tell which one gave
them. Two clients ask, one request after the other, as fast as they are answered, each way in turn.
Under `baton serve` the other version is promoted from time to time, beside a Prefect server that
hands on the event. Prints for each way the requests, how many failed, how many were answered by a
version other than the one named, p50 and p99 in milliseconds, rows per second; and what a swap
costs: p99 of the requests in the second after a promotion, beside that of the others.

    .venv/bin/python benchmarks/serving.py
    .venv/bin/python benchmarks/serving.py --seconds 60 --promotions 10
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

__path__ = [str(Path(__file__).parent.parent / "serving")]
"""Baton's own package has the same name: the programs here find its modules through this one."""

NAME = "baton-table-wine"
_CLIENTS = 2
_AROUND_SECONDS = 1.0
"""After a promotion was announced, in which a request is taken for one of a swap."""
_READY_SECONDS = 120.0


@dataclass(frozen=True)
class Asked:
    """One request."""

    at: float
    seconds: float
    is_answered: bool
    is_mixed: bool


def make_models(home: Path) -> None:
    """Register two versions, whose answers lie between 100 and 101, or between 200 and 201."""
    import pandas as pd

    from baton import models
    from baton.chain.events import DatasetReady
    from baton.terms import Kind
    from tasks.platform import tracking
    from tasks.promotion import by_hand

    table = {"key": f"table/{'0' * 16}/features.parquet", "digest": "0" * 64, "n_rows": 500}
    about = {"chain": "0" * 12, "problem": "table", "raw": table, "features": table}
    about |= {"kind": Kind.REGRESSION, "target": "y", "headline": "rmse", "name": "wine"}
    data = DatasetReady(**about, n_train=400, n_test=100)
    columns = [{"name": f"x{n}", "role": "number"} for n in range(8)]
    origin = {"problem": "table", "parameters": {"path": "wine.csv", "target": "y"}}
    for number in (1, 2):
        rows = pd.DataFrame(np.random.default_rng(number).random((500, 8)))
        rows.columns = [one["name"] for one in columns]
        rows["y"] = 100 * number + rows.x0
        recipe = models.Recipe(
            "y", Kind.REGRESSION, origin=origin | {"schema": {"columns": columns}}
        )
        fitted = models.fit(rows, recipe)
        fitted.save(home / f"model-{number}")
        key = f"{number:032x}"
        tracking.register.fn(fitted, data, key, {"target": "y"}, rows.drop(columns="y").head(3))
    by_hand(NAME, 1, "benchmark", "to begin with")


BARE = """
import sys
from pathlib import Path
import pandas as pd, uvicorn
from fastapi import FastAPI
from baton import models

app, model = FastAPI(), models.load(Path(sys.argv[1]))

@app.post("/predict")
def predict(rows: list[dict[str, float]]):
    return {"predictions": model.predict(pd.DataFrame(rows)).tolist()}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""
"""FastAPI and the model, and nothing else."""


@contextmanager
def running(command: list[Any], address: str, path: str, **more: str) -> Iterator[None]:
    """Process that answers at an address."""
    process = subprocess.Popen(
        [str(one) for one in command],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(address + path).is_success:
                    break
            time.sleep(0.2)
        else:
            raise SystemExit(f"{command[0]} does not answer at {address}{path}")
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def asked(
    address: str, headers: dict[str, str], body: Any, seconds: float, stop: threading.Event
) -> list[Asked]:
    """Requests of two clients, until the time is over or somebody says so."""
    found: list[Asked] = []

    def ask() -> None:
        with httpx.Client(headers=headers, timeout=30) as client:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not stop.is_set():
                began = time.monotonic()
                try:
                    answer = client.post(address, json=body)
                    is_answered, content = answer.is_success, answer.json()
                except (httpx.HTTPError, ValueError):
                    is_answered, content = False, {}
                found.append(Asked(began, time.monotonic() - began, is_answered, mixed(content)))

    clients = [threading.Thread(target=ask) for _ in range(_CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return found


def mixed(content: Any) -> bool:
    """Whether an answer is not that of the version which it names."""
    if not isinstance(content, dict) or "model" not in content:
        return False
    low = 100 * content["model"]["version"]
    return not all(low - 5 <= one["predicted"] <= low + 6 for one in content["predictions"])


def swaps(count: int, seconds: float, access: Any, at: list[float]) -> threading.Thread:
    """Promote the other version so many times, evenly over the time; note when."""
    from tasks.platform.events import tell
    from tasks.promotion import by_hand

    def promote() -> None:
        for n in range(count):
            time.sleep(seconds / (count + 1))
            _, event = by_hand(NAME, 2 - n % 2, "benchmark", f"number {n + 1}")
            tell(event, access)
            at.append(time.monotonic())

    found = threading.Thread(target=promote)
    found.start()
    return found


def said(way: str, found: list[Asked], n_rows: int) -> str:
    """One line, in columns."""
    took = np.array([one.seconds for one in found]) * 1000
    span = max(one.at + one.seconds for one in found) - min(one.at for one in found)
    failed = sum(not one.is_answered for one in found)
    other = sum(one.is_mixed for one in found)
    p50, p99 = np.quantile(took, [0.5, 0.99])
    rate = n_rows * len(found) / span
    return f"{way:<22}{len(found):>9}{failed:>8}{other:>7}{p50:>9.1f}{p99:>9.1f}{rate:>10,.0f}"


HEADING = (
    f"{'way':<22}{'requests':>9}{'failed':>8}{'mixed':>7}{'p50 ms':>9}{'p99 ms':>9}{'rows/s':>10}"
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="of each way (default 20)")
    parser.add_argument("--promotions", type=int, default=4, help="in them (default 4)")
    parser.add_argument("--rows", type=int, default=10, help="in a request (default 10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="baton-serving-") as folder:
        os.environ["BATON_HOME"] = folder
        measure(Path(folder), options)


def measure(home: Path, options: argparse.Namespace) -> None:
    """Ask each way in turn."""
    from baton.settings import settings
    from serving.embedded import run_embedded
    from tests.services import free_port

    make_models(home)
    python, rows = Path(sys.executable), np.random.default_rng(0).random((options.rows, 8))
    records = [{f"x{n}": float(v) for n, v in enumerate(row)} for row in rows]
    stop = threading.Event()
    print(HEADING, flush=True)
    with run_embedded(settings(), lambda _: None, serving=False) as (_, addresses):
        port, at = free_port(), list[float]()
        place = f"http://127.0.0.1:{port}"
        baton = [python.with_name("baton"), "serve", "wine", "--port", port]
        told = {"PREFECT_API_URL": addresses.prefect, "PREFECT_API_AUTH_STRING": addresses.secret}
        with running(baton, place, "/ready", **told):
            headers = {"Authorization": f"Bearer {(home / 'serve.token').read_text()}"}
            promoting = swaps(options.promotions, options.seconds, addresses.access, at)
            found = asked(f"{place}/predict", headers, records, options.seconds, stop)
            promoting.join()
    print(said("baton serve", found, options.rows), flush=True)
    print(cost_of_swaps(found, at), flush=True)
    others = {
        "FastAPI alone": ([python, "-c", BARE, home / "model-1"], "/predict", "/docs", records),
        "mlflow models serve": (
            [python.with_name("mlflow"), "models", "serve", "-m", f"models:/{NAME}@champion"],
            "/invocations",
            "/ping",
            {"dataframe_records": records},
        ),
    }
    for way, (command, path, probe, body) in others.items():
        port = free_port()
        more = ["--env-manager", "local", "--port", port] if "mlflow" in way else [port]
        place = f"http://127.0.0.1:{port}"
        with running([*command, *more], place, probe, MLFLOW_TRACKING_URI=settings().tracking_uri):
            found = asked(f"{place}{path}", {}, body, options.seconds, stop)
        print(said(way, found, options.rows), flush=True)


def cost_of_swaps(found: list[Asked], at: list[float]) -> str:
    """How much longer the slowest requests around a swap take."""
    near = [one.seconds for one in found if any(0 <= one.at - t < _AROUND_SECONDS for t in at)]
    far = [one.seconds for one in found if not any(0 <= one.at - t < _AROUND_SECONDS for t in at)]
    if not near or not far:
        return f"{len(at)} promotions"
    slow, usual = np.quantile(near, 0.99) * 1000, np.quantile(far, 0.99) * 1000
    return (
        f"{len(at)} promotions: p99 in the second after one {slow:.1f} ms, else {usual:.1f} ms"
        f" ({slow / usual:.2f})"
    )


if __name__ == "__main__":
    main()
