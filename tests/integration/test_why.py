"""Why a stage did not run, on a real server, with what breaks most often seeded one by one.

One server, and one deployment of prefect.yaml that nobody serves, for all of them.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client

from baton.chain import manifest
from baton.chain.causes import Cause
from baton.chain.events import (
    DatasetReady,
    EventName,
    Stage,
)
from baton.chain.manifest import kind_of
from baton.chain.recovery import UNHEARD
from baton.chain.runs import INPUT_ERROR_LABEL, announcement
from baton.chain.why_not import of_stage
from baton.cli import main
from baton.cli.replaying import _began
from baton.errors import InputError
from baton.settings import settings
from tasks.platform import api, reading
from tasks.platform.events import access, deliver
from tasks.platform.reading import Reader
from tasks.platform.server import Server
from tests.conftest import ROOT
from tests.processes import wait_for
from tests.unit.test_contracts import READY

CHAIN = manifest.read(ROOT / "prefect.yaml")
MODEL = {"name": "baton-iris", "version": 2, "run_id": "b" * 32, "digest": "c" * 64}
LABELS = DatasetReady.model_validate(READY).labels
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)
LINE = [Stage.GENERATE, Stage.TRAIN, Stage.EVALUATE, Stage.PROMOTE]
ANNOUNCES = {
    Stage.GENERATE: EventName.DATASET_READY,
    Stage.TRAIN: EventName.MODEL_TRAINED,
    Stage.EVALUATE: EventName.MODEL_EVALUATED,
    Stage.PREDICT: EventName.PREDICTIONS_READY,
}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


@dataclass
class World:
    """A server on which prefect.yaml is deployed, and that nobody serves."""

    client: api.Client
    deployments: dict[str, str] = field(default_factory=dict)
    """Ids by names."""
    automations: dict[tuple[str, str], str] = field(default_factory=dict)
    """Ids by names of deployment and event."""

    def deploy(self):
        for entry in CHAIN.deployments:
            flow = self.client.post("flows/", {"name": entry.flow_name})["id"]
            content = {"name": entry.name, "flow_id": flow, "parameters": entry.parameters}
            content["enforce_parameter_schema"] = False
            self.deployments[entry.name] = self.client.post("deployments/", content)["id"]
            for place, trigger in enumerate(entry.triggers):
                self.listen(entry.name, trigger, f"{entry.name}__automation_{place + 1}")

    def listen(self, deployment, trigger, name):
        content = trigger.model_dump(mode="json", by_alias=True, exclude_none=True)
        action = {"type": "run-deployment", "deployment_id": self.deployments[deployment]}
        action["parameters"] = content.pop("parameters")
        made = self.client.post(
            "automations/", {"name": name, "trigger": content, "actions": [action]}
        )
        self.automations[deployment, trigger.expect[0].value] = made["id"]

    def why_not(self, stage, chain):
        reader = Reader(self.client)
        (begun,) = reader.known(chain)
        return of_stage(Stage(stage), reader.facts(begun), CHAIN)

    def run(self, stage, chain, state="COMPLETED", message="", labels=None, **more):
        """A run of a stage that came into a state."""
        deployment = more.pop("deployment", stage)
        asked = {"parameters": {"order": {"chain": chain, "problem": "iris"}}}
        asked |= {"tags": [f"chain:{chain}", "open"], **more}
        path = f"deployments/{self.deployments[deployment]}/create_flow_run"
        run = self.client.post(path, asked)["id"]
        for kind in {"SCHEDULED": (), "PENDING": ("PENDING",)}.get(state, ("RUNNING", state)):
            self.move(run, kind, message)
        if labels:
            self.client.patch(f"flow_runs/{run}/labels", labels)
        return run

    def move(self, run, kind, message="", **more):
        state = {"type": kind, "name": kind.title(), "message": message, **more}
        return self.client.post(f"flow_runs/{run}/set_state", {"state": state, "force": True})

    def tell(self, event, chain, run, occurred=LONG_AGO, labels=None, **payload):
        """Post an event of a chain as a stage does, and wait until the server shows it."""
        subject = kind_of(event).subject
        resource = {"prefect.resource.id": f"baton.{subject}.iris"}
        related = {"prefect.resource.id": f"prefect.flow-run.{run or uuid4()}"}
        body = {
            "id": str(uuid4()),
            "occurred": occurred.isoformat(),
            "event": event.value,
            "resource": LABELS | resource | {"baton.chain": chain, **(labels or {})},
            "related": [related | {"prefect.resource.role": "flow-run"}],
            "payload": {"chain": chain, "problem": "iris", **payload},
        }
        deliver(body)
        reader = Reader(self.client)
        wait_for(lambda: [e for e in reader.events_of(chain) if e["id"] == body["id"]], 60, 0.1)
        return body["id"]

    def announced(self, stage, chain, **more):
        """A run of a stage that completed, and the event that it announced."""
        message = announcement(ANNOUNCES[stage], cached=False)
        run = self.run(stage, chain, message=message)
        return run, self.tell(ANNOUNCES[stage], chain, run, **more)

    def until(self, stage, **more):
        """A chain whose stages before this one have run, the last of them with its event."""
        chain, before = uuid4().hex[:12], LINE[: LINE.index(stage)]
        for one in before[:-1]:
            self.run(one, chain, message=announcement(ANNOUNCES[one], cached=False))
        self.announced(before[-1], chain, **more)
        return chain

    @contextmanager
    def changed(self, deployment, event, **change):
        """An automation that is another one for a while."""
        place = f"automations/{self.automations[deployment, event.value]}"
        before = self.client.find(place)
        self.put(place, before | change)
        try:
            yield before["name"]
        finally:
            self.put(place, before)

    def put(self, place, content):
        kept = ("name", "description", "enabled", "trigger", "actions", "tags")
        with get_client(sync_client=True) as prefects:
            prefects.request("PUT", f"/{place}", json={key: content[key] for key in kept})


@pytest.fixture(scope="module")
def world(prefect):
    """Every deployment and automation of prefect.yaml, on the session's server."""
    with api.Client(access()) as client:
        found = World(client)
        found.deploy()
        yield found


