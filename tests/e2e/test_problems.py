"""The problems people know, as chains; new rows, comparisons, problems of other packages."""

from pathlib import Path

import pandas as pd
import pytest

from baton.lineage import lineage_of
from tests.e2e.conftest import BRIEFLY
from tests.shops import make_shop

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def iris(up):
    """A chain of iris."""
    answer = up.baton("run", "iris", "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_iris_is_learnt_by_one_logistic_regression_for_each_species(up, iris):
    """And its accuracy stands in the log in per cent."""
    assert iris["metrics"]["accuracy"] >= 0.85
    run = iris["stages"][2]["flow_run_id"]
    parent = {"task_runs": {"flow_run_id": {"any_": [run]}}}
    children = {task["id"] for task in up.post("task_runs/filter", parent)}
    scored = [r for r in up.runs("performance") if r["parent_task_run_id"] in children]
    logs = up.post("logs/filter", {"logs": {"flow_run_id": {"any_": [scored[0]["id"]]}}})
    wanted = f"accuracy {100 * iris['metrics']['accuracy']:.2f} %"
    said = up.post("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
    assert any(wanted in record["message"] for record in [*logs, *said])


def test_science_starts_later_on_what_engineering_has_kept(up, iris):
    """`baton train CHAIN` begins at the stage train, with the earlier chain's tables."""
    answer = up.baton(
        "train", iris["chain"], "-p", "compare=decision_tree,logistic_regression", "--json"
    )
    assert answer.code == 0, answer.err
    again = answer.json
    assert again["chain"] != iris["chain"]
    assert [stage["stage"] for stage in again["stages"]] == ["train", "evaluate", "promote"]
    assert again["results"]["features"] == iris["results"]["features"]
    compared = pd.read_parquet(again["results"]["leaderboard"])
    assert set(compared["candidate"]) == {"decision_tree", "logistic_regression"}
    assert compared["score"].is_monotonic_decreasing
    assert compared["weight"].tolist() == [1.0, 0.0]
    assert (compared["low"] < compared["score"]).all()
    assert compared[["fit_seconds", "rows_per_second", "n_bytes"]].gt(0).all(axis=None)
    assert again["leaderboard"][0]["candidate"] == compared["candidate"][0]
    side_by_side = up.baton("compare", iris["chain"], again["chain"], "--json")
    assert side_by_side.code == 0, side_by_side.err
    assert side_by_side.json["is_paired"]
    assert any(one["name"] == "compare" for one in side_by_side.json["differs"])
    page = Path(again["report"]).read_text("utf-8")
    assert '<h2 id="leaderboard">' in page
    assert compared["candidate"][0] in page
    subflows = [r for r in up.runs("candidate") if r["name"].endswith(" iris")]
    assert len(subflows) == 2
    assert max(r["start_time"] for r in subflows) < min(r["end_time"] for r in subflows)


@pytest.mark.long  # test_golden_taxi.py learns them, test_taxi.py makes rows to predict
def test_taxi_trips_are_learnt_and_those_of_a_later_month_predicted(up, shared):
    """Trained on one month, scored on the next; the prediction needs no drop-off."""
    months = ("-p", "train=2021-01", "-p", "test=2021-02")
    source = ("-p", f"source={shared('taxi_green')}")
    ran = up.baton("run", "taxi", *months, *source, *BRIEFLY, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["metrics"]["rmse"] < 6.0
    lineage = lineage_of(_schema(ran.json["results"]["features"]))
    assert (lineage["n_train"], lineage["n_test"]) == (73_908, 61_921)
    folder = Path(ran.json["results"]["raw"]).parent
    kept = {path.name.rsplit("_", 1)[0] for path in folder.glob("source_*.parquet")}
    assert kept == {"source_train", "source_test"}

    answer = up.baton("predict", "taxi", "-p", "month=2021-03", "--json")
    assert answer.code == 0, answer.err
    table = pd.read_parquet(answer.json["results"]["new_predictions"])
    assert answer.json["n_rows"] == len(table) == 83_827
    assert table["predicted"].between(0, 70).mean() > 0.99
    assert answer.json["model"] == ran.json["model"]
    again = up.baton("predict", "taxi", "-p", "month=2021-03", "--json").json
    assert again["stages"][0]["cached"]
    event = {"event": {"name": ["baton.predictions.ready"]}}
    assert up.post("events/filter", {"filter": event})["total"] >= 2


def _schema(path):
    import pyarrow.parquet as pq

    return pq.read_schema(path)


@pytest.mark.long  # test_golden_churn.py learns it
def test_churn_is_learnt_from_a_database(up, shared):
    """With the tables it was made from kept, and later orders predicted."""
    url = shared("adventureworks") / "adventureworks.sqlite"
    ran = up.baton("run", "churn", "-p", f"url={url}", "-p", "max_features=60", *BRIEFLY, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["metrics"]["roc_auc"] > 0.9
    folder = Path(ran.json["results"]["raw"]).parent
    (orders,) = folder.glob("source_salesorderheader_*.parquet")
    assert len(pd.read_parquet(orders)) == 31_465
    answer = up.baton("predict", "churn", "--json")
    assert answer.code == 0, answer.err
    table = pd.read_parquet(answer.json["results"]["new_predictions"])
    assert len(table) == 31_465 - 19_704
    assert table["p(1)"].between(0, 1).all()
    assert table["SalesOrderID"].is_unique


@pytest.mark.long  # tests/unit/test_related.py warns of the keys, draws them and predicts
def test_a_table_among_others_is_learnt_and_its_open_rows_are_predicted(up, tmp_path):
    """By name, with the broken key warned of and the tables drawn in the report."""
    shop = make_shop(tmp_path / "shop.sqlite", orders=400)
    asked = ("-p", f"url={shop}", "-p", "table=orders", "-p", "target=total", "-p", "time=ordered")
    model = ("-p", "model=decision_tree", "-p", "max_features=40")
    ran = up.baton("run", "relational", *asked, *model, *BRIEFLY, "--json")
    assert ran.code == 0, ran.err
    assert "keys" in {one["kind"] for one in ran.json["warnings"]}
    assert "Tables and keys" in Path(ran.json["report"]).read_text()
    answer = up.baton("predict", "relational", "-p", "name=shop-orders-total", "--json")
    assert answer.code == 0, answer.err
    table = pd.read_parquet(answer.json["results"]["new_predictions"])
    assert 0 < len(table) < 400
    assert table["id"].is_unique
    assert table["predicted"].notna().all()


@pytest.mark.long  # tests/unit/test_predictions.py reads them; the README predicts
def test_new_rows_of_a_table_are_read_as_the_training_rows_were(up, tmp_path):
    """A file without the target, one cell of it bad; the answers beside the ids, in a file."""
    rows = [f"{i},${i % 70},{'yes' if i % 70 > 30 else 'no'}" for i in range(300)]
    train, new = tmp_path / "train.csv", tmp_path / "new.csv"
    train.write_text("\n".join(["id,price,dear", *rows]))
    new.write_text("id,price\n007,$65\n008,dear\n")
    asked = ("-p", f"path={train}", "-p", "target=dear", "-p", "model=decision_tree")
    ran = up.baton("run", "table", *asked, *BRIEFLY, "--json")
    assert ran.code == 0, ran.err
    named, out = ("-p", f"path={new}", "-p", "name=train-dear"), tmp_path / "answers.csv"
    answer = up.baton("predict", "table", *named, "--out", str(out), "--id", "id", "--json")
    assert answer.code == 0, answer.err
    table = pd.read_parquet(answer.json["results"]["new_predictions"])
    assert table["predicted"][0] == "yes"
    assert table["price"].tolist() == ["$65", "dear"]
    assert out.read_text() == f"id,dear\n007,yes\n008,{table['predicted'][1]}\n"
    assert [one["kind"] for one in answer.json["warnings"]] == ["unread"]
    doubts = pd.read_parquet(answer.json["results"]["new_doubts"])
    assert doubts[["_row", "column", "value"]].to_numpy().tolist() == [[1, "price", "dear"]]


BAD = [
    (["predict", "iris", "--version", "99"], "version 99"),
    (["predict", "iris", "-p", "rows=9"], "unknown parameter 'rows'"),
    (["predict", "taxi", "-p", "month=2021-13"], "no such month"),
    (["train", "zzz"], "no chain"),
    (["train", "-p", "rows=9"], "option 'rows'"),
    (["run", "iris", "-p", "model=perceptron"], "unknown model 'perceptron'"),
    (["run", "iris", "-p", "compare=lasso"], "lasso"),
    (["run", "iris", "-p", "model_params={"], "JSON object"),
    (["run", "iris", "-p", 'model_params={"depth": 3}'], "depth"),
    (["run", "iris", "-p", "test_data_ratio=-0.2"], "test_data_ratio"),
    (["run", "taxi", "-p", "train=2021-02", "-p", "test=2021-01"], "after train"),
    (["run", "taxi", "-p", "source=nowhere"], "source=FOLDER"),
    (["run", "churn", "-p", "url=nowhere.sqlite"], "AdventureWorks is public"),
    (["run", "churn", "-p", "url=postgresql://me:hush@127.0.0.1/x"], "password"),
]


@pytest.fixture(scope="module")
def refusals(up, iris):
    """What the command said to each bad input."""
    return up.baton_each([arguments for arguments, _ in BAD])


@pytest.mark.parametrize("place", range(len(BAD)), ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_refused_in_one_line(refusals, place):
    """Exit code 2, the fact and the fix, no traceback, no password."""
    answer, said = refusals[place], BAD[place][1]
    assert answer.code == 2, answer.out + answer.err
    assert said in answer.err
    assert len([line for line in answer.err.splitlines() if line.startswith("baton: ")]) == 1
    assert "Traceback" not in answer.err + answer.out
    assert "hush" not in answer.err + answer.out


@pytest.mark.long  # test_plugins.py runs one that `baton new` wrote
def test_a_problem_of_another_package_is_found_and_runs(up):
    """A small package with an entry point, installed beside Baton, is all it takes."""
    assert "moons" in up.baton("problems").out
    answer = up.baton("run", "moons", *BRIEFLY, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["metrics"]["accuracy"] > 0.8
