"""`baton run`, against a standing Baton and by itself."""

import json
import re
import subprocess
import time
from pathlib import Path

import duckdb
import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest

from baton.lineage import lineage_of
from tests.conftest import ROOT
from tests.e2e.conftest import BRIEFLY, declared_automations, wait_for

pytestmark = pytest.mark.e2e
README = (ROOT / "README.md").read_text("utf-8")


SPHERES = ["-p", "test_size=0.2999"]
"""The default problem, but for one row that no other test holds out."""


@pytest.fixture(scope="module")
def spheres(up):
    """One chain of the default problem."""
    answer = up.baton("run", "spheres", *SPHERES, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_three_stages_complete_each_started_by_the_event_before(up, spheres):
    """No flow calls the next one: every later run was created by an automation."""
    assert [s["stage"] for s in spheres["stages"]] == ["generate", "train", "evaluate", "promote"]
    assert {s["state"] for s in spheres["stages"]} == {"COMPLETED"}
    assert not any(s["cached"] for s in spheres["stages"])
    assert spheres["stages"][0]["hop_seconds"] is None
    for stage in spheres["stages"][1:]:
        assert stage["hop_seconds"] > 0
        run = up.ask("GET", f"flow_runs/{stage['flow_run_id']}").json()
        assert run["created_by"]["type"] == "AUTOMATION"
        assert {f"chain:{spheres['chain']}", "problem:spheres"} <= set(run["tags"])
        assert run["name"] == f"{stage['stage']} spheres {spheres['chain'][:6]}"


def test_the_default_model_is_as_good_as_the_published_ones(spheres):
    """Held-out accuracy of the default problem is about that of the published forests, 0.94."""
    assert spheres["metrics"]["accuracy"] == pytest.approx(0.942, abs=0.01)
    assert all(isinstance(value, float) for value in spheres["metrics"].values())


def test_results_are_parquet_files_with_lineage_under_readable_paths(up, spheres):
    """pandas, pyarrow and DuckDB open each; the schema metadata says what it came from."""
    assert set(spheres["results"]) == {
        "raw",
        "features",
        "warnings",
        "columns",
        "predictions",
        "metrics",
        "permutation_importance",
        "shap_global",
        "shap_local",
    }
    for name, path in spheres["results"].items():
        place = Path(path).relative_to(up.path / "results")
        assert place.parts[0] == "spheres"
        assert place.name == f"{name}.parquet"
        rows = pq.read_table(path).num_rows
        assert len(pd.read_parquet(path)) == rows
        assert rows > 0 or name == "warnings"
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(rows,)]
        lineage = lineage_of(pq.read_schema(path))
        assert lineage["problem"] == "spheres"
    features = pd.read_parquet(spheres["results"]["features"])
    assert features["_split"].value_counts().to_dict() == {"train": 7001, "test": 2999}
    assert len(pd.read_parquet(spheres["results"]["predictions"])) == 2999


def test_the_model_is_registered_and_tracked(up, spheres):
    """MLflow has the version, its parameters, metrics and the digest of the data."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{up.path}/mlflow/mlflow.db")
    model = mlflow.pyfunc.load_model(spheres["model"]["uri"])
    rows = pd.read_parquet(spheres["results"]["features"]).query("_split == 'test'")
    predictions = pd.read_parquet(spheres["results"]["predictions"])
    assert (model.predict(rows[["r", "theta", "phi"]]) == predictions["predicted"]).all()
    run = mlflow.MlflowClient().get_run(spheres["model"]["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == pytest.approx(spheres["metrics"]["accuracy"])
    assert len(run.data.params["features_digest"]) == 64
    stored = {path.suffix for path in (up.path / "mlflow").rglob("*") if path.is_file()}
    assert stored & {".pkl", ".pickle", ".joblib", ".cloudpickle"} == set()


@pytest.mark.long  # tests/integration/test_answers.py has another guide's `mlflow models serve`
def test_the_model_answers_over_http(up, spheres, tmp_path, tmp_path_factory):
    """The README's `mlflow models serve`, as it stands but for version and port, serves it."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / ".baton").symlink_to(up.path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (line,) = re.findall(r"^ *(PATH=.* mlflow models serve .*)$", README, re.MULTILINE)
    command = line.replace("models:/baton-spheres/1", spheres["model"]["uri"])
    server = subprocess.Popen(
        ["sh", "-c", f"exec env {command.replace('-p 5001', f'-p {port}')}"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path_factory.mktemp("user"))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(f"{address}/ping"))
        rows = [{"r": 5.0, "theta": 1.0, "phi": 0.5}, {"r": None, "theta": 2.0, "phi": 1}]
        answer = httpx.post(f"{address}/invocations", json={"dataframe_records": rows}, timeout=60)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["predictions"]) == 2
        assert {path.name for path in tmp_path.iterdir()} == {".baton", ".venv"}
    finally:
        server.terminate()
        server.wait(20)