def _is(found, cause, *said):
    """Check a diagnosis: the cause is named, in one line, and it is where the checks end."""
    assert found.cause is cause, found.headline
    assert "\n" not in found.headline
    for one in said:
        assert one in found.headline
    assert [check.is_met for check in found.checks] == [True] * (len(found.checks) - 1) + [False]


def test_a_stage_whose_process_is_away(world):
    """The event started its run, and no serve process looks for runs."""
    chain = world.until(Stage.EVALUATE)
    wait_for(lambda: world.why_not("evaluate", chain).cause is not Cause.LOST, 60, 0.2)
    wait_for(lambda: world.why_not("evaluate", chain).cause is not Cause.GOING, 60, 0.2)
    _is(world.why_not("evaluate", chain), Cause.NO_SERVE, "start `baton up`")
    # What comes after it waits for the same, and the first cause is named.
    _is(world.why_not("promote", chain), Cause.NO_SERVE, f"promote of chain {chain} has not run")


def test_an_automation_that_is_off(world):
    """Somebody switched it off."""
    with world.changed("evaluate", EventName.MODEL_TRAINED, enabled=False) as name:
        chain = world.until(Stage.EVALUATE)
        found = world.why_not("promote", chain)
    _is(found, Cause.AUTOMATION_OFF, f"automation {name} is off", "prefect automation resume")


def test_an_automation_that_is_missing(world):
    """A deployment's automations are deleted and made anew whenever it is deployed."""
    key = "evaluate", EventName.MODEL_TRAINED.value
    world.client.find(f"automations/{world.automations[key]}")
    with get_client(sync_client=True) as prefects:
        prefects.request("DELETE", f"/automations/{world.automations[key]}")
    chain = world.until(Stage.EVALUATE)
    found = world.why_not("evaluate", chain)
    entry = next(one for one in CHAIN.deployments if one.name == "evaluate")
    world.listen("evaluate", entry.triggers[0], "evaluate__automation_1")
    _is(found, Cause.NO_AUTOMATION, "no automation starts evaluate on baton.model.trained")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"match": {"prefect.resource.id": "baton.modell.*"}},
            "match: prefect.resource.id is 'baton.modell.*', the event has 'baton.model.iris'",
        ),
        (
            {"match_related": {"prefect.resource.role": "deployment"}},
            "match_related: prefect.resource.role is 'deployment', the event has 'flow-run'",
        ),
        ({"expect": ["baton.model.train"]}, "expect is 'baton.model.train'"),
        ({"posture": "Proactive", "within": 600}, "posture is 'Proactive'"),
    ],
)
def test_a_trigger_that_does_not_match(world, change, said):
    """The field in which it differs from the event is named; tests/unit has the others."""
    place = f"automations/{world.automations['evaluate', EventName.MODEL_TRAINED.value]}"
    trigger = world.client.find(place)["trigger"] | change
    with world.changed("evaluate", EventName.MODEL_TRAINED, trigger=trigger):
        chain = world.until(Stage.EVALUATE)
        found = world.why_not("evaluate", chain)
    _is(found, Cause.NO_MATCH, said, "mend the trigger")


