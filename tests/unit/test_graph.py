"""What came of what: from what chains announced, from what tables say, and from both."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton.chain import records, traces
from baton.chain.events import (
    DatasetReady,
    DriftDetected,
    ModelEvaluated,
    ModelPromoted,
    PredictionsReady,
)
from baton.chain.graph import Facts, NodeKind, TableTrace, graph_of, table_id
from baton.errors import InputError
from baton.lineage import digest_of_file, with_lineage
from baton.settings import Settings
from baton.terms import Kind

MADE, SCORED, ASKED = ("table/" + digit * 16 for digit in "123")
MODEL = {"name": "baton-table-wine", "version": 2, "run_id": "a" * 32, "digest": "b" * 64}
CHAIN, LATER = "c" * 12, "d" * 12


def table(folder, name, digest="e" * 64):
    return {"key": f"{folder}/{name}.parquet", "digest": digest, "n_rows": 10}


def page(folder, name):
    return {"key": f"{folder}/{name}.html", "digest": "e" * 64}


def dataset(**more):
    return DatasetReady(
        chain=CHAIN,
        problem="table",
        raw=table(MADE, "raw"),
        features=table(MADE, "features"),
        kind=Kind.REGRESSION,
        target="quality",
        headline="rmse",
        n_train=8,
        n_test=2,
        name="wine",
        source="wine.csv",
        **more,
    )


def evaluated(**more):
    names = ("predictions", "metrics", "permutation_importance", "shap_global", "shap_local")
    return ModelEvaluated(
        chain=CHAIN,
        problem="table",
        data=dataset(**more),
        model=MODEL,
        report=page(SCORED, "report"),
        scores={"rmse": 0.5},
        intervals={},
        **{name: table(SCORED, name) for name in names},
    )


def promoted():
    said = {"champion": 2, "previous": 1, "by": "gate", "reason": "better by 0.1"}
    return ModelPromoted(chain=CHAIN, problem="table", model=MODEL, target="quality", **said)


def predicted():
    return PredictionsReady(
        chain=LATER,
        problem="table",
        model=MODEL,
        target="quality",
        raw=table(ASKED, "new_rows"),
        predictions=table(ASKED, "new_predictions"),
    )


def shown(graph):
    """Titles of what each was made from, by title."""
    return {
        node.title: sorted(graph[one].title for one in graph.before[node.id])
        for node in graph.nodes
    }


def test_a_chain_leads_from_its_source_to_the_decision():
    """Each thing with what it was made from, and the stage that made it."""
    graph = graph_of(Facts((promoted(), evaluated(study=table(MADE, "trials")))))
    found = shown(graph)
    assert found["raw"] == ["wine.csv"]
    assert found["features"] == ["raw"]
    assert found["trials"] == ["features"]
    assert found["version 2"] == ["features", "trials"]
    assert found["predictions"] == ["features", "version 2"]
    assert found["report"] == ["metrics", "permutation importance", "shap global"]
    assert found["version 2 is the champion"] == ["version 1", "version 2"]
    stages = {(graph[one.begin].title, graph[one.end].title): one.stage for one in graph.edges}
    assert stages["wine.csv", "raw"] == "generate"
    assert stages["features", "version 2"] == "train"
    assert stages["version 2", "version 2 is the champion"] == "promote"


def test_each_comes_after_all_that_it_was_made_from():
    """So whoever draws it may go once from left to right."""
    graph = graph_of(Facts((promoted(), predicted(), evaluated())))
    places = {node.id: place for place, node in enumerate(graph.nodes)}
    assert all(places[one.begin] < places[one.end] for one in graph.edges)


def test_what_is_told_twice_is_there_once():
    """An event that is announced again changes nothing."""
    once, twice = (graph_of(Facts((evaluated(),) * n)) for n in (1, 2))
    assert once == twice


def test_drift_leads_to_the_chain_that_it_begins():
    """And predictions to the page that tells of it."""
    order = {"chain": "f" * 12, "problem": "table"}
    drift = DriftDetected(
        chain=LATER,
        problem="table",
        model=MODEL,
        target="quality",
        n_rows=10,
        reason="far",
        columns=table(ASKED, "drift"),
        page=page(ASKED, "drift"),
        generate=order,
    )
    graph = graph_of(Facts((predicted(), drift)))
    found = shown(graph)
    assert found["new rows"] == ["new rows"]  # a table, of a source of that name
    assert found[f"chain {'f' * 12}"] == ["drift"]
    assert graph[f"chain:{'f' * 12}"].kind is NodeKind.CHAIN


def test_tables_alone_tell_most_of_it():
    """By the digests in their lineage, and by what stands beside them."""
    of_data = {"problem": "table", "parameters": {"path": "/data/wine.csv"}}
    of_model = {"model": "models:/baton-table-wine/2", "model_digest": "b" * 64}
    found = graph_of(
        Facts(
            traces=(
                TableTrace(f"{MADE}/raw.parquet", "1" * 64, of_data),
                TableTrace(f"{MADE}/features.parquet", "2" * 64, of_data),
                TableTrace(
                    f"{SCORED}/metrics.parquet", "3" * 64, {**of_model, "features": "2" * 64}
                ),
                TableTrace(f"{ASKED}/new_rows.parquet", "4" * 64, of_data | of_model),
                TableTrace(f"{ASKED}/new_predictions.parquet", "5" * 64, of_data | of_model),
                TableTrace(
                    f"{ASKED}/drift.parquet", "6" * 64, {**of_model, "predictions": "5" * 64}
                ),
            )
        )
    )
    assert shown(found) == {
        "wine.csv": [],
        "raw": ["wine.csv"],
        "features": ["raw"],
        "version 2": ["features"],
        "metrics": ["features", "version 2"],
        "new rows": ["wine.csv"],
        "new predictions": ["new rows", "version 2"],
        "drift": ["new predictions", "version 2"],
    }


def test_around_a_table_is_what_it_came_from_and_what_came_of_it():
    """Nothing beside it."""
    graph = graph_of(Facts((evaluated(), predicted())))
    titles = {node.title for node in graph.around(table_id(f"{SCORED}/predictions.parquet")).nodes}
    assert titles == {
        *("wine.csv", "raw", "features", "version 2", "predictions", "metrics", "report")
    }


@pytest.fixture
def home(tmp_path):
    """A home with a chain's record and two of its tables."""
    settings = Settings(home=tmp_path)
    records.keep(settings, evaluated())
    for name in ("raw", "features"):
        path = settings.results / MADE / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(with_lineage(pa.table({"x": [1]}), {"problem": "table"}), path)
        told = {"key": f"{MADE}/{name}.parquet", "sha256": digest_of_file(path)}
        path.with_name(f"{path.name}.json").write_text(json.dumps(told))
    return settings


