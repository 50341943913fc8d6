"""Two DAGs of Airflow, the second scheduled by the asset that the first one's task makes.

    airflow standalone
    airflow dags trigger make_first

Each task writes the time to a file of the folder HOPS_FOLDER: the first one at its end, the second
at its first line.
"""

import os
import time
from pathlib import Path

from airflow.sdk import DAG, Asset, task

FOLDER = Path(os.environ["HOPS_FOLDER"])


def note(what):
    """Add the time to a file."""
    with (FOLDER / what).open("a") as file:
        file.write(f"{time.time()}\n")


made = Asset("first")

with DAG("make_first", schedule=None):

    @task(outlets=[made])
    def first():
        """What the first DAG makes."""
        note("ended")

    first()

with DAG("second", schedule=[made]):

    @task
    def begin():
        """Say that the second DAG has begun."""
        note("began")

    begin()
