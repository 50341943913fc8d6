"""Periods that are made up for: commands against a standing Baton."""

import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from baton.chain.runs import CANCELLED_LABEL
from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY, wait_for


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    """A table, and a folder of new rows by the month, one month of which is empty."""
    folder = tmp_path_factory.mktemp("months")
    table = pd.DataFrame({"a": range(120), "b": [n % 7 for n in range(120)]})
    table.assign(y=table.a * 2.0 + table.b).to_csv(folder / "known.csv", index=False)
    (folder / "new").mkdir()
    for month in ("2021-01", "2021-02", "2021-04"):
        table.head(60).to_csv(folder / "new" / f"{month}.csv", index=False)
    (folder / "new" / "2021-03.csv").write_text("a,b\n")
    return folder


def test_a_backfill_predicts_each_period_once(up, months):
    """Several at a time; run twice it changes nothing; an empty month keeps none of the others.

    Rows of the past raise no alarm.
    """
    asked = ["-p", f"path={months / 'known.csv'}", "-p", "target=y", "-p", "name=months"]
    assert up.baton("run", "table", *asked, "-p", "model=linear_regression").code == 0
    rows = ["-p", f"path={months}/new/{{period}}.csv", "-p", "name=months"]
    wanted = ["--start", "2021-01", "--end", "2021-04", "--parallel", "3", "--json"]
    first = up.baton("backfill", "predict", "table", *rows, *wanted)
    assert first.code == 2
    assert "1 of 4 periods failed" in first.err
    assert [(one["period"], one["state"], one["n_rows"]) for one in first.json] == [
        ("2021-01", "COMPLETED", 60),
        ("2021-02", "COMPLETED", 60),
        ("2021-03", "FAILED", None),
        ("2021-04", "COMPLETED", 60),
    ]
    folder = next((up.path / "results" / "periods" / "baton-table-months").iterdir())
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    assert set(pd.read_parquet(folder)["period"]) == {"2021-01", "2021-02", "2021-04"}

    again = up.baton("backfill", "predict", "table", *rows, *wanted)
    assert [one["cached"] for one in again.json] == [True, True, False, True]
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before


