"""Fitting on a Dask cluster of two real worker processes."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton import models
from baton.errors import InputError
from baton.evaluation import metrics
from baton.models import cluster
from baton.models.answers import output_of
from baton.settings import settings
from baton.terms import GROUP, ROW, SPLIT, Kind, Split
from tasks.platform import cluster as clusters

N_ROWS = 6_000


@pytest.fixture(scope="module")
def client():
    """Two processes on this machine."""
    with clusters.client(2) as found:
        yield found


@pytest.fixture(scope="module")
def table():
    """Numbers, a category, a missing value here and there; a target of each kind."""
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(2, N_ROWS))
    city = draw.choice(["Ulm", "Bonn", "Köln"], N_ROWS)
    signal = a + (city == "Ulm") * 1.5 + 0.3 * draw.normal(size=N_ROWS)
    split = np.where(draw.random(N_ROWS) < 0.75, Split.TRAIN.value, Split.TEST.value)
    return pd.DataFrame(
        {
            ROW: np.arange(N_ROWS),
            "a": np.where(draw.random(N_ROWS) < 0.02, np.nan, a),
            "b": b,
            "city": pd.Categorical(city),
            "amount": signal * 10 + 3,
            "label": np.where(signal > 1, "high", np.where(signal < -0.5, "low", "middle")),
            SPLIT: split,
            GROUP: np.arange(N_ROWS) // 2,
        }
    )


def _rows(folder, frame, target):
    """Write the table in several row groups, without the other target."""
    other = "label" if target == "amount" else "amount"
    path = folder / "features.parquet"
    content = pa.Table.from_pandas(frame.drop(columns=other), preserve_index=False)
    pq.write_table(content, path, row_group_size=1_000)
    return cluster.RowsOnDisk(path, target)


@pytest.mark.parametrize(
    ("target", "kind", "metric"),
    [
        ("amount", Kind.REGRESSION, "rmse"),
        ("label", Kind.CLASSIFICATION, "accuracy"),
    ],
)
def test_two_workers_fit_as_well_as_one_process(client, table, tmp_path, target, kind, metric):
    """The same quality on the rows held out, and a model that is saved and loaded like any."""
    rows = _rows(tmp_path, table, target)
    # Two workers draw other rows and columns for a tree than one process: here none is left out.
    whole = {"subsample": 1.0, "colsample_bylevel": 1.0}
    params = {"learning_rate": 0.2, "max_depth": 4, **whole}
    recipe = models.Recipe(target, kind, params=params, seed=1)
    fitted = cluster.fit(client, rows.path, recipe)
    assert len(client.scheduler_info()["workers"]) == 2
    hidden = [ROW, SPLIT, GROUP, "label" if target == "amount" else "amount"]
    train = table[table[SPLIT] == Split.TRAIN.value].drop(columns=hidden)
    test = table[table[SPLIT] == Split.TEST.value]
    local = models.fit(train, recipe)
    scores = {
        name: metrics.score(metric, test[target], output_of(one, test), one.classes)
        for name, one in (("cluster", fitted), ("local", local))
    }
    assert scores["cluster"] == pytest.approx(scores["local"], rel=0.02)
    assert fitted.encoder == local.encoder
    assert fitted.params == local.params
    assert fitted.classes == local.classes
    fitted.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert np.array_equal(again.predict(test), fitted.predict(test))


def test_each_worker_reads_its_own_row_groups(table, tmp_path):
    """A part holds the rows asked for, and nothing else is read of the file."""
    rows = _rows(tmp_path, table, "label")
    positions = rows.positions
    assert table[SPLIT].iloc[positions].eq("train").all()
    part = rows.part(positions[1500:1800])
    expected = table.iloc[positions[1500:1800]]
    assert part["a"].equals(expected["a"].reset_index(drop=True))
    assert set(part) == {"a", "b", "city", "label"}


@pytest.mark.parametrize(
    ("name", "n_rows", "params", "answer"),
    [
        ("xgboost", 10_000, {}, True),
        ("xgboost", 500, {}, False),
        ("lightgbm", 10_000, {}, False),
        ("boosters", 10_000, {}, False),
        ("xgboost", 10_000, {"encoding": "one_hot"}, False),
    ],
)
def test_what_the_cluster_is_asked_for(name, n_rows, params, answer):
    """XGBoost on rows that are worth it, encoded densely."""
    recipe = models.Recipe("y", Kind.REGRESSION, name, params)
    assert cluster.can_fit(recipe, n_rows) is answer


def test_a_hyperparameter_that_xgboost_does_not_have_is_refused(client, table, tmp_path):
    """Before anything is read."""
    rows = _rows(tmp_path, table, "label")
    with pytest.raises(InputError, match="max_dept"):
        recipe = models.Recipe("label", Kind.CLASSIFICATION, params={"max_dept": 3})
        cluster.fit(client, rows.path, recipe)


def test_an_address_where_nobody_answers_is_refused(monkeypatch):
    """One line with the fix."""
    monkeypatch.setenv("BATON_DASK_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setattr(clusters, "_REACH_SECONDS", 1)
    settings.cache_clear()
    try:
        with (
            pytest.raises(InputError, match="BATON_DASK_ADDRESS") as error,
            clusters.cluster(1),
        ):
            pass
    finally:
        settings.cache_clear()
    assert "\n" not in str(error.value)


def test_workers_are_processes_of_their_own(client):
    """Two, and neither is this one."""
    pids = set(client.run(os.getpid).values())
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert json.dumps(sorted(pids))