def _answers(address):
    try:
        return httpx.get(address, verify=False).is_success
    except httpx.HTTPError:
        return False


def test_every_metric_lies_in_its_interval(spheres):
    """The intervals are those of the metrics, and the report is a file."""
    assert set(spheres["intervals"]) <= set(spheres["metrics"])
    for name, (low, high) in spheres["intervals"].items():
        assert low <= spheres["metrics"][name] <= high
    assert Path(spheres["report"]).read_text().lower().startswith("<!doctype html>")


def test_the_three_subflows_run_at_the_same_time(up, spheres):
    """Performance, importance and explanations overlap, as subflow runs of evaluate."""
    parent = spheres["stages"][2]["flow_run_id"]
    tasks = up.post("task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [parent]}}})
    ids = {task["id"] for task in tasks}
    runs = [
        run
        for name in ("performance", "importance", "explanations")
        for run in up.runs(name)
        if run["parent_task_run_id"] in ids
    ]
    assert len(runs) == 3
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    assert max(run["start_time"] for run in runs) < min(run["end_time"] for run in runs)


def test_why_says_what_started_what_and_where_the_time_went(up, spheres):
    """Each run with the event that started it, whole; from its occurrence to the run's end."""
    told = up.baton("why", spheres["chain"], "--json").json
    runs, events = told["runs"], told["events"]
    stages = [stage["stage"] for stage in spheres["stages"]]
    assert [run["flow"] for run in runs] == stages
    assert [run["flow_run_id"] for run in runs] == [s["flow_run_id"] for s in spheres["stages"]]
    assert [run["origin"]["kind"] for run in runs] == ["hand", "event", "event", "event"]
    for before, event, run in zip(runs, events, runs[1:], strict=False):
        assert run["origin"]["automation"] == f"{run['flow']}__automation_1"
        assert (event["run"], event["starts"]) == (before["flow_run_id"], [run["flow_run_id"]])
        assert event["payload"]["problem"] == "spheres"
        times = [run["moments"][one] for one in ("event", "fired", "created", "running", "ended")]
        assert times == sorted(times)
        assert {"firing", "creating", "waiting", "starting", "working"} <= set(run["seconds"])
    assert sum(told["seconds"].values()) == pytest.approx(
        sum(sum(run["seconds"].values()) for run in runs), abs=0.1
    )


def test_why_goes_back_from_a_part_of_a_stage_to_what_was_first(up, spheres):
    """By the ids of runs, as Prefect's page has them."""
    tag = f"chain:{spheres['chain']}"
    (part,) = [run for run in up.runs("performance") if tag in run["tags"]]
    said = up.baton("why", part["id"]).out
    lines = [line for line in said.splitlines() if " completed, " in line]
    named = [line.partition(" completed")[0].split()[-1] for line in lines]
    assert named == ["generate", "train", "evaluate", "performance"]
    assert "by baton.model.trained at" in said
    assert f"run {part['id']}" in said
    told = up.baton("why-not", "notebook", "--chain", spheres["chain"])
    assert "was not asked for it; `baton run spheres -p notebook=NAME` asks for it" in told.out


def test_shapley_values_add_up_to_what_the_model_says(spheres):
    """Base value plus a row's values is the model's margin, for every class and kept row."""
    import mlflow

    local = pd.read_parquet(spheres["results"]["shap_local"])
    assert lineage_of(pq.read_schema(spheres["results"]["shap_local"]))["scale"] == "margin"
    rows = pd.read_parquet(spheres["results"]["features"]).set_index("_row")
    model = mlflow.pyfunc.load_model(spheres["model"]["uri"])
    fitted = model._model_impl
    kept = local["_row"].drop_duplicates()
    margin = fitted.estimator.predict(fitted.matrix(rows.loc[kept]), output_margin=True)
    total = local[["r", "theta", "phi"]].sum(axis=1) + local["_base_value"]
    assert abs(total.to_numpy().reshape(margin.shape) - margin).max() < 1e-4


def test_mlflow_has_pictures_tables_data_and_report(up, spheres):
    """What a person looks for in the run's artifacts is there."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{up.path}/mlflow/mlflow.db")
    client = mlflow.MlflowClient()
    run = client.get_run(spheres["model"]["run_id"])
    assert "accuracy_low" in run.data.metrics
    assert run.inputs.dataset_inputs[0].dataset.name == "spheres"
    said = spheres["summary"]
    assert said.startswith("Of 2,999 held-out rows, 94 % are classified right (accuracy 0.94")
    pages, chain = json.loads((up.path / "up.json").read_text())["pages"], spheres["chain"]
    link = f"[Chain {chain} on Baton's pages]({pages}/chains/{chain})"
    assert run.data.tags["mlflow.note.content"] == f"**{spheres['title']}**\n\n{said}\n\n{link}"
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"pictures", "report.html", "metrics.json", "shap_global.json"} <= names
    pictures = {a.path for a in client.list_artifacts(run.info.run_id, "pictures")}
    assert "pictures/confusion_matrix.png" in pictures
    assert "pictures/shap_beeswarm.png" in pictures


def test_one_row_is_explained_in_the_terminal_and_as_a_picture(up, spheres):
    """The waterfall's sum is the margin of the predicted class."""
    row = int(pd.read_parquet(spheres["results"]["predictions"])["_row"].iloc[0])
    answer = up.baton("explain", "spheres", "--row", row, "--chain", spheres["chain"])
    assert answer.code == 0, answer.err
    for word in ("base value", "theta", "predicted"):
        assert word in answer.out
    picture = Path(spheres["report"]).with_name(f"row-{row}.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_mode & 0o077 == 0
    assert str(picture) in answer.out


def test_the_report_of_a_chain_is_found_by_its_id(up, spheres):
    """By its first digits, or the latest without any."""
    assert up.baton("report", spheres["chain"][:8]).out.strip() == spheres["report"]
    assert up.baton("report").code == 0


def test_prefect_shows_the_score_as_artifacts(up, spheres):
    """Summary and metrics belong to the evaluate run, the decision to that of promote."""
    run = spheres["stages"][2]["flow_run_id"]
    found = up.post("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    told = {artifact["key"].partition("-")[0]: artifact["data"] for artifact in found}
    assert "accuracy" in told["summary"]
    assert {"metric", "value"} == set(json.loads(told["metrics"])[0])
    without = Path(spheres["report"].rpartition("_")[0] + ".html")
    assert up.address_of(without) in told["report"]
    run = spheres["stages"][3]["flow_run_id"]
    found = up.post("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    told = {artifact["key"].partition("-")[0]: artifact["data"] for artifact in found}
    assert up.address_of(spheres["report"]) in told["report"]
    assert spheres["decision"]["reason"] in told["decision"]


def test_library_records_reach_the_run_log(up, spheres):
    """What Baton's own loggers say stands in Prefect's log of the run."""
    run = spheres["stages"][1]["flow_run_id"]

    def said():
        found = up.post("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        return any("fitted xgboost on 7001 rows" in record["message"] for record in found)

    assert wait_for(said, seconds=20)


def test_a_second_identical_run_is_cached_and_registers_nothing(up, spheres):
    """It still completes the chain, with the first run's model and numbers."""
    again = up.baton("run", "spheres", *SPHERES, "--json").json
    assert again["state"] == "COMPLETED"
    assert [s["cached"] for s in again["stages"]] == [True] * 4
    assert again["chain"] != spheres["chain"]
    for same in ("metrics", "intervals", "model", "results", "report"):
        assert again[same] == spheres[same]


def test_a_repeated_event_makes_no_second_version(up, spheres):
    """The same event, delivered again under another id, ends in a cached run."""
    event = _announced(up, spheres["chain"], "baton.dataset.ready")
    before = {run["id"] for run in up.runs("train")}
    _emit(up, event["payload"])

    def repeated():
        fresh = [run for run in up.runs("train") if run["id"] not in before]
        return fresh and fresh[0]["state_name"] == "Cached"

    assert wait_for(repeated, seconds=60)
    again = up.baton("run", "spheres", *SPHERES, "--json").json
    assert again["model"]["version"] == spheres["model"]["version"]


def _announced(up, chain, name):
    wanted = {"event": {"name": [name]}, "resource": {"labels": {"baton.chain": chain}}}
    return up.post("events/filter", {"filter": wanted})["events"][0]


def _emit(up, payload, name="baton.dataset.ready", resource="baton.dataset.spheres"):
    import uuid
    from datetime import UTC, datetime

    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": resource},
        "payload": payload,
    }
    up.ask("POST", "events", [event]).raise_for_status()


FAULTS = ("extra field", "key", "digest", "empty")


def _chain_of(fault):
    """One that no other test takes for a chain that is not there."""
    return f"{FAULTS.index(fault) + 1}" * 12


def _hostile(payload, fault):
    """A payload that was announced, with something wrong about it and a chain of its own."""
    features = payload["features"]
    given = payload | {"chain": _chain_of(fault), "seed": 99}  # not cached
    return {
        "extra field": given | {"command": "rm -rf /"},
        "key": given | {"features": features | {"key": "spheres/../../mlflow/mlflow.db"}},
        "digest": given | {"features": features | {"digest": "0" * 64}},
        "empty": {},
    }[fault]


@pytest.fixture(scope="module")
def hostile(up, spheres):
    """The runs that such events began, by the chain of their parameters; they come together."""
    payload = _announced(up, spheres["chain"], "baton.dataset.ready")["payload"]
    before = {run["id"] for run in up.runs("train")}
    evaluated = len(up.runs("evaluate"))
    for fault in FAULTS:
        _emit(up, _hostile(payload, fault))

    def fresh():
        return [run for run in up.runs("train") if run["id"] not in before]

    def all_have_failed():
        states = [run["state_type"] for run in fresh()]
        return len(states) == len(FAULTS) and set(states) <= {"FAILED", "CRASHED"}

    wait_for(all_have_failed, seconds=60)
    time.sleep(2)
    assert len(up.runs("evaluate")) == evaluated
    assert len(fresh()) == len(FAULTS)
    return {run["parameters"].get("data", {}).get("chain"): run for run in fresh()}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hostile_event_fails_its_stage_and_starts_nothing(hostile, spheres, fault):
    """Wrong fields, a key with `..` and a digest of another file: one failed run, no more."""
    chain = None if fault == "empty" else _chain_of(fault)
    said = {"digest": "SHA-256 differs"}.get(fault, "invalid parameters")
    assert said in hostile[chain]["state"]["message"]


def _csv(name, path):
    from sklearn import datasets

    table = getattr(datasets, f"load_{name}")(as_frame=True).frame
    table.to_csv(path, index=False)
    return path


@pytest.mark.long  # as the wine of the README
@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [("breast_cancer", "accuracy", 0.9), ("diabetes", "r2", 0.25)],
)
def test_a_table_of_ones_own_runs_to_its_score(up, tmp_path, name, metric, least):
    """Kind and target are inferred from the file; the score is that of a model that learnt."""
    path = _csv(name, tmp_path / f"{name}.csv")
    asked = ["-p", f"path={path}", "-p", "target=target", *BRIEFLY]
    answer = up.baton("run", "table", *asked, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["metrics"][metric] > least


@pytest.mark.long  # a clean one is above; what is dirty: test_tables.py
def test_a_real_dirty_table_runs_to_its_score(up, shared):
    """76,518 taxi trips with nulls, dates, strings and an all-null column."""
    path = shared("taxi_green/green_tripdata_2021-01.parquet")
    asked = ["-p", f"path={path}", "-p", "target=trip_distance", *BRIEFLY]
    answer = up.baton("run", "table", *asked, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "COMPLETED"


BAD = [
    (["run", "sphere"], "unknown problem 'sphere'"),
    (["run", "spheres", "-p", "row=5"], "unknown parameter 'row'"),
    (["run", "spheres", "-p", "rows=many"], "valid integer"),
    (["run", "spheres", "-p", "rows"], "KEY=VALUE"),
    (["run", "spheres", "-p", "rows=99", "-p", "rows=98"], "twice"),
    (["run", "table", "-p", "target=y"], "needs parameter 'path'"),
    (["run", "table", "-p", "path=nowhere.csv", "-p", "target=y"], "nowhere.csv"),
    (["run", "table", "-p", "path={good}", "-p", "target=z"], "'z'"),
    (["run", "table", "-p", "path={twins}", "-p", "target=y"], "'a'"),
    (["run", "table", "-p", "path={empty}", "-p", "target=y"], "empty"),
    (["run", "table", "-p", "path={one}", "-p", "target=y"], "y"),
    (["run", "table", "-p", "path={null}", "-p", "target=y"], "y"),
    (["run", "table", "-p", "path={infinite}", "-p", "target=y"], "infinit"),
    (["run", "table", "-p", "path={few}", "-p", "target=y"], "3 rows"),
    (["run", "table", "-p", "path={binary}", "-p", "target=y"], "binary"),
    (["run"], "PROBLEM"),
    (["fly"], "fly"),
    (["run", "spheres", "--fast"], "--fast"),
    (["status", "zzz"], "no chain"),
    (["report", "zzz"], "no chain"),
    (["explain", "spheres", "--row", "-1"], "row -1"),
    (["explain", "spheres", "--row", "x"], "x"),
    (["explain", "sphere", "--row", "1"], "unknown problem"),
    (["run", "spheres", "-p", "folds=many"], "folds"),
    (["run", "spheres", "-p", "explain_rows=0"], "explain_rows"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Tables that are each wrong in one way."""
    folder = tmp_path_factory.mktemp("bad")
    contents = {
        "good": "a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(50)),
        "twins": "a,a,y\n" + "".join(f"{i},{i},{i % 2}\n" for i in range(50)),
        "empty": "a,y\n",
        "one": "a,y\n" + "".join(f"{i},no\n" for i in range(50)),
        "null": "a,y\n" + "".join(f"{i},\n" for i in range(50)),
        "infinite": "a,y\ninf,0\n" + "".join(f"{i},{i % 2}\n" for i in range(50)),
        "few": "a,y\n1,u\n2,v\n3,w\n",
        "binary": "\0\1\2\3",
    }
    for name, content in contents.items():
        (folder / f"{name}.csv").write_text(content)
    return {name: str(folder / f"{name}.csv") for name in contents}


@pytest.fixture(scope="module")
def refusals(up, spheres, files):
    """What the command said to each bad input; nothing may be registered."""
    models = up.path / "mlflow" / "artifacts" / "table"
    before = sorted(models.rglob("*"))
    commands = [[argument.format(**files) for argument in arguments] for arguments, _ in BAD]
    answers = up.baton_each(commands)
    assert before == sorted(models.rglob("*"))
    return answers


@pytest.mark.parametrize("place", range(len(BAD)), ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_refused_in_one_line(refusals, place):
    """Exit code 2, one line on stderr that names the fact, no traceback."""
    answer, said = refusals[place], BAD[place][1]
    assert answer.code == 2, answer.out + answer.err
    assert said in answer.err
    lines = [line for line in answer.err.splitlines() if line.startswith("baton: ")]
    assert len(lines) == 1
    assert "Traceback" not in answer.err + answer.out


def test_bad_input_with_json_is_one_object(up):
    """A script that reads stdout finds an object there, with the error in it."""
    answer = up.baton("run", "spheres", "-p", "rows=1", "--json")
    assert answer.code == 2
    assert answer.json["state"] == "FAILED"
    assert "rows" in answer.json["error"]


def test_status_shows_the_latest_chains_and_one_in_detail(up, spheres):
    """By the first digits of its id; as JSON too."""
    assert spheres["chain"] in up.baton("status").out
    one = up.baton("status", spheres["chain"][:8], "--json")
    assert one.json["metrics"] == spheres["metrics"]


def test_the_serve_process_serves_exactly_what_is_declared(up):
    """prefect.yaml and the server name the same deployments, each with its automation."""
    import yaml

    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    found = {d["name"]: d for d in up.post("deployments/filter", {})}
    assert set(found) == {d["name"] for d in declared}
    automations = {a["name"] for a in up.post("automations/filter", {})}
    assert automations == declared_automations()


def test_schedules_make_runs(up):
    """The server's scheduler has planned what prefect.yaml schedules."""
    planned = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    assert wait_for(lambda: up.runs("predict", **planned), seconds=90)


@pytest.mark.long  # damaged files: test_storage_faults.py; a lost model: test_notebook.py
def test_a_truncated_result_and_a_lost_model_are_said_in_one_line(up):
    """What is damaged is named; the records of the chain stay as they are."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{up.path}/mlflow/mlflow.db")
    ran = up.baton(
        "run", "spheres", "-p", "rows=400", "-p", "seed=5", "-p", "n_repeats=1", "--json"
    ).json
    predictions = Path(ran["results"]["predictions"])
    row = int(pd.read_parquet(predictions)["_row"].iloc[0])
    command = ("explain", "spheres", "--row", row, "--chain", ran["chain"])
    model = ran["model"]
    mlflow.MlflowClient().delete_model_version(model["name"], str(model["version"]))
    gone = up.baton(*command)
    predictions.write_bytes(predictions.read_bytes()[:-9])
    cut = up.baton(*command)
    for answer, said in ((gone, model["uri"]), (cut, "SHA-256 differs")):
        assert answer.code == 2
        assert said in answer.err
        assert "Traceback" not in answer.err
    assert (up.path / "chains" / f"{ran['chain']}.json").is_file()
    assert up.baton("status", ran["chain"], "--json").json["state"] == "COMPLETED"
