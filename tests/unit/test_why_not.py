"""Why a stage did not run, from facts: every cause is named, the first one first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from baton.chain import manifest
from baton.chain.causes import Cause
from baton.chain.events import EventName, Stage, chain_begun_by
from baton.chain.facts import EXECUTED, FIRED, NOT_EXECUTED, Facts, Report
from baton.chain.handing_over import unrendered
from baton.chain.manifest import PLAIN
from baton.chain.recovery import UNHEARD
from baton.chain.runs import (
    BEGAN_LABEL,
    CANCELLED_LABEL,
    DEATHS_LABEL,
    IN_VAIN_LABEL,
    INPUT_ERROR_LABEL,
    SEEN_LABEL,
    Begun,
    announcement,
)
from baton.chain.taking import Taker, nobody
from baton.chain.triggers import Automation
from baton.chain.why_not import by_clock, of_stage, urgency
from baton.terms import Options
from tests.conftest import ROOT

MANIFEST = manifest.read(ROOT / "prefect.yaml")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
C = "0123456789ab"
STAGES = [stage.value for stage in Stage]
ANNOUNCES = {
    "generate": EventName.DATASET_READY,
    "tune": EventName.STUDY_FINISHED,
    "train": EventName.MODEL_TRAINED,
    "evaluate": EventName.MODEL_EVALUATED,
    "promote": EventName.MODEL_PROMOTED,
    "predict": EventName.PREDICTIONS_READY,
    "monitor": EventName.PREDICTIONS_MONITORED,
}


def ago(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat()


def run(stage, state="COMPLETED", message=None, *, chain=C, seconds=300, labels=None, **more):
    """A run as the server gives it."""
    if message is None:
        message = announcement(ANNOUNCES[stage], cached=False) if state == "COMPLETED" else ""
    return {
        "id": f"{stage}-run",
        "flow_id": stage,
        "name": stage,
        "state_type": state,
        "state_name": state.title(),
        "state": {"type": state, "timestamp": ago(seconds), "message": message},
        "created": ago(seconds + 5),
        "expected_start_time": ago(seconds + 5),
        "next_scheduled_start_time": ago(seconds + 5),
        "tags": [f"chain:{chain}", "open"],
        "labels": labels or {},
        "parameters": {"data": {"chain": chain, "problem": "iris"}},
        "deployment_id": f"{stage}-deployment",
        "run_count": 1,
        **more,
    }


def event(name, chain=C, seconds=300, labels=PLAIN, **payload):
    """An event as the server gives it."""
    subject = manifest.kind_of(name).subject
    return {
        "id": f"{name}-{chain}-{seconds}",
        "event": name.value,
        "occurred": ago(seconds),
        "resource": {
            "prefect.resource.id": f"baton.{subject}.iris",
            "baton.chain": chain,
            **labels,
        },
        "related": [],
        "payload": {"chain": chain, "problem": "iris", **payload},
    }


def automations():
    """Those of prefect.yaml, made long ago."""
    for entry in MANIFEST.deployments:
        for place, trigger in enumerate(entry.triggers, 1):
            content = trigger.model_dump(mode="json", by_alias=True, exclude_none=True)
            action = {"deployment_id": f"{entry.name}-deployment"}
            yield {
                "id": f"{entry.name}-{place}",
                "name": f"{entry.name}__automation_{place}",
                "enabled": True,
                "trigger": content,
                "actions": [action | {"parameters": content["parameters"]}],
                "updated": ago(100_000),
            }


def facts(*found, events=(), options=None, first=Stage.GENERATE, **more):
    labels = Options(**(options or {})).labels
    begun = Begun(C, "iris", NOW - timedelta(seconds=600), first, labels)
    known = {"automations": [Automation.read(one) for one in automations()]}
    deployments = [
        {
            "id": f"{entry.name}-deployment",
            "flow_id": entry.flow_name,
            "name": entry.name,
            "schedules": [],
            "paused": False,
            "parameters": entry.parameters,
            "global_concurrency_limit": None,
        }
        for entry in MANIFEST.deployments
    ]
    known |= {"deployments": deployments, "flows": dict(zip(STAGES, STAGES, strict=True))}
    return Facts(NOW, begun, runs=found, events=events, **known | more)


def until(stage, seconds=300, **more):
    """Facts of a chain that came to a stage and no further, with the event that is to start it."""
    line = ["generate", "train", "evaluate", "promote"]
    before = line[: line.index(stage)]
    told = [event(ANNOUNCES[one], seconds=seconds) for one in before]
    return facts(*(run(one) for one in before), events=told, **more)


def why_not(stage, known):
    found = of_stage(Stage(stage), known, MANIFEST)
    marks = [check.is_met for check in found.checks]
    assert marks == [True] * (len(marks) - 1) + [found.has_run]
    assert "\n" not in found.headline
    return found


def changed(name, **change):
    """The automations, one of them changed; without it, if nothing is left of it."""
    every = automations()
    kept = [one | change if one["name"] == name else one for one in every]
    return [Automation.read(one) for one in kept if change or one["name"] != name]


def report(kind, about, deployment="evaluate-deployment", seconds=299, **more):
    payload = more.pop("payload", {})
    started = more.pop("run", "")
    at = NOW - timedelta(seconds=seconds)
    name = "evaluate__automation_1"
    return Report(kind, at, "evaluate-1", name, about["id"], deployment, started, payload)


def test_a_stage_that_ran():
    """It is said which run it was, and where more is said of it."""
    found = why_not("train", until("evaluate"))
    assert found.has_run
    assert found.headline == (
        f"train of chain {C} ran: run train-run ended at 2026-03-01 11:55:00 UTC: announced"
        " baton.model.trained; `baton why train-run` says what started it"
    )
    assert [check.what for check in found.checks] == [
        "generate completed at 2026-03-01 11:55:00 UTC",
        "train completed at 2026-03-01 11:55:00 UTC",
        "train ran",
    ]


@pytest.mark.parametrize(
    "train",
    [
        run("train", "FAILED", UNHEARD),
        run("train", "PENDING", labels={IN_VAIN_LABEL: 1}),
        run("train", "SCHEDULED", labels={IN_VAIN_LABEL: 3}),
    ],
)
def test_a_stage_that_ran_and_that_nobody_followed(train):
    """That it is begun again for that, or given up, is no reason: what was not heard is."""
    known = facts(run("generate"), train)
    assert why_not("train", known).has_run
    assert why_not("evaluate", known).cause is Cause.NO_EVENT
    told = [event(EventName.DATASET_READY), event(EventName.MODEL_TRAINED)]
    off = changed("evaluate__automation_1", enabled=False)
    found = why_not("evaluate", replace(known, events=told, automations=off))
    assert found.cause is Cause.AUTOMATION_OFF
    assert found.checks[1].what == "train came to its end, and nobody followed"


STATES = [
    (run("train", "RUNNING"), Cause.GOING, "train is at work since 2026-03-01 11:55:00 UTC"),
    (
        run("train", "RUNNING", seconds=4000, labels={SEEN_LABEL: ago(1000)}),
        Cause.GOING,
        "without a sign of life since 2026-03-01 11:43:20 UTC; a serve process",
    ),
    (run("train", "PENDING"), Cause.STARTING, "its process has not begun"),
    (run("train", "PAUSED"), Cause.APPROVAL, f"`baton approve {C}` answers it"),
    (run("train", "CANCELLED", "by hand"), Cause.CANCELLED, "train was cancelled: by hand"),
    (
        run("train", "CRASHED", "x", labels={CANCELLED_LABEL: "yes"}),
        Cause.CANCELLED,
        "train was cancelled: x",
    ),
    (
        run("train", "CANCELLED", "Deployment concurrency limit reached."),
        Cause.CONCURRENCY,
        "collision_strategy ENQUEUE",
    ),
    (
        run("train", "CRASHED", "status code: -9", labels={DEATHS_LABEL: 2}),
        Cause.CRASHED,
        "killed by signal 9, likely out of memory, after 2 of 3 attempts",
    ),
    (
        run("train", "FAILED", "its process died 3 times, the last time exit code 1"),
        Cause.GIVEN_UP,
        "`prefect flow-run retry train-run`",
    ),
    (
        run("train", "FAILED", "begun again 100 times, and each time what ran it ended"),
        Cause.GIVEN_UP,
        "recovery gave train up",
    ),
    (
        run("train", "FAILED", "x", labels={INPUT_ERROR_LABEL: "no column 'y'"}),
        Cause.FAILED,
        "train failed: no column 'y'",
    ),
    (
        run("train", "FAILED", "invalid parameters: data.raw: Field required"),
        Cause.PARAMETERS,
        "`baton why train-run --json` shows what it was given",
    ),
    (
        run("train", "FAILED", "parameters", labels={BEGAN_LABEL: ago(10)}),
        Cause.FAILED,
        "train failed: parameters",
    ),
    (run("train", "FAILED"), Cause.FAILED, "for no reason that it says"),
]


@pytest.mark.parametrize(("found", "cause", "said"), STATES)
def test_a_run_that_is_not_over_or_ended_badly(found, cause, said):
    """For the stage itself, and for whatever waits for it."""
    for stage in ("train", "evaluate", "promote"):
        why = why_not(stage, facts(run("generate"), found))
        assert why.cause is cause
        assert said in why.headline


SERVED = Taker(polled=NOW - timedelta(seconds=1))
POOL = Taker("p", queue="q", n_workers=1)
TAKERS = [
    (Taker(), Cause.NO_SERVE, "no serve process has looked for its runs; start `baton up`"),
    (
        Taker(polled=NOW - timedelta(minutes=2)),
        Cause.NO_SERVE,
        "since 2026-03-01 11:58:00 UTC",
    ),
    (replace(SERVED, n_going=1), Cause.TURN, "1 other is going, and it waits for its turn"),
    (SERVED, Cause.GOING, "look again"),
    (replace(POOL, is_there=False), Cause.POOL_PAUSED, "there is no work pool 'p'"),
    (replace(POOL, is_paused=True), Cause.POOL_PAUSED, "`prefect work-pool resume p`"),
    (
        replace(POOL, is_queue_paused=True),
        Cause.POOL_PAUSED,
        "`prefect work-queue resume q --pool p`",
    ),
    (replace(POOL, n_workers=0), Cause.NO_WORKER, "`prefect worker start --pool p` starts one"),
    (replace(POOL, is_queue_polled=False), Cause.NO_WORKER, "--pool p --work-queue q`"),
    (replace(POOL, limit=2, n_taken=2), Cause.CONCURRENCY, "work pool 'p' has its 2 runs at once"),
    (replace(POOL, queue_limit=1, n_queue_taken=1), Cause.CONCURRENCY, "work queue 'q' of 'p'"),
    (replace(POOL, limit=2, n_taken=1), Cause.TURN, "the workers of work pool 'p' are busy"),
]


@pytest.mark.parametrize(("taker", "cause", "said"), TAKERS)
def test_a_run_that_nobody_takes(taker, cause, said):
    """Who is missing is named, the pool before the queue, the queue before the worker."""
    waiting = run("train", "SCHEDULED")
    known = facts(run("generate"), waiting, takers={"train-run": taker})
    found = why_not("train", known)
    assert found.cause is cause
    assert said in found.headline
    assert f"train of chain {C} has not run yet: " in found.headline
    assert nobody(taker, NOW).reason in found.reason


def test_a_run_that_is_for_later():
    """Whoever would take it."""
    later = run("train", "SCHEDULED", next_scheduled_start_time=ago(-3600))
    found = why_not("train", facts(run("generate"), later, takers={"train-run": SERVED}))
    assert (found.cause, found.reason) == (
        Cause.FUTURE,
        "train is scheduled for 2026-03-01 13:00:00 UTC",
    )


@pytest.mark.parametrize(
    ("limit", "name"), [({"limit": 2}, "AwaitingConcurrencySlot"), ({"limit": 0}, "Scheduled")]
)
def test_a_limit_of_runs_at_once(limit, name):
    """By the name that Prefect gives to such a state; a limit of none shuts the deployment."""
    known = facts(run("generate"), run("train", "SCHEDULED", state_name=name))
    for one in known.deployments:
        one["global_concurrency_limit"] = limit | {"active": True}
    found = why_not("train", known)
    assert found.cause is Cause.CONCURRENCY
    assert f"may have {limit['limit']} runs at once" in found.headline


def test_a_run_whose_deployment_is_gone():
    """Nobody looks for its runs any more."""
    known = facts(run("generate"), run("train", "SCHEDULED"), deployments=[])
    assert why_not("train", known).cause is Cause.NOT_DEPLOYED


@pytest.mark.parametrize(
    ("stage", "option"),
    [
        ("tune", "`baton run iris -p tune=true`"),
        ("notebook", "`baton run iris -p notebook=NAME`"),
        ("predict", "`baton run iris -p 'predict={…}'`"),
    ],
)
def test_a_stage_that_was_not_asked_for(stage, option):
    """Before whatever else is missing: it would not run if all else were well."""
    found = why_not(stage, facts(run("generate", "FAILED")))
    assert found.cause is Cause.NOT_ASKED
    assert option in found.headline


def test_a_stage_behind_one_that_was_not_asked_for():
    """It is the one before that is missing."""
    found = why_not("monitor", facts(run("generate")))
    assert found.reason == f"chain {C} was not asked for predict, which leads to it"


def test_a_stage_that_was_not_asked_for_and_whose_schedule_is_off():
    """The clock would have run it."""
    known = facts(run("generate"))
    for one in known.deployments:
        if one["name"] == "predict-taxi":
            one |= {"schedules": [{"active": False}], "parameters": {"problem": "iris"}}
    found = why_not("predict", known)
    assert "was not asked for it, and the schedule of predict/predict-taxi is off" in found.reason


def test_a_stage_of_another_kind_of_chain():
    """A chain that begins with predictions has no training of its own."""
    found = why_not("tune", facts(run("evaluate"), first=Stage.EVALUATE))
    assert found.cause is Cause.NO_PART
    assert "which has evaluate and promote" in found.headline


def test_a_search_comes_between_where_the_chain_asked_for_it():
    """The way leads through it."""
    asked = {"baton.tune": "yes"}
    told = event(EventName.DATASET_READY, labels=PLAIN | asked)
    told["resource"]["prefect.resource.id"] = "baton.search.iris"
    known = facts(run("generate"), run("tune", "RUNNING"), events=[told], options={"tune": True})
    assert why_not("train", known).reason.startswith("tune is at work")


def test_the_gate_rejected_the_model():
    """Its reason, and how a person decides otherwise."""
    model = {"name": "baton-iris-short", "version": 3}
    rejected = event(EventName.MODEL_REJECTED, model=model, reason="no better")
    asked = {"evaluated": {"chain": C, "data": {"options": {"predict": {}}}}}
    message = announcement(EventName.MODEL_REJECTED, cached=False)
    promote = run("promote", message=message, parameters=asked)
    before = [run(one) for one in ("generate", "train", "evaluate")]
    known = facts(*before, promote, events=[rejected], options={"predict": {}})
    for stage in ("predict", "monitor"):
        found = why_not(stage, known)
        assert found.cause is Cause.REJECTED
        assert found.reason == "the gate rejected the model: no better"
        assert "`baton promote short --version 3 --reason …`" in found.fix


@pytest.mark.parametrize(
    ("held_back", "cause"), [("announced an hour ago", Cause.HELD_BACK), ("", Cause.NO_DRIFT)]
)
def test_drift_that_is_held_back_or_was_not_found(held_back, cause):
    """The stage that would train anew is of a chain that drift begins."""
    asked = {"ready": {"chain": C, "retrain": {"options": {"retrain": {}}}}}
    seen = event(EventName.PREDICTIONS_MONITORED, held_back=held_back, reason="as usual")
    found_runs = run("predict"), run("monitor", parameters=asked)
    known = facts(*found_runs, events=[seen], first=Stage.PREDICT)
    for stage in ("generate", "train"):
        found = why_not(stage, known)
        assert found.cause is cause
        assert (held_back or "as usual") in found.reason


def test_a_stage_that_ended_without_announcing():
    """Such as a scheduled prediction before there is a model."""
    skipped = run("predict", message="there is no model yet")
    found = why_not("monitor", facts(skipped, first=Stage.PREDICT))
    assert found.cause is Cause.NOT_ANNOUNCED
    assert found.reason == "predict completed and announced nothing: there is no model yet"


@pytest.mark.parametrize(
    ("seconds", "cause", "said"),
    [
        (5, Cause.GOING, "has not been written yet"),
        (300, Cause.NO_EVENT, "is not on the server"),
        (9 * 86400, Cause.NO_EVENT, "is forgotten: a server keeps events for 1 week"),
    ],
)
def test_an_event_that_the_server_does_not_have(seconds, cause, said):
    """It has just been announced, was lost, or is long ago."""
    found = why_not("train", facts(run("generate", seconds=seconds)))
    assert found.cause is cause
    assert said in found.reason


def test_nothing_has_begun_the_chain():
    """Its first run is gone, or never was."""
    found = why_not("train", facts())
    assert (found.cause, found.fix.split(" says")[0]) == (Cause.NOT_ANNOUNCED, "`baton arrivals`")


def test_data_that_arrived_and_began_nothing():
    """It is announced again by whoever announced it."""
    labels = PLAIN | {"baton.begins": "generate"}
    arrived = event(EventName.DATA_ARRIVED, labels=labels)
    off = changed("generate__automation_2", enabled=False)
    found = why_not("train", facts(events=[arrived], automations=off))
    assert found.cause is Cause.AUTOMATION_OFF
    assert found.fix.endswith("`baton announce` it again")


def test_a_stage_that_is_not_deployed():
    """There is nothing that the event could start."""
    found = why_not("evaluate", until("evaluate", deployments=[]))
    assert found.cause is Cause.NOT_DEPLOYED
    assert found.checks[-1].what == "evaluate is deployed"


def test_an_automation_that_is_missing():
    """Those for other events of the same stage are named, and no more than that."""
    found = why_not("evaluate", until("evaluate", automations=changed("evaluate__automation_1")))
    assert found.cause is Cause.NO_AUTOMATION
    assert found.reason == "no automation starts evaluate on baton.model.trained"
    found = why_not("train", until("train", automations=changed("train__automation_1")))
    assert found.reason.endswith("; those there are wait for baton.study.finished")


def test_of_several_automations_the_nearest_one_is_looked_at():
    """One that is on before one that is off."""
    two = [*changed("", x=1), *changed("evaluate__automation_1", enabled=False)]
    assert why_not("evaluate", until("evaluate", automations=two)).cause is Cause.LOST


def test_a_trigger_that_does_not_match():
    """The field, what the trigger says there, and what the event has."""
    trigger = {"match": {"prefect.resource.id": "baton.modell.*"}, "expect": ["baton.model.*"]}
    other = changed("evaluate__automation_1", trigger=trigger | {"posture": "Reactive"})
    found = why_not("evaluate", until("evaluate", automations=other))
    assert found.cause is Cause.NO_MATCH
    assert found.reason == (
        "the trigger of evaluate__automation_1 does not match baton.model.trained of"
        " baton.model.iris: match: prefect.resource.id is 'baton.modell.*', the event has"
        " 'baton.model.iris'"
    )
    assert found.fix.startswith("mend the trigger in prefect.yaml and start `baton up`")


def test_a_trigger_that_is_misspelt_in_prefect_yaml_too():
    """It is what the chain asked for all the same: the trigger is at fault."""
    misspelt = MANIFEST.model_dump(mode="json", by_alias=True, exclude_none=True)
    for entry in misspelt["deployments"]:
        entry.pop("fresh_within", None)
        for trigger in entry["triggers"] if entry["name"] == "promote" else ():
            trigger["match"]["prefect.resource.id"] = "baton.modell.*"
    trigger = {"match": {"prefect.resource.id": "baton.modell.*"}, "posture": "Reactive"}
    other = changed("promote__automation_1", trigger=trigger)
    wrong = manifest.Manifest.model_validate(misspelt)
    found = of_stage(Stage.PROMOTE, until("promote", automations=other), wrong)
    assert found.cause is Cause.NO_MATCH


def test_a_trigger_that_fires_once_within_a_time():
    """And had fired: the event was swallowed."""
    within = {"expect": ["baton.model.trained"], "posture": "Reactive", "within": 60}
    other = changed("evaluate__automation_1", trigger=within)
    earlier = report(FIRED, event(EventName.MODEL_TRAINED, chain="f" * 12), seconds=320)
    found = why_not("evaluate", until("evaluate", automations=other, reports=[earlier]))
    assert found.cause is Cause.SWALLOWED
    assert "fires once within 1 minute, and had fired at 2026-03-01 11:54:40 UTC" in found.reason


def test_an_automation_that_was_made_after_the_event():
    """It did not see it."""
    other = changed("evaluate__automation_1", updated=ago(100))
    found = why_not("evaluate", until("evaluate", automations=other))
    assert found.cause is Cause.TOO_LATE
    assert "at 2026-03-01 11:58:20 UTC, after baton.model.trained" in found.reason


@pytest.mark.parametrize(("seconds", "cause"), [(3, Cause.GOING), (300, Cause.LOST)])
def test_an_event_that_fired_nothing(seconds, cause):
    """It has just come, or the server ended in between."""
    assert why_not("evaluate", until("evaluate", seconds=seconds)).cause is cause


ACTIONS = [
    ({"kind": FIRED, "seconds": 3}, Cause.GOING, "has just fired"),
    ({"kind": FIRED}, Cause.LOST, "fired, and nothing came of it"),
    ({"kind": EXECUTED, "run": "gone"}, Cause.ACTION_FAILED, "run gone of evaluate was deleted"),
    (
        {"kind": NOT_EXECUTED, "payload": {"reason": "Unable: InvalidJinja()"}},
        Cause.TEMPLATE,
        "could not be rendered: Unable: InvalidJinja()",
    ),
    (
        {"kind": NOT_EXECUTED, "payload": {"validation_error": "'x'  is\nno int"}},
        Cause.PARAMETERS,
        "passes on does not fit evaluate: 'x' is no int",
    ),
    (
        {"kind": NOT_EXECUTED, "payload": {"reason": "status 500", "status_code": 500}},
        Cause.ACTION_FAILED,
        "could not start evaluate: status 500",
    ),
]


@pytest.mark.parametrize(("said", "cause", "reason"), ACTIONS)
def test_an_automation_that_fired_and_started_nothing(said, cause, reason):
    """What Prefect says of it in its own events, and nowhere else."""
    about = event(EventName.MODEL_TRAINED)
    seconds = said.pop("seconds", 299)
    found = why_not(
        "evaluate", until("evaluate", reports=[report(about=about, seconds=seconds, **said)])
    )
    said["seconds"] = seconds
    assert found.cause is cause
    assert reason in found.reason


def test_a_template_that_asks_for_what_the_payload_does_not_have():
    """The parameter, its template, and what is missing."""
    action = {
        "deployment_id": "evaluate-deployment",
        "parameters": {"trained": "{{ event.payload.modl }}"},
    }
    other = changed("evaluate__automation_1", actions=[action])
    failed = report(
        NOT_EXECUTED, event(EventName.MODEL_TRAINED), payload={"reason": "InvalidJinja()"}
    )
    found = why_not("evaluate", until("evaluate", automations=other, reports=[failed]))
    assert found.reason.endswith(
        "parameter trained is '{{ event.payload.modl }}', and the payload has no modl"
    )


@pytest.mark.parametrize(
    ("template", "missing"),
    [
        ("{{ event.payload }}", ""),
        ("{{ event.payload.a.b }}", ""),
        ("{{ event.payload.a.c }}", "a.c"),
        ("{{ event.payload.a.b.c }}", "a.b.c"),
    ],
)
def test_what_a_template_asks_for_is_looked_up(template, missing):
    """As far as it goes."""
    said = unrendered({"x": template}, {"payload": {"a": {"b": 1}}})
    assert said.endswith(missing and f"has no {missing}")
    assert bool(said) == bool(missing)


def test_a_run_whose_parameters_are_spoilt_is_found_by_the_event_that_started_it():
    """It does not say of which chain it is."""
    spoilt = run("evaluate", "FAILED", "parameters", tags=[], parameters={"tained": 1})
    spoilt["id"] = "ffffffff-0000"
    about = event(EventName.MODEL_TRAINED)
    known = until("evaluate", reports=[report(EXECUTED, about, run=spoilt["id"])])
    found = why_not("evaluate", replace(known, runs=[*known.runs, spoilt]))
    assert found.cause is Cause.PARAMETERS


@pytest.mark.parametrize(
    ("labels", "state", "said"),
    [
        ({}, "COMPLETED", "then Baton announces it again by itself"),
        ({IN_VAIN_LABEL: 3}, "RUNNING", "then Baton announces it again by itself"),
        ({IN_VAIN_LABEL: 3}, "COMPLETED", "then announce it again: `prefect flow-run retry"),
        ({}, "FAILED", "then announce it again: `prefect flow-run retry train-run`"),
    ],
)
def test_how_an_event_is_announced_again(labels, state, said):
    """By recovery, as long as it may; then by whoever mended the cause."""
    message = UNHEARD if state == "FAILED" else None
    train = run("train", state, message, labels=labels)
    off = changed("evaluate__automation_1", enabled=False)
    told = [event(EventName.DATASET_READY), event(EventName.MODEL_TRAINED)]
    found = why_not("evaluate", facts(run("generate"), train, events=told, automations=off))
    assert found.cause is Cause.AUTOMATION_OFF
    assert said in found.fix


def test_the_first_cause_is_named_of_a_stage_far_down_the_chains():
    """Predictions are of a chain of their own, which the promotion begins."""
    begun = chain_begun_by(EventName.MODEL_PROMOTED, C)
    waiting = run("predict", "SCHEDULED", chain=begun)
    before = [run(one) for one in ("generate", "train", "evaluate", "promote")]
    known = facts(*before, waiting, options={"predict": {}}, takers={"predict-run": Taker()})
    asked = event(EventName.MODEL_PROMOTED, labels=PLAIN | {"baton.predict": "yes"})
    found = why_not("monitor", replace(known, events=[asked]))
    assert found.cause is Cause.NO_SERVE
    assert [check.what for check in found.checks][4].startswith("a run of predict was created")


SCHEDULED = {
    "id": "d",
    "name": "predict-taxi",
    "flow_id": "predict",
    "schedules": [{"active": False}, {"active": True}],
    "paused": False,
}
CLOCK = [
    ({"schedules": []}, [], Cause.NO_SCHEDULE, "has no schedule: events begin it, or people"),
    ({"paused": True}, [], Cause.PAUSED, "deployment predict/predict-taxi is paused"),
    (
        {"schedules": [{"active": False}]},
        [],
        Cause.PAUSED,
        "`prefect deployment schedule resume predict/predict-taxi --all`",
    ),
    ({}, [], Cause.FUTURE, "the server has made no run of predict/predict-taxi yet"),
    (
        {},
        [run("predict", "SCHEDULED", next_scheduled_start_time=ago(-60))],
        Cause.FUTURE,
        "is scheduled for 2026-03-01 12:01:00 UTC",
    ),
    ({}, [run("predict", "SCHEDULED")], Cause.NO_SERVE, "no serve process"),
]


@pytest.mark.parametrize(("change", "waiting", "cause", "said"), CLOCK)
def test_why_the_clock_does_not_run_a_deployment(change, waiting, cause, said):
    """It has no schedule, is paused, waits for its time, or nobody takes its run."""
    last = run("predict") | {"state_name": "Completed"}
    found = by_clock("predict/predict-taxi", SCHEDULED | change, waiting, last, Taker(), NOW)
    assert found.cause is cause
    assert said in found.headline
    assert found.headline.startswith("deployment predict/predict-taxi ")


def test_of_several_deployments_what_is_wrong_comes_first():
    """One that only waits for its time is no reason to get up."""
    found = [
        by_clock("p", SCHEDULED | change, waiting, None, Taker(), NOW)
        for change, waiting, _, _ in CLOCK
    ]
    assert [one.cause for one in sorted(found, key=urgency)] == [
        Cause.PAUSED,
        Cause.PAUSED,
        Cause.NO_SERVE,
        Cause.NO_SCHEDULE,
        Cause.FUTURE,
        Cause.FUTURE,
    ]


def test_every_cause_is_one_that_is_come_to():
    """No kind of diagnosis is there that nothing leads to."""
    import inspect
    import re
    import sys

    said = set(re.findall(r"Cause\.([A-Z_]+)", inspect.getsource(sys.modules[__name__])))
    assert said >= {cause.name for cause in Cause} - {"RAN"}


def test_the_guide_has_every_cause():
    """With what each means."""
    page = (ROOT / "docs/how-to/why.md").read_text("utf-8")
    assert [cause for cause in Cause if f"`{cause}`" not in page] == []
