"""From an event to the first line of the run that it starts: Baton beside Prefect's own `serve()`.

One `baton up`, whose serve process has imported everything. The same flow, `reconcile`, is served
by it and by a process of Prefect's `serve()`, each with an automation on an event of its own. The
events are announced in turn, five of ours and one of theirs, each when the run before it has ended.
A hop is from when the event occurred to when its run became Running, by the server's database.

    .venv/bin/python benchmarks/hops.py
    .venv/bin/python benchmarks/hops.py --hops 20 --defaults 2
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from chain import ROOT
from row import Row, tell
from standing import Standing, until

from baton.settings import Settings
from serving.embedded import found
from tasks.platform.api import Client

HOPS, DEFAULTS = 100, 6
EVERY = 0.5
_OURS_IN_TURN = 5
_WARM_SECONDS = 15.0
_MOST_SECONDS = 30.0
_SERVED = "reconcile/stock"
_STOCK = """
import json, sys
from prefect import serve
from flows.reconcile import reconcile

serve(reconcile.to_deployment("stock"), **json.loads(sys.argv[1]))
"""
Json = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hops", type=int, default=HOPS, help="(default %(default)s)")
    parser.add_argument(
        "--defaults",
        type=int,
        default=DEFAULTS,
        help="hops of serve() that asks as often as it does by itself (default %(default)s)",
    )
    options = parser.parse_args()
    tell(rows(options.hops, options.defaults))


def rows(hops: int = HOPS, defaults: int = DEFAULTS) -> list[Row]:
    """Rows of the table of `make bench`."""
    with (
        tempfile.TemporaryDirectory(prefix="baton-") as folder,
        Standing(Path(folder)) as standing,
    ):
        time.sleep(_WARM_SECONDS)  # what is imported later is imported
        own, often, seldom = _measured(standing, hops, defaults)
    what = f"from an event to the first line, {{}} of {hops}"
    half = f"serve(), asking every {EVERY} s"
    return [
        Row(what.format("median"), _median(own), _median(often), "s", half, "≤ 0.3 s"),
        Row(what.format("99 %"), _late(own), _late(often), "s", half, "≤ 0.5 s"),
        Row(what.format("median"), _median(own), _median(seldom), "s", "serve() as it is"),
    ]


def _measured(standing: Standing, hops: int, defaults: int) -> tuple[list[float], ...]:
    """Hops of Baton, of `serve()` that asks often, and of one that asks by itself."""
    own: list[float] = []
    often: list[float] = []
    with _stock(standing, query_seconds=EVERY), standing.client() as client:
        ours, theirs = (_automated(client, name) for name in ("reconcile/reconcile", _SERVED))
        for event in (ours, theirs) * 2:  # not counted
            _hop(client, event)
        while len(own) < hops:
            own += [_hop(client, ours) for _ in range(min(_OURS_IN_TURN, hops - len(own)))]
            often.append(_hop(client, theirs))
    with _stock(standing), standing.client() as client:
        seldom = [_hop(client, theirs, random.uniform(0, 10)) for _ in range(defaults)]
    return own, often, seldom


@contextmanager
def _stock(standing: Standing, **options: float) -> Iterator[None]:
    """Prefect's own serve process beside Baton's, on its server."""
    there = found(Settings(home=standing.home))
    assert there
    told = {"PREFECT_API_URL": there.prefect, "PREFECT_API_AUTH_STRING": there.secret}
    process = subprocess.Popen(
        [sys.executable, "-c", _STOCK, json.dumps(options)],
        cwd=ROOT,
        env=standing.environment | told | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not until(lambda: _is_ready(standing), 60):
            raise SystemExit("serve() did not get ready")
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def _is_ready(standing: Standing) -> bool:
    with standing.client() as client:
        found = client.find(f"deployments/name/{_SERVED}")
    return bool(found) and found["status"] == "READY"


def _automated(client: Client, deployment: str) -> str:
    """Have an event of its own run a deployment; returns the event's name."""
    event = f"hops.{deployment.replace('/', '.')}"
    trigger = {"type": "event", "posture": "Reactive", "expect": [event]}
    run = {"type": "run-deployment", "source": "selected"}
    run["deployment_id"] = client.find(f"deployments/name/{deployment}")["id"]
    at_once = trigger | {"threshold": 1, "within": 0}
    client.post("automations/", {"name": event, "trigger": at_once, "actions": [run]})
    return event


def _hop(client: Client, event: str, pause: float = 0.0) -> float:
    """Seconds from an event to the first line of its run, which has ended then."""
    time.sleep(pause + random.uniform(0.2, 0.7))
    occurred = datetime.now(UTC)
    said = {"event": event, "occurred": occurred.isoformat(), "id": str(uuid4()), "payload": {}}
    client.post("events", [said | {"resource": {"prefect.resource.id": event}}])
    begun = {"start_time": {"after_": occurred.isoformat()}}  # not what a schedule will begin
    wanted = {"flow_runs": begun, "limit": 1}
    end = time.monotonic() + _MOST_SECONDS
    while True:
        time.sleep(0.7)  # asking costs the server what it has for the hop
        runs = client.post("flow_runs/filter", wanted)
        if runs and runs[0]["end_time"]:
            began = datetime.fromisoformat(runs[0]["start_time"])
            return (began - occurred).total_seconds()
        if time.monotonic() > end:
            raise SystemExit(f"no run of {event} ended: {[one['state'] for one in runs]}")


def _median(hops: Sequence[float]) -> float:
    return statistics.median(hops) if hops else math.nan


def _late(hops: Sequence[float]) -> float:
    """The hop that 99 of 100 are not later than."""
    return sorted(hops)[math.ceil(0.99 * len(hops)) - 1]


if __name__ == "__main__":
    main()
