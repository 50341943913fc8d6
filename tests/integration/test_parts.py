"""A chain whose table is beyond memory: learnt from and scored part by part, shown by samples."""

import numpy as np
import pytest

from baton.evaluation.metrics import evaluate as measure
from baton.lineage import lineage_of
from baton.models import parts
from baton.settings import settings
from baton.terms import Kind, Options, Split
from tasks import evaluation, rows, trying
from tasks.explaining import explain_row
from tasks.platform import results
from tasks.platform.tracking import load_model
from tests.integration.stages import evaluated

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ad"
FEW = {"n_repeats": 1, "importance_rows": 50, "explain_rows": 20}
POINTS = {"rows": 20_000, "seed": 1}


def ended(options, problem="spheres", parameters=POINTS):
    """Event of a chain that ran to its end."""
    return evaluated(problem, parameters, options, CHAIN)


@pytest.fixture
def beyond_memory(monkeypatch):
    """Little memory: samples of 2,000 rows, and parts of some thousand."""
    monkeypatch.setenv("BATON_STREAM_BYTES", "100000")
    settings.cache_clear()
    monkeypatch.setattr(rows, "SAMPLED_ROWS", 2_000)
    monkeypatch.setattr(rows, "_AT_ONCE", 3_000)
    monkeypatch.setattr(evaluation, "_AT_ONCE", 1_700)
    monkeypatch.setattr(parts, "BYTES_AT_ONCE", 700_000)
    monkeypatch.setattr(trying, "_FIRST_ROWS", 3_000)
    yield
    settings.cache_clear()


def test_a_table_beyond_memory_is_answered_as_one_in_memory(beyond_memory, monkeypatch):
    """Every held-out row is predicted and scored, by a model as good as that of all at once."""
    found = ended(Options(**FEW))
    model = load_model(found.model)
    said = results.read(found.predictions).to_pandas()
    assert said["_row"].tolist() == _rows_of(found.data, Split.TEST)
    proba = said[[f"p({label})" for label in model.classes]].to_numpy()
    wanted = measure(Kind.CLASSIFICATION, said["actual"], proba, model.classes)
    assert found.scores == pytest.approx(wanted, rel=1e-4)
    for name, (low, high) in found.intervals.items():
        assert low <= found.scores[name] <= high, name
    page = results.checked(found.report).read_text("utf-8")
    assert "metrics are of all 6,000 held-out rows" in page
    told = lineage_of(results.schema(found.metrics))["parts"]
    assert told["n_rows"] == found.data.n_test == len(said)
    assert 1_800 < told["n_sampled"] < 2_200
    explained, _ = explain_row(found, said["_row"].iloc[-1])
    assert explained.row == said["_row"].iloc[-1]
    raw, sides = trying._raw_and_sides(found.data)
    assert len(raw) == len(sides) == 3_000
    monkeypatch.setenv("BATON_STREAM_BYTES", "2000000000")
    settings.cache_clear()
    whole = ended(Options(**FEW))
    assert whole.model.digest != found.model.digest
    assert whole.data == found.data
    assert found.scores["accuracy"] == pytest.approx(whole.scores["accuracy"], abs=0.01)
    widths = [np.ptp(one.intervals["accuracy"]) for one in (found, whole)]
    assert widths[0] == pytest.approx(widths[1], rel=0.3)


def test_who_cannot_learn_part_by_part_learns_from_a_sample(beyond_memory, caplog):
    """It is said so, and which model learns from all rows."""
    with caplog.at_level("INFO", logger="tasks"):
        found = ended(Options(**FEW, model="decision_tree"))
    assert "model=xgboost learns from all rows" in caplog.text
    assert "of the 14000 rows is learnt from" in caplog.text
    assert found.scores["accuracy"] > 0.7
    assert results.find(found.predictions.key).n_rows == found.data.n_test


def _rows_of(data, side):
    table = results.read(data.features, filters=[("_split", "==", side.value)])
    return table["_row"].to_pylist()
