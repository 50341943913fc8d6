"""A whole chain on a Dask cluster: two workers, each too small for the table."""

import os
import threading
import time

import psutil
import pytest

from baton.problems import spheres
from baton.settings import settings
from baton.terms import Options
from flows.generate import generate
from tasks.data import dataset_ready, plan_dataset
from tasks.platform import results
from tasks.platform.tracking import load_model
from tests.integration.stages import evaluated, run

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ae"
BRIEFLY = {"n_repeats": 1, "importance_rows": 50, "explain_rows": 20}
# Two workers draw other rows for a tree than one process: here none is left out.
MODEL = {"n_estimators": 8, "max_depth": 3, "early_stopping": False, "subsample": 1.0}


@pytest.fixture
def beyond_memory(monkeypatch):
    """A table of this size is taken part by part."""
    monkeypatch.setenv("BATON_STREAM_BYTES", "100000")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def workers(monkeypatch, request):
    """Two processes, of little memory where a test says so.

    Once it is started, how much more memory each takes.
    """
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=getattr(request, "param", "auto"),
        ) as started,
        Client(started.scheduler_address) as client,
    ):
        monkeypatch.setenv("BATON_DASK_ADDRESS", started.scheduler_address)
        settings.cache_clear()
        yield Watched(list(client.run(os.getpid).values()))
    settings.cache_clear()


class Watched(threading.Thread):
    """The memory of processes, looked at all the time."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.processes = [psutil.Process(pid) for pid in pids]
        self.before: list[int] = []
        self.most: list[int] = []
        self.is_over = threading.Event()

    @staticmethod
    def _own(process):
        return process.memory_info().rss

    def run(self):
        self.before = self.most = [self._own(one) for one in self.processes]
        while not self.is_over.is_set():
            self.most = [
                max(m, self._own(p)) for m, p in zip(self.most, self.processes, strict=True)
            ]
            time.sleep(0.02)

    def above(self):
        """Bytes that each took more than before."""
        self.is_over.set()
        self.join()
        return [most - before for most, before in zip(self.most, self.before, strict=True)]


def points(n_rows):
    return {"rows": n_rows, "dims": 2, "modes": 2, "seed": 1, "features": "both"}


def ended(parameters, **engine):
    """Event of a chain that ran to its end."""
    options = Options(**BRIEFLY, **engine, model="xgboost", model_params=MODEL)
    return evaluated("spheres", parameters, options, CHAIN)


def test_two_workers_complete_a_chain_with_the_answers_of_one_process(
    beyond_memory, workers, monkeypatch
):
    """The tables are the same to the byte, every held-out row is answered, as well as here."""
    monkeypatch.setattr(spheres, "AT_ONCE", 20_000)
    parameters = points(120_000)
    there = ended(parameters, engine="dask")
    options = Options(**BRIEFLY, fresh=True)
    run(generate, "spheres", parameters, options)
    here = dataset_ready(plan_dataset("spheres", parameters, options, CHAIN))
    assert here.features.digest == there.data.features.digest
    said = results.read(there.predictions).to_pandas()
    rows = results.read(there.data.features, filters=[("_split", "==", "test")]).to_pandas()
    assert said["_row"].tolist() == rows["_row"].tolist()
    assert (said["predicted"] == load_model(there.model).predict(rows)).all()
    assert there.scores == pytest.approx(ended(parameters).scores, abs=5e-3)


@pytest.mark.parametrize("workers", ["700MB"], indirect=True)
@pytest.mark.long  # the same chain on fewer rows: the test above
def test_no_worker_takes_a_third_of_the_table(beyond_memory, workers, monkeypatch):
    """Above what it takes by having done a small chain before.

    Their room is too small to learn from all rows there: this process does, part by part.
    """
    monkeypatch.setattr(spheres, "AT_ONCE", 50_000)
    ended(points(60_000), engine="dask")
    workers.start()
    there = ended(points(6_000_000), engine="dask")
    above, size = workers.above(), results.read(there.data.features).nbytes
    assert all(0 < one < size / 3 for one in above), (above, size)