def _failing(world, deployment, parameters):
    """Why evaluate did not run, where what its automation does must fail."""
    action = {"type": "run-deployment", "deployment_id": deployment, "parameters": parameters}
    with world.changed("evaluate", EventName.MODEL_TRAINED, actions=[action]):
        chain = world.until(Stage.EVALUATE, occurred=datetime.now(UTC))
        waiting = (Cause.GOING, Cause.LOST)
        wait_for(lambda: world.why_not("evaluate", chain).cause not in waiting, 60, 0.2)
        return world.why_not("evaluate", chain)


def test_a_template_that_did_not_render(world):
    """It asks the payload for what is not there; Prefect says so in an event, and nowhere else."""
    templates = {"trained": "{{ event.payload.trained.model }}"}
    found = _failing(world, world.deployments["evaluate"], templates)
    _is(found, Cause.TEMPLATE, str(templates["trained"]), "the payload has no trained")


def test_parameters_that_do_not_fit_the_schema(world):
    """The server refuses them where the deployment enforces its schema."""
    flow = world.client.post("flows/", {"name": "evaluate"})["id"]
    content = {"name": "strict", "flow_id": flow, "parameter_openapi_schema": SCHEMA}
    strict = world.client.post("deployments/", content | {"enforce_parameter_schema": True})["id"]
    found = _failing(world, strict, {"x": "{{ event.payload.problem }}"})
    with get_client(sync_client=True) as prefects:
        prefects.delete_deployment(strict)
    _is(found, Cause.PARAMETERS, "'iris' is not of type 'integer'")


def test_a_stage_that_is_not_deployed(world):
    """There is nothing that the event could start; Prefect leaves the automation behind."""
    chain = world.until(Stage.PROMOTE, labels={"baton.notebook": "yes"})
    with get_client(sync_client=True) as prefects:
        prefects.delete_deployment(world.deployments.pop("notebook"))
    found = world.why_not("notebook", chain)
    _is(found, Cause.NOT_DEPLOYED, "notebook is not deployed", "`baton deploy`")


def test_an_automation_that_was_changed_after_the_event(world):
    """It is as it must be now, and did not see the event: how that is announced again."""
    with world.changed("evaluate", EventName.MODEL_TRAINED, enabled=False):
        chain = world.until(Stage.EVALUATE)
    _is(world.why_not("evaluate", chain), Cause.TOO_LATE, "then Baton announces it again by itself")


def test_an_event_that_recovery_has_announced_as_often_as_it_may(world):
    """The stage before is given up: what was wrong is named all the same, and how to go on."""
    with world.changed("evaluate", EventName.MODEL_TRAINED, enabled=False):
        chain = uuid4().hex[:12]
        world.run("generate", chain)
        run = world.run("train", chain, state="FAILED", message=UNHEARD)
        world.tell(EventName.MODEL_TRAINED, chain, run)
        found = world.why_not("evaluate", chain)
    _is(found, Cause.AUTOMATION_OFF, f"`prefect flow-run retry {run}`")


def _decided(world, event, **payload):
    """A chain that asked for predictions, and on whose model the gate has decided."""
    chain = world.until(Stage.PROMOTE)
    asked = {"evaluated": {"chain": chain, "data": {"options": {"predict": {}}}}}
    message = announcement(event, cached=False)
    run = world.run("promote", chain, message=message, parameters=asked)
    world.tell(event, chain, run, **payload)
    return chain


def test_the_gate_said_no(world):
    """With its own reason, and the way around it."""
    said = {"model": MODEL, "reason": "no better by more than noise"}
    found = world.why_not("predict", _decided(world, EventName.MODEL_REJECTED, **said))
    _is(found, Cause.REJECTED, said["reason"], "`baton promote iris --version 2 --reason …`")


