"""A chain at a glance, by what a server said of its runs; and the list of them on a terminal."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from rich.console import Console

from baton.chain import runs, status
from baton.chain.events import Stage
from baton.chain.status import Awaited
from baton.cli import show
from tasks.platform import api
from tasks.platform.server import Server
from tests.unit.test_runs import CHAIN, FLOWS, REFUSED, RUNS, SEARCHED

NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)


def _server(recorded=RUNS):
    """A server with these runs, and how often it was asked."""
    asked = []

    def answer(request):
        is_flows = request.url.path.endswith("flows/filter")
        asked.extend([] if is_flows else [json.loads(request.content)])
        flows = [{"id": key, "name": name} for key, name in FLOWS.items()]
        return httpx.Response(200, json=flows if is_flows else recorded)

    transport = httpx.MockTransport(answer)
    return Server(api.Client(api.Access("http://prefect.test/api"), (0.0,), transport)), asked


@pytest.fixture(scope="module")
def seen():
    """Both recorded chains, the youngest first."""
    found = _server()[0].statuses(CHAIN)
    return {one.chain.id: one for one in found}


def test_a_line_says_what_a_chain_is_about_and_how_well_it_did(seen):
    """Without an event: the payloads are the parameters of its runs."""
    one = seen[SEARCHED]
    assert (one.target, one.title, one.family) == ("cluster", "cluster from spheres", "xgboost")
    assert (one.model["name"], one.model["version"]) == ("baton-spheres", 1)
    assert (one.metric, round(one.value, 3)) == ("accuracy", 0.917)
    assert one.interval == (0.8666666666666667, 0.9585416666666667)
    first = next(run for run in RUNS[::-1] if f"chain:{SEARCHED}" in run["tags"])
    assert one.began == datetime.fromisoformat(first["created"])
    assert one.waits_for(NOW) is None


def test_a_chain_that_made_nothing_says_what_it_was_asked_for(seen):
    """File and target of its order; no score."""
    one = seen[REFUSED]
    assert one.chain.state == "FAILED"
    assert one.target and one.source and one.value is None and one.model == {}
    said = status.facts(one, NOW)
    assert (said["score"], said["model"], said["waits_for"]) == (None, None, None)


def test_many_chains_are_looked_at_in_a_few_requests():
    """The latest runs, those of all these chains, and those that wait to start."""
    server, asked = _server()
    server.statuses(CHAIN)
    assert len(asked) == 3
    assert _server([])[0].statuses(CHAIN) == []


def test_a_chain_of_a_whole_id_is_found_however_old_it_is():
    """By its tag: it is not among the latest runs any more."""
    server, asked = _server([])
    assert server.latest("0123456789ab") == []
    assert asked[-1]["flow_runs"] == {"tags": {"all_": ["chain:0123456789ab"]}}
    server.latest("0123")
    assert "all_" not in json.dumps(asked[-1])


def test_a_payload_of_another_version_says_what_is_understood():
    """Fields that are missing or new harm nothing."""
    for parameters in ({"data": {"chain": "a", "features": {}}}, {"evaluated": {"chain": "a"}}):
        run = next(one for one in RUNS if "data" in one["parameters"]) | {"parameters": parameters}
        chain = runs.ChainRun("a", "p", (runs.stage_run(Stage.TRAIN, [run]),))
        found = status.of_chain(chain, runs.Begun("a", "p", NOW), {Stage.TRAIN: [run]})
        assert found.title == "p"


def test_predictions_say_how_many_rows_of_what():
    """And by which version; they have no score."""
    model = {"name": "baton-table-wine", "version": 3, "run_id": "r"}
    answers = {"raw": {}, "predictions": {"n_rows": 1780}, "model": model, "target": "alcohol"}
    order = {"problem": "table", "parameters": {"path": "/data/new.csv"}, "version": None}
    ready = {"ready": {"chain": "a", "problem": "table"} | answers}
    base = next(one for one in RUNS if "data" in one["parameters"])
    found = {
        Stage.PREDICT: [base | {"parameters": order}],
        Stage.MONITOR: [base | {"parameters": ready}],
    }
    stages = tuple(runs.stage_run(stage, mine) for stage, mine in found.items())
    one = status.of_chain(runs.ChainRun("a", "table", stages), runs.Begun("a", "table", NOW), found)
    assert one.title == "alcohol of 1,780 rows of new.csv"
    assert (one.model, one.value) == (model, None)


MINUTES = timedelta(minutes=1)


def _waiting(*stages):
    return status.wait_of(runs.ChainRun(SEARCHED, "spheres", stages), NOW)


def _stage(stage, state, **known):
    return runs.StageRun(stage, state=state, **known)


DONE = _stage(Stage.GENERATE, "COMPLETED", ended=NOW - 2 * MINUTES)


@pytest.mark.parametrize(
    ("run", "what", "said"),
    [
        (
            _stage(Stage.PROMOTE, "PAUSED", since=NOW - 3 * MINUTES),
            Awaited.APPROVAL,
            f"waits for approval, for 3 min: `baton approve {SEARCHED}`",
        ),
        (
            _stage(Stage.TRAIN, "SCHEDULED", since=NOW - 90 * MINUTES, pool="gpu"),
            Awaited.WORKER,
            "train waits for a worker of pool gpu, for 1 h",
        ),
        (
            _stage(Stage.TRAIN, "SCHEDULED", since=NOW - MINUTES / 2),
            Awaited.WORKER,
            "train waits for its turn or a serve process (`baton up`), for 30 s",
        ),
        (
            _stage(Stage.TRAIN, "SCHEDULED", since=NOW, due=NOW + MINUTES),
            Awaited.TIME,
            "train waits until 20",
        ),
        (
            _stage(Stage.TRAIN, "RUNNING", since=NOW, began=NOW - MINUTES, progress="3 of 10"),
            Awaited.STAGE,
            "train runs, for 1 min (3 of 10)",
        ),
        (_stage(Stage.TRAIN, "WAITING"), Awaited.NEXT, "train is to begin, for 2 min"),
        (
            _stage(Stage.TRAIN, "CRASHED", since=NOW),
            Awaited.RECOVERY,
            "train crashed and is to be begun again, for 0 s",
        ),
        (
            _stage(Stage.TRAIN, "CANCELLING", since=NOW),
            Awaited.CANCELLATION,
            "train is being cancelled, for 0 s",
        ),
    ],
)
def test_what_a_chain_waits_for_is_said_with_since_when(run, what, said):
    """Of the stage that is on its way, not of those that follow it."""
    wait = _waiting(DONE, run, _stage(Stage.EVALUATE, "WAITING"))
    assert wait.what is what
    assert wait.said(SEARCHED, NOW).startswith(said)
    told = wait.facts(SEARCHED, NOW)
    assert (told["what"], told["stage"]) == (what.value, run.stage.value)


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED"])
def test_a_chain_that_is_over_waits_for_nothing(state):
    """Though stages of it never began."""
    rest = [] if state == "COMPLETED" else [_stage(Stage.EVALUATE, "WAITING")]
    assert _waiting(DONE, _stage(Stage.TRAIN, state), *rest) is None


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_list_fits_the_terminal_with_its_ids_whole(seen, width):
    """What is long is folded, and nothing is cut off."""
    console = Console(file=io.StringIO(), width=width)
    waiting = replace(
        seen[SEARCHED],
        source="a_rather_long_name_of_a_file_of_rows.csv",
        chain=replace(
            seen[SEARCHED].chain, stages=(_stage(Stage.PROMOTE, "PAUSED", since=NOW - MINUTES),)
        ),
    )
    show.chain_list(console, [waiting, *seen.values()], NOW, "here")
    said = console.file.getvalue()
    assert max(map(len, said.splitlines())) <= width
    assert said.count(f"│ {SEARCHED} ") == 2 and f"│ {REFUSED} " in said
    cells = [line.split("│")[1].strip() for line in said.splitlines() if line.startswith("│")]
    assert "5 min ago" in cells
    assert any(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", cell) for cell in cells)
    flat = " ".join(said.replace("│", " ").split())
    assert "accuracy 0.917" in flat and "xgboost" in flat
