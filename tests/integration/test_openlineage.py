"""A lineage server is told of each stage's run and its data sets; whether it hears it or not."""

from uuid import UUID

import pyarrow.parquet as pq
import pytest
from openlineage.client.event_v2 import RunState
from openlineage.client.facet_v2 import schema_dataset

from baton.settings import settings
from flows.generate import generate
from tests.integration.stages import run
from tests.receivers import listener

POINTS = {"rows": 40, "modes": 2}


@pytest.fixture
def told(monkeypatch):
    """What a server on this machine is told."""
    with listener() as server:
        monkeypatch.setenv("BATON_OPENLINEAGE_URL", server.address)
        monkeypatch.setenv("BATON_OPENLINEAGE_KEY", "k3y")
        settings.cache_clear()
        yield server
    monkeypatch.undo()
    settings.cache_clear()


def events(server):
    """State, job and data sets of what was told; each has what every event must have."""
    found = []
    for path, authorization, event in server.messages:
        assert (path, authorization) == ("/api/v1/lineage", "Bearer k3y")
        assert {"eventTime", "producer", "schemaURL", "run", "job"} <= event.keys()
        assert event["schemaURL"].endswith("#/$defs/RunEvent")
        assert RunState(event["eventType"]) and UUID(event["run"]["runId"])
        assert UUID(event["run"]["facets"]["parent"]["run"]["runId"])
        found.append((event["eventType"], event["job"]["name"], event))
    return found


@pytest.mark.usefixtures("prefect")
def test_a_stage_tells_of_its_run_and_what_it_made(told):
    """Its beginning and its end, as one run; of each table the columns, as its file has them."""
    run(generate, "spheres", POINTS)
    (began, job, first), (ended, _, last) = events(told)
    assert (began, ended, job) == ("START", "COMPLETE", "spheres.generate")
    assert first["run"]["runId"] == last["run"]["runId"]
    assert first["outputs"] == []
    assert [one["name"] for one in last["inputs"]] == ["spheres/spheres"]
    outputs = {one["name"].rpartition("/")[2]: one for one in last["outputs"]}
    assert {"raw.parquet", "features.parquet"} <= outputs.keys()
    features = outputs["features.parquet"]
    assert features["namespace"] == "file"
    schema = features["facets"]["schema"]
    assert schema["_schemaURL"] == schema_dataset.SchemaDatasetFacet._get_schema()
    columns = {one["name"]: one["type"] for one in schema["fields"]}
    assert columns == {one.name: str(one.type) for one in pq.read_schema(features["name"])}


@pytest.mark.usefixtures("prefect")
def test_a_stage_that_fails_says_why(told):
    """And that it made nothing."""
    with pytest.raises(Exception, match="rows"):
        run_to_the_end({"rows": 3})
    (_, _, _), (state, job, event) = events(told)
    assert (state, job, event["outputs"]) == ("FAIL", "spheres.generate", [])
    assert "rows" in event["run"]["facets"]["errorMessage"]["message"]


def run_to_the_end(parameters):
    import asyncio

    asyncio.run(generate("spheres", parameters))


@pytest.mark.usefixtures("prefect")
def test_a_server_that_is_away_fails_no_stage(told, caplog):
    """A warning is all that comes of it."""
    told.shutdown()
    told.server_close()
    assert run(generate, "spheres", POINTS | {"seed": 1}) == "Completed"
    assert "the lineage server was not told" in caplog.text


@pytest.mark.usefixtures("prefect")
def test_nobody_is_told_by_default():
    """Without a setting the sender is not even imported."""
    assert settings().openlineage_url == ""
    assert run(generate, "spheres", POINTS | {"seed": 2}) == "Completed"
