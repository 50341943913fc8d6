"""Why a stage of a chain did not run, and why a deployment does not run by the clock.

Pure functions of facts: each walks in the order of causes and stops at the first thing that is
missing. Reading the facts belongs in ``tasks/platform/reading.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from baton.chain import handing_over, taking
from baton.chain.causes import Cause, Diagnosis, Fault, Step, concluded
from baton.chain.events import EventName, Stage
from baton.chain.facts import Facts
from baton.chain.manifest import Manifest
from baton.chain.paths import Hop, way_to
from baton.chain.runs import time_of
from baton.chain.taking import Taker
from baton.words.spans import moment
from baton.words.text import listed

_OPTIONS = {
    Stage.TUNE: "-p tune=true",
    Stage.NOTEBOOK: "-p notebook=NAME",
    Stage.PREDICT: "-p 'predict={…}'",
    Stage.GENERATE: "-p 'retrain={}'",
}
"""How a chain is asked for a stage that it does not have by itself."""

Json = dict[str, Any]


def of_stage(stage: Stage, facts: Facts, manifest: Manifest) -> Diagnosis:
    """Why a stage of a chain did not run, or that it did.

    Parameters
    ----------
    stage : Stage
        Of the chain, or of one that it begins.
    facts : Facts
    manifest : Manifest
        Says which event starts which stage.
    """
    chain = facts.begun.chain_id
    way = way_to(stage, beginning(facts), manifest, facts.labels_of)
    steps = _walked(way, facts, manifest) if way else _no_part(stage, facts, manifest)
    return concluded(f"{stage} of chain {chain}", chain, steps)


def beginning(facts: Facts) -> Hop:
    """The stage that begins the chain, and the data whose arrival did."""
    begun = facts.begun
    has_arrived = bool(facts.events_of(EventName.DATA_ARRIVED, begun.chain_id))
    event = EventName.DATA_ARRIVED if has_arrived else None
    return Hop(begun.chain_id, begun.stage, event, begun.chain_id)


def _no_part(stage: Stage, facts: Facts, manifest: Manifest) -> Iterator[Step]:
    begun = facts.begun
    stages = listed(manifest.stages(begun.stage, begun.labels), 20)
    reason = f"it is no stage of that chain, which has {stages}"
    fix = "`baton status` lists the chains and their stages"
    yield Step(f"{stage} is a stage of chain {begun.chain_id}", Fault(Cause.NO_PART, reason, fix))


def _walked(way: Sequence[Hop], facts: Facts, manifest: Manifest) -> Iterator[Step]:
    unasked = next((hop for hop in way if not hop.is_asked), None)
    if unasked:
        what = f"chain {unasked.told_in} was asked for {unasked.stage}"
        yield Step(what, _not_asked(unasked, way[-1], facts))
    for hop in way:
        run = facts.run_of(hop.chain, hop.stage)
        if run is None:
            yield from handing_over.steps(hop, facts, manifest)
        elif handing_over.is_unheard(run) or handing_over.is_told_again(run):
            yield Step(f"{hop.stage} came to its end, and nobody followed")
        else:
            deployment, taker = facts.deployment_of(run), facts.takers.get(run["id"])
            yield from taking.of_run(hop.stage, run, deployment, taker, facts.now)
    assert run is not None
    yield Step(f"{way[-1].stage} ran", _ran(run))


def _ran(run: Json) -> Fault:
    at = time_of(run["state"]["timestamp"])
    ended = run["state"].get("message") or run["state_name"]
    reason = f"run {run['id']} ended{f' at {moment(at)}' if at else ''}: {ended}"
    return Fault(Cause.RAN, reason, f"`baton why {run['id']}` says what started it")


def _not_asked(hop: Hop, last: Hop, facts: Facts) -> Fault:
    what = "it" if hop.stage is last.stage else f"{hop.stage}, which leads to it"
    option = _OPTIONS.get(hop.stage, "")
    fix = f"`baton run {facts.begun.problem or 'PROBLEM'} {option}` asks for it".replace("  ", " ")
    also = _off(hop.stage, facts)
    reason = f"chain {hop.told_in} was not asked for {what}"
    return Fault(Cause.NOT_ASKED, f"{reason}{f', and {also}' if also else ''}", fix)


def _off(stage: Stage, facts: Facts) -> str:
    """What keeps the clock from running a stage for the chain's problem; empty if nothing does."""
    for one in facts.deployments_of(stage):
        if one["schedules"] and one["parameters"].get("problem") == facts.begun.problem:
            faults = [step.fault for step in _switched(_named(one, stage), one) if step.fault]
            return faults[0].reason if faults else ""
    return ""


def by_clock(
    name: str,
    deployment: Json,
    waiting: Sequence[Json],
    last: Json | None,
    taker: Taker,
    now: datetime,
) -> Diagnosis:
    """Why a deployment does not run by the clock.

    Parameters
    ----------
    name : str
        Of the deployment, with its flow's: ``predict/predict-taxi``.
    deployment : dict
    waiting : sequence of dict
        Its runs that are scheduled, the next one first.
    last : dict or None
        Its latest run that was taken.
    taker : Taker
        Who takes its runs.
    now : datetime
    """
    steps = _by_clock(name, deployment, waiting, last, taker, now)
    return concluded(f"deployment {name}", "", steps)


def urgency(found: Diagnosis) -> int:
    """How soon a diagnosis is to be read, of several: what only waits for its time comes last."""
    return int(found.cause in {Cause.FUTURE, Cause.GOING}) + int(found.cause is Cause.NO_SCHEDULE)


def _by_clock(
    name: str,
    deployment: Json,
    waiting: Sequence[Json],
    last: Json | None,
    taker: Taker,
    now: datetime,
) -> Iterator[Step]:
    yield from _switched(name, deployment)
    if last:
        yield Step(f"its run before is {last['state_name'].lower()}: {last['id']}")
    soon = "see that the server's scheduler runs"
    none = Fault(Cause.FUTURE, f"the server has made no run of {name} yet", soon)
    yield Step("its next run is made", None if waiting else none)
    yield from taking.of_run(name, waiting[0], deployment, taker, now)


def _switched(name: str, deployment: Json) -> Iterator[Step]:
    """Look whether a deployment has a schedule, and is on."""
    schedules = deployment["schedules"]
    by_hand = "schedules stand in prefect.yaml; `--chain CHAIN` asks about a chain"
    none = Fault(Cause.NO_SCHEDULE, f"{name} has no schedule: events begin it, or people", by_hand)
    yield Step(f"{name} has a schedule", None if schedules else none)
    page = "switch it on on Prefect's page of the deployment"
    paused = Fault(Cause.PAUSED, f"deployment {name} is paused", page)
    yield Step(f"deployment {name} is not paused", paused if deployment["paused"] else None)
    resume = f"`prefect deployment schedule resume {name} --all`"
    off = Fault(Cause.PAUSED, f"the schedule of {name} is off", resume)
    is_on = any(one["active"] for one in schedules)
    yield Step(f"the schedule of {name} is on", None if is_on else off)


def _named(deployment: Json, flow: str) -> str:
    return f"{flow}/{deployment['name']}"
