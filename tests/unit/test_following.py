"""Following a chain: on a server that answers as a real one did, is away, or refuses."""

import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from baton.chain.events import Stage
from baton.chain.runs import Begun, StageRun
from baton.cli.following import Patience, follow
from baton.errors import InputError
from tasks.platform import api
from tasks.platform.server import Order, Server
from tests.unit.test_runs import CHAIN, EVENTS, FLOWS, RUNS, SEARCHED

BEGUN = Begun(
    SEARCHED, "spheres", datetime.now(UTC), labels={"baton.tune": "yes", "baton.notebook": "no"}
)


class _Recorded:
    """A server of which the answers were recorded; the first ones may be a status code."""

    def __init__(self, *failures):
        self.failures, self.posted = list(failures), []
        self.answers = {
            "flows/filter": [{"id": key, "name": name} for key, name in FLOWS.items()],
            "flow_runs/filter": RUNS,
            "events/filter": {"events": EVENTS},
        }

    def __call__(self, request):
        if self.failures:
            return httpx.Response(self.failures.pop(0))
        path = request.url.path.removeprefix("/api/")
        if request.method == "GET":
            found = path.endswith("generate/generate-spheres")
            return httpx.Response(200 if found else 404, json={"id": "d"})
        self.posted.append((path, json.loads(request.content)))
        return httpx.Response(200, json=self.answers.get(path, {"id": "0123abcd-4567-89ef"}))


def _server(recorded):
    transport = httpx.MockTransport(recorded)
    return Server(api.Client(api.Access("http://prefect.test/api"), (0.0,), transport))


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Seconds that were waited, without waiting."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1.0 + sum(seconds))
    return seconds


def _followed(recorded, tell=lambda _: None, check=lambda: None, say=lambda _: None):
    patience = Patience(check, say)
    return follow(_server(recorded), CHAIN, BEGUN, tell=tell, patience=patience)


def test_a_chain_is_followed_to_what_it_made():
    """Its stages in their order, with hops, and the evaluation's event."""
    told = []
    seen = _followed(_Recorded(), tell=told.append)
    assert [run.stage.value for run in seen.stages] == [
        "generate",
        "tune",
        "train",
        "evaluate",
        "promote",
    ]
    assert seen.state == "COMPLETED"
    assert seen.evaluated.chain == SEARCHED
    assert [one.state for one in told] == ["COMPLETED"]


def test_a_server_that_is_away_for_two_minutes_is_waited_for(slept):
    """A look each second, of two attempts here; that it is away and back is said."""
    said = []
    assert _followed(_Recorded(*[503] * 240), say=said.append).state == "COMPLETED"
    assert set(said[:-1]) == {"the Prefect server does not answer; waiting for it to be back …"}
    assert said[-1] == "the Prefect server answers again"
    assert sum(slept) == pytest.approx(120, abs=2)
    with pytest.raises(api.UnavailableError, match="503"):
        _followed(_Recorded(*[503] * 300))


def test_a_server_that_refuses_is_not_waited_for(slept):
    """A login that is wrong does not become right."""
    with pytest.raises(api.RefusedError, match="401"):
        _followed(_Recorded(401))
    assert slept == []


def test_a_new_server_with_another_secret_is_found(slept):
    """Where a `baton up` may be started anew: it is looked for after each attempt in vain."""
    server, said = _server(_Recorded(*[401] * 9)), []

    def again():
        if len(slept) == 3:
            server.client = _server(_Recorded()).client

    patience = Patience(lambda: None, said.append, again)
    seen = follow(server, CHAIN, BEGUN, tell=lambda _: None, patience=patience)
    assert seen.state == "COMPLETED"
    assert len(slept) == 3
    assert said[-1] == "the Prefect server answers again"


def test_what_makes_going_on_useless_ends_the_watch():
    """Such as an embedded process that ended."""
    with pytest.raises(KeyboardInterrupt):
        _followed(_Recorded(), check=lambda: (_ for _ in ()).throw(KeyboardInterrupt))


def test_a_chain_is_begun_once_by_its_problems_deployment():
    """With a key by which the server knows the same request when it comes again."""
    recorded = _Recorded()
    given = {"problem": "spheres", "parameters": {}, "options": {}}
    begun = _server(recorded).begin(Order("spheres", Stage.GENERATE, given), CHAIN)
    ((path, content),) = recorded.posted
    assert path == "deployments/d/create_flow_run"
    assert content["parameters"] == given
    assert content["idempotency_key"]
    assert begun.chain_id == "0123abcd4567"


def test_a_deployment_that_nobody_serves_is_said_with_the_fix():
    """With the address that was asked."""
    order = Order("spheres", Stage.PREDICT, {"problem": "spheres"})
    with pytest.raises(InputError, match=r"predict/predict is not on http://prefect\.test/api"):
        _server(_Recorded()).begin(order, CHAIN)


class _Untaken(_Recorded):
    """A server on which a run waits, for workers of a pool or for a serve process."""

    def __init__(self, pool, workers=(), n_going=0, polled=None):
        super().__init__()
        self.answers["flow_runs/count"] = n_going
        self.answers["work_pools/my pool/workers/filter"] = list(workers)
        self.found = {"work_pool_name": pool, "deployment_id": "d", "last_polled": polled}

    def __call__(self, request):
        if request.method == "GET":
            return httpx.Response(200, json=self.found)
        return super().__call__(request)


@pytest.mark.parametrize(
    ("pool", "workers", "said"),
    [
        ("my pool", [], "no worker of work pool 'my pool' is online"),
        ("my pool", [{"name": "w"}], "the workers of work pool 'my pool' are busy"),
        (None, [], "no serve process has looked for its runs: start `baton up`"),
    ],
)
def test_who_does_not_take_a_run_is_said(pool, workers, said):
    """No worker of its pool, busy ones, or no serve process; with the address and the stage."""
    run = StageRun(Stage.GENERATE, state="SCHEDULED", flow_run_id="r")
    line = _server(_Untaken(pool, workers)).untaken(run, timedelta(seconds=8))
    assert line.startswith("nobody has taken the run for 8 s on http://prefect.test/api: stage gen")
    assert said in line


def test_a_run_that_waits_for_its_turn_is_said_to():
    """Somebody serves, and has as many runs going as it may."""
    run = StageRun(Stage.GENERATE, state="SCHEDULED", flow_run_id="r")
    served = _Untaken(None, n_going=4, polled=datetime.now(UTC).isoformat())
    line = _server(served).untaken(run, timedelta(seconds=8))
    assert "; 4 others are going, and it waits for its turn: wait" in line