@pytest.mark.parametrize(
    ("held_back", "cause"),
    [
        ("drift was announced at noon, and is again after 1:00:00", Cause.HELD_BACK),
        ("", Cause.NO_DRIFT),
    ],
)
def test_drift_that_is_held_back_or_was_not_found(world, held_back, cause):
    """The cool-down speaks for itself; and so does a look that found nothing."""
    chain = uuid4().hex[:12]
    world.announced(Stage.PREDICT, chain)
    message = announcement(EventName.PREDICTIONS_MONITORED, cached=False)
    asked = {"ready": {"chain": chain, "retrain": {"options": {"retrain": {}}}}}
    run = world.run("monitor", chain, message=message, parameters=asked)
    said = {"held_back": held_back, "reason": "nothing has moved"}
    world.tell(EventName.PREDICTIONS_MONITORED, chain, run, **said)
    _is(world.why_not("generate", chain), cause, held_back or said["reason"])


@pytest.mark.parametrize(
    ("stage", "option"),
    [
        ("tune", "-p tune=true"),
        ("monitor", "chain CHAIN was not asked for predict, which leads to it"),
    ],
)
def test_a_stage_that_the_chain_was_not_asked_for(world, stage, option):
    """The option is named."""
    chain = world.until(Stage.TRAIN)
    _is(world.why_not(stage, chain), Cause.NOT_ASKED, option.replace("CHAIN", chain))


@pytest.mark.parametrize(
    ("state", "message", "labels", "cause", "said"),
    [
        ("RUNNING", "", {}, Cause.GOING, "train is at work since"),
        ("FAILED", "", {INPUT_ERROR_LABEL: "no column 'y'"}, Cause.FAILED, "no column 'y'"),
        ("FAILED", "its process died 3 times", {}, Cause.GIVEN_UP, "`prefect flow-run retry"),
    ],
)
def test_an_event_that_never_came(world, state, message, labels, cause, said):
    """The stage that should have announced it is not over, or ended otherwise."""
    chain = uuid4().hex[:12]
    world.announced(Stage.GENERATE, chain)
    world.run("train", chain, state=state, message=message, labels=labels)
    found = world.why_not("promote", chain)
    _is(found, cause, said)
    assert found.checks[0].what.startswith("generate completed")


def test_an_event_that_the_server_does_not_have(world):
    """The stage says that it announced it: a server was ended, or it is long ago."""
    chain = uuid4().hex[:12]
    message = announcement(EventName.DATASET_READY, cached=False)
    world.run("generate", chain, message=message)
    _is(world.why_not("train", chain), Cause.GOING, "has not been written yet")
    begun = Reader(world.client).known(chain)[0]
    facts = Reader(world.client).facts(begun)
    for later, said in ((minutes(5), "is not on the server"), (minutes(15_000), "is forgotten")):
        found = of_stage(Stage.TRAIN, replace(facts, now=facts.now + later), CHAIN)
        _is(found, Cause.NO_EVENT, said)


def minutes(number):
    return timedelta(minutes=number)


def test_what_schedules_have_ahead_does_not_hide_a_chain(world, monkeypatch):
    """Of so many runs that are read at once, none is of a time that is still to come."""
    monkeypatch.setattr(reading, "_MOST_RUNS", 3)
    chain = uuid4().hex[:12]
    world.run("generate", chain)
    later = {"scheduled_time": (datetime.now(UTC) + minutes(60)).isoformat()}
    path = f"deployments/{world.deployments['generate']}/create_flow_run"
    for _ in range(3):
        world.client.post(path, {"state": {"type": "SCHEDULED", "state_details": later}})
    assert chain in [one.chain_id for one in Reader(world.client).latest()]


def test_data_that_arrived_and_began_nothing(world):
    """A chain without any run is known by what arrived."""
    labels = {"baton.begins": "generate"}

    def arrived():
        chain = uuid4().hex[:12]
        order = {"generate": {"chain": chain, "problem": "iris"}}
        world.tell(EventName.DATA_ARRIVED, chain, "", labels=labels, **order)
        found = world.why_not("evaluate", chain)
        return found if found.cause is not Cause.NO_SERVE else None

    with world.changed("generate", EventName.DATA_ARRIVED, enabled=False):
        found = wait_for(arrived, 30)  # a server's triggers hear of a change a moment after it
    _is(found, Cause.AUTOMATION_OFF, "`baton announce` it again")


def test_a_stage_that_nobody_began_is_replayed_by_the_event_that_nobody_heard(world):
    """Where none is to begin it, the line says what the chain has."""
    with world.changed("promote", EventName.MODEL_EVALUATED, enabled=False):
        chain = world.until(Stage.PROMOTE)
        server = Server(world.client)
        (begun,) = server.known(chain)
        made = _began(server, CHAIN, begun, Stage.PROMOTE)
    assert made["evaluated"]["chain"] == chain
    with pytest.raises(
        InputError, match=r"stage tune never ran .* no event that begins it is known"
    ):
        _began(server, CHAIN, begun, Stage.TUNE)


