"""Two jobs of Dagster, the second begun by a sensor of the first one's asset.

    dagster-daemon run -f dagster_hops.py
    dagster job execute -f dagster_hops.py -j make_first

Each job writes the time to a file of the folder HOPS_FOLDER: the first one at its end, the second
at its first line. The sensor looks every HOPS_EVERY seconds, or as often as it does by itself.
"""

import os
import time
from pathlib import Path

import dagster

FOLDER = Path(os.environ["HOPS_FOLDER"])
EVERY = os.environ.get("HOPS_EVERY")


def note(what):
    """Add the time to a file."""
    with (FOLDER / what).open("a") as file:
        file.write(f"{time.time()}\n")


@dagster.asset
def first():
    """What the first job makes."""
    note("ended")


@dagster.op
def begin():
    """Say that the second job has begun."""
    note("began")


@dagster.job
def second():
    """The second job."""
    begin()


make_first = dagster.define_asset_job("make_first", selection=[first])


@dagster.asset_sensor(
    asset_key=dagster.AssetKey("first"),
    job=second,
    default_status=dagster.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=int(EVERY) if EVERY else None,
)
def when_first_is_there(_context, event):
    """Begin the second job for each event."""
    yield dagster.RunRequest(run_key=event.run_id)


defs = dagster.Definitions(assets=[first], jobs=[make_first, second], sensors=[when_first_is_there])