@pytest.mark.long  # tests/integration/test_monitoring.py joins, scores and refuses them
def test_labels_that_come_late_are_joined_and_scored(up, months):
    """By an id of the rows, to what was predicted; wrong ids are a line, with exit code 2."""
    rows = pd.DataFrame({"a": range(60), "b": [n % 7 for n in range(60)]})
    rows.assign(wine=[f"w{n}" for n in range(60)]).to_csv(months / "rows.csv", index=False)
    named = ["-p", f"path={months / 'rows.csv'}", "-p", "name=months"]
    assert up.baton("predict", "table", *named).code == 0
    late = months / "labels.csv"
    late.write_text("wine,y\n" + "".join(f"w{n},{n * 2.0 + n % 7}\n" for n in range(40)))
    asked = ["labels", "months", "-p", f"path={late}", "--id", "wine"]
    answer = up.baton(*asked, "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["n_labels"], answer.json["n_joined"]) == (40, 40)
    assert answer.json["metrics"]["rmse"] < 1
    assert not answer.json["worse"]
    assert "metrics on labelled rows" in up.baton(*asked).out
    late.write_text("wine,y\nx1,2\n")
    wrong = up.baton(*asked)
    assert (wrong.code, "none of 1 id, such as 'x1'" in wrong.err) == (2, True)


# what it waits for and predicts is above, who is promoted in tests/integration/test_promotion.py
@pytest.mark.long
def test_a_backfill_trains_on_each_period_once(up, months):
    """The gate decides about each; twice registers nothing; a month that is missing is said."""
    for month, factor in (("2021-01", 1.0), ("2021-02", 2.0)):
        table = pd.DataFrame({"a": range(120), "b": [n % 7 for n in range(120)]})
        table.assign(y=table.a * factor + table.b * 20).to_csv(
            months / f"learn-{month}.csv", index=False
        )
    asked = ["-p", f"path={months}/learn-{{period}}.csv", "-p", "target=y", "-p", "name=by-month"]
    wanted = ["--start", "2021-01", "--end", "2021-03", "--parallel", "1", "--json"]
    command = ["backfill", "train", "table", *asked, "-p", "model=linear_regression", *BRIEFLY]
    first = up.baton(*command, *wanted)
    assert first.code == 2, first.err
    assert "1 of 3 periods failed" in first.err and "2021-03.csv" in first.err
    assert [(one["state"], one["version"], one["metric"]) for one in first.json] == [
        ("COMPLETED", 1, "rmse"),
        ("COMPLETED", 2, "rmse"),
        ("FAILED", None, None),
    ]
    assert first.json[0]["promoted"] and first.json[0]["value"] < 1
    again = up.baton(*command, *wanted)
    assert [(one["cached"], one["version"]) for one in again.json] == [
        (True, 1),
        (True, 2),
        (False, None),
    ]
    shown = up.baton(*command, "--start", "2021-01", "--end", "2021-01")
    assert shown.out.startswith("2021-01  as before: version 1, rmse "), shown.out


def test_ctrl_c_cancels_what_a_backfill_has_begun_and_says_which(up, months):
    """The command says how many periods are left, and nothing of them goes on."""
    asked = ["-p", f"path={months / 'known.csv'}", "-p", "target=y", "-p", "seed={period}"]
    wanted = ["--start", "2001", "--end", "2009", "--parallel", "2"]
    runner = subprocess.Popen(
        [*BATON, "backfill", "train", "table", *asked, "-p", "name=left", *wanted],
        cwd=ROOT,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )

    def going():
        found = up.runs("generate", state={"type": {"any_": ["RUNNING", "COMPLETED"]}})
        seeds = ((run["parameters"].get("parameters") or {}).get("seed") for run in found)
        return any(2001 <= (seed or 0) <= 2009 for seed in seeds)

    wait_for(going)
    runner.send_signal(signal.SIGINT)
    _, said = runner.communicate(timeout=120)
    assert runner.returncode == 130, said
    chains = dict(re.findall(r"^baton: (\d{4}): chain ([0-9a-f]{12}) is cancelled$", said, re.M))
    assert chains, said
    assert re.search(r"^baton: \d periods are left; .* the same command goes on$", said, re.M)
    for chain in chains.values():
        assert up.baton("status", chain, "--json").json["state"] == "CANCELLED"


def test_a_run_that_was_cancelled_while_it_started_does_not_go_on(up):
    """Though the server lets it begin: its process sees what was said after the run was taken."""
    soon, later = (datetime.now(UTC) + timedelta(seconds=n) for n in (2, 600))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": soon.isoformat()}}
    deployment = up.ask("GET", "deployments/name/generate/generate-iris").json()["id"]
    run = up.post(f"deployments/{deployment}/create_flow_run", {"state": state})["id"]
    up.ask("PATCH", f"flow_runs/{run}/labels", {CANCELLED_LABEL: later.isoformat()})

    def seen():
        found = up.ask("GET", f"flow_runs/{run}").json()
        return found if found["run_count"] and found["state_type"] != "RUNNING" else None

    found = wait_for(seen)
    assert found["state_type"] == "CANCELLED", found["state"]
    assert found["state"]["message"] == "cancelled as it began"
    wait_for(lambda: up.process_of(run) is None)
    assert up.ask("GET", f"flow_runs/{run}").json()["state_type"] == "CANCELLED"


BY_MONTH = ["-p", "month={period}"]
BAD = [
    ([*BY_MONTH, "--start", "2021-02", "--end", "2021-01"], "--end 2021-01 is before --start"),
    ([*BY_MONTH, "--start", "May", "--end", "2021-01"], "'May' is no period"),
    (["-p", "month=2021-01", "--start", "2021-01", "--end", "2021-02"], "stands in no parameter"),
    ([*BY_MONTH, "--start", "2021-01", "--end", "2021-02", "--parallel", "0"], "parallel"),
]


def test_a_backfill_that_makes_no_sense_is_refused(up):
    """In a line, with exit code 2, before anything begins."""
    answers = up.baton_each([["backfill", "predict", "taxi", *given] for given, _ in BAD])
    for answer, (_, said) in zip(answers, BAD, strict=True):
        assert (answer.code, said in answer.err) == (2, True), answer.err
        assert "Traceback" not in answer.err