def test_a_model_that_waits_for_a_person(world):
    """No process waits meanwhile."""
    chain = world.until(Stage.PROMOTE)
    world.run("promote", chain, state="PAUSED")
    _is(world.why_not("promote", chain), Cause.APPROVAL, f"`baton approve {chain}`")


def test_a_run_that_is_for_later(world):
    """It is said for when."""
    chain = uuid4().hex[:12]
    run = world.run("generate", chain, state="SCHEDULED")
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    world.move(run, "SCHEDULED", state_details={"scheduled_time": later})
    found = world.why_not("train", chain)
    _is(found, Cause.FUTURE, f"generate is scheduled for {later[:10]}")


def test_a_limit_of_runs_at_once(world):
    """Prefect lets the second one wait, whoever would take it."""
    deployment = world.deployments["generate-iris"]
    world.client.patch(f"deployments/{deployment}", {"concurrency_limit": 1})
    chains = [uuid4().hex[:12] for _ in range(2)]
    for chain in chains:
        run = world.run("generate", chain, state="SCHEDULED", deployment="generate-iris")
        world.client.post(f"flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
    found = world.why_not("generate", chains[1])
    world.client.patch(f"deployments/{deployment}", {"concurrency_limit": None})
    _is(found, Cause.CONCURRENCY, "may have 1 run at once")


@pytest.fixture(scope="module")
def pooled(world):
    """A chain whose first run waits in a work pool that nobody looks at."""
    world.client.post("work_pools/", {"name": "my-pool", "type": "process"})
    flow = world.client.post("flows/", {"name": "generate"})["id"]
    content = {"name": "pooled", "flow_id": flow, "work_pool_name": "my-pool"}
    content["enforce_parameter_schema"] = False
    world.deployments["pooled"] = world.client.post("deployments/", content)["id"]
    chain = uuid4().hex[:12]
    world.run("generate", chain, state="SCHEDULED", deployment="pooled")
    yield chain
    with get_client(sync_client=True) as prefects:
        prefects.delete_work_pool("my-pool")


def test_who_does_not_take_the_runs_of_a_pool(world, pooled):
    """Pool and queue may be paused, the workers away, or as busy as they may be."""
    pool, queue = "work_pools/my-pool", "work_pools/my-pool/queues/default"

    def found():
        return world.why_not("generate", pooled)

    _is(found(), Cause.NO_WORKER, "`prefect worker start --pool my-pool` starts one")
    world.client.patch(queue, {"is_paused": True})
    _is(found(), Cause.POOL_PAUSED, "`prefect work-queue resume default --pool my-pool`")
    world.client.patch(queue, {"is_paused": False})
    world.client.patch(pool, {"is_paused": True})
    _is(found(), Cause.POOL_PAUSED, "`prefect work-pool resume my-pool`")
    world.client.patch(pool, {"is_paused": False, "concurrency_limit": 0})
    world.client.post(f"{pool}/workers/heartbeat", {"name": "w"})
    world.client.post(f"{pool}/get_scheduled_flow_runs", {})
    _is(found(), Cause.CONCURRENCY, "work pool 'my-pool' has its 0 runs at once")
    world.client.patch(pool, {"concurrency_limit": None})
    _is(found(), Cause.TURN, "the workers of work pool 'my-pool' are busy")


def test_a_schedule_that_is_off(world, ask):
    """The clock's turn; a deployment may be asked for by its name."""
    place = f"deployments/{world.deployments['predict-taxi']}"
    schedule = {"schedule": {"cron": "0 * * * *"}, "active": False}
    world.client.post(f"{place}/schedules", [schedule])
    said = "the schedule of predict/predict-taxi is off"
    assert said in ask("why-not", "predict-taxi").out
    assert said in ask("why-not", "predict").out
    world.client.post(f"{place}/pause_deployment", {})
    found = json.loads(ask("why-not", "predict-taxi", "--json").out)
    assert (found["cause"], found["has_run"]) == ("paused", False)
    assert "has no schedule" in ask("why-not", "train").out


def test_a_stage_that_ran(world):
    """It says so, and who says more."""
    chain = uuid4().hex[:12]
    run, _ = world.announced(Stage.GENERATE, chain)
    found = world.why_not("generate", chain)
    assert found.has_run
    assert f"`baton why {run}`" in found.headline
    assert all(check.is_met for check in found.checks)


@pytest.fixture
def ask(world, monkeypatch, capsys):
    """Ask by the command: the server is one that Baton did not start, and wants a login."""

    def asked(*words):
        with pytest.raises(SystemExit) as end:
            main(list(words))
        said = capsys.readouterr()
        return Answer(end.value.code, said.out, said.err)

    there = access()
    assert there.auth_string
    monkeypatch.setenv("PREFECT_API_URL", there.address)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", there.auth_string)
    settings.cache_clear()
    yield asked
    monkeypatch.undo()
    settings.cache_clear()


@dataclass
class Answer:
    """What the command said."""

    code: int
    out: str
    err: str


def test_the_command_says_it_in_a_line_and_what_was_looked_at(world, ask):
    """With --json it is one object."""
    with world.changed("evaluate", EventName.MODEL_TRAINED, enabled=False):
        chain = world.until(Stage.EVALUATE)
        told = ask("why-not", "promote", "--chain", chain[:8])
        found = json.loads(ask("why-not", "promote", "--chain", chain, "--json").out)
    line, *checks = told.out.splitlines()
    said = "did not run: automation evaluate__automation_1 is off"
    assert line.startswith(f"promote of chain {chain} {said}")
    assert [check.split()[0] for check in checks] == ["✓"] * (len(checks) - 1) + ["✗"]
    assert (found["cause"], found["chain"]) == ("automation-off", chain)
    assert [one["what"] for one in found["checks"]] == [check[4:] for check in checks]


def test_what_started_a_run_is_found_by_what_prefect_reports(world, ask):
    """Event, automation and payload, back to the run that was begun by hand."""
    chain = uuid4().hex[:12]
    first, event = world.announced(Stage.GENERATE, chain, extra={"long": "x" * 300})
    reader = Reader(world.client)
    begun = reader.known(chain)[0]
    (second,) = wait_for(lambda: reader.runs_of(begun).get(Stage.TRAIN), 60, 0.2)
    wait_for(lambda: reader.reports([f"prefect.flow-run.{second['id']}"]), 60, 0.2)
    told = json.loads(ask("why", second["id"], "--json").out)
    assert [one["flow_run_id"] for one in told["runs"]] == [first, second["id"]]
    assert [one["origin"]["kind"] for one in told["runs"]] == ["hand", "event"]
    assert told["runs"][1]["origin"]["automation"] == "train__automation_1"
    assert [(one["id"], one["starts"]) for one in told["events"]] == [(event, [second["id"]])]
    assert told["events"][0]["payload"]["extra"] == {"long": "x" * 300}
    said = ask("why", chain).out
    assert "x" * 300 not in said
    assert f"run {second['id']}" in said
    assert "by baton.dataset.ready at " in said


BAD = [
    (("why", "nothing!"), "there is no chain on http", "begins with 'nothing!'"),
    (("why", "f" * 12), "there is no chain on http", "`baton status` lists the chains"),
    (("why", "0" * 8 + "-0000"), "no flow run on http", "begins with '00000000-0000'"),
    (("why", "00000000-0000-0000-0000-000000000000"), "no flow run on http", "has its id"),
    (("why", "abc000000"), "2 chains on http", "give more digits than 'abc000000'"),
    (
        ("why-not", "train", "--chain", "abc000000"),
        "abc000000001, abc000000002",
    ),
    (("why-not", "train", "--chain", "f" * 12), "there is no chain on http"),
    (("why-not", "trian", "--chain", "abc000000001"), "there is no stage 'trian'", "'train'?"),
    (("why-not", "reconcile"), "there is no stage 'reconcile'", "predict-taxi"),
    (("why-not",), "why-not"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: " ".join(bad[0]))
def test_bad_input_is_one_line_and_exit_code_2(world, ask, bad):
    """The fact, and what to do."""
    words, *said = bad
    for last in "12":
        chain = f"abc00000000{last}"
        if not Reader(world.client).known(chain):
            world.run("generate", chain)
    answer = ask(*words)
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.strip().splitlines()
    assert all(one in line for one in said), line


def test_no_server_is_one_line_and_exit_code_2(ask, monkeypatch):
    """One that does not answer, and a home in which there never was one."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    settings.cache_clear()
    for words in (("why", "abc"), ("why-not", "train", "--chain", "abc"), ("why-not", "train")):
        answer = ask(*words)
        assert (answer.code, answer.out) == (2, "")
        assert "no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api" in answer.err