def test_a_home_tells_of_its_chains_and_tables(home):
    """Without a server: by the record; of a table by whatever chain it is of."""
    graph = traces.of_chain(home, CHAIN)
    assert shown(graph)["report"] == ["metrics", "permutation importance", "shap global"]
    key = traces.key_of(home, str(home.results / MADE / "features.parquet"))
    assert key == f"{MADE}/features.parquet" == traces.key_of(home, f"{MADE}/features.parquet")
    assert "wine.csv" in shown(traces.of_table(home, key))


def test_a_chain_that_only_predicts_has_what_its_model_was_learnt_from(home):
    """By the record of the chain that made it."""
    told = [{"event": "baton.predictions.ready", "payload": predicted().payload()}]
    told += [{"event": "baton.of.tomorrow", "payload": {}}, {**told[0], "payload": {"chain": "x"}}]
    graph = traces.of_chain(home, LATER, traces.announced(told))
    assert shown(graph)["new predictions"] == ["new rows", "version 2"]
    assert shown(graph)["version 2"] == ["features"]


def test_what_is_not_there_is_said_so(home):
    """In one line, with what to do."""
    with pytest.raises(InputError, match="nothing is known of chain 000000000000"):
        traces.of_chain(home, "0" * 12)
    for name in ("table/none.parquet", "/etc/passwd", str(home.chains / f"{CHAIN}.json")):
        with pytest.raises(InputError, match="is no table of"):
            traces.key_of(home, name)
