"""Why an event started no run: the event, the automation, its trigger and what that did.

Pure functions, in the order in which one leads to the next; a run that is there belongs in
``baton.chain.taking``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from baton.chain.causes import LOOK_AGAIN, Cause, Fault, Step
from baton.chain.events import EventName, registered_name
from baton.chain.facts import EXECUTED, NOT_EXECUTED, Facts, Report
from baton.chain.manifest import Manifest
from baton.chain.paths import Hop
from baton.chain.recovery import ATTEMPTS, FORGOTTEN, UNHEARD
from baton.chain.runs import IN_VAIN_LABEL, OPEN_TAG, announced_in, time_of
from baton.chain.triggers import ID, Automation
from baton.words.spans import moment, said
from baton.words.text import listed

JUST = timedelta(seconds=15)
"""A server may write an event, and what it did about it, so much later."""

_GOING = {"SCHEDULED", "PENDING", "RUNNING"}
_DEPLOY = "start `baton up`, or `baton deploy`"
_FIELD = re.compile(r"\bevent\.payload((?:\.\w+)+)")

Json = dict[str, Any]


def steps(hop: Hop, facts: Facts, manifest: Manifest) -> Iterator[Step]:
    """Look for what did not start a stage; the last step has a fault.

    Parameters
    ----------
    hop : Hop
        The stage, and the event that should have started it.
    facts : Facts
    manifest : Manifest
        Says which other events start the stage.
    """
    if hop.event is None:
        yield Step(f"{hop.stage} was begun", _not_begun(hop))
        return
    events = facts.events_of(hop.event, hop.told_in)
    yield from _announced(hop, facts, events)
    last, about = events[-1], facts.about(events, facts.deployments_of(hop.stage))
    yield Step(f"{_what(last)} came at {_at(last)}")
    if not about:
        yield from _listening(hop, facts, manifest, last)
    else:
        yield Step(f"automation {about[-1].name} fired on it")
        yield from _done(hop, facts, last, about)


def _not_begun(hop: Hop) -> Fault:
    return Fault(
        Cause.NOT_ANNOUNCED,
        f"nothing that the server knows has begun chain {hop.chain}",
        "`baton arrivals` says what became of what arrived; else run it again",
    )


def _announced(hop: Hop, facts: Facts, events: Sequence[Json]) -> Iterator[Step]:
    """Look whether the event is there; one that is speaks for itself."""
    assert hop.event is not None
    if events:
        return
    name, run = hop.event.value, facts.run_of(hop.told_in, hop.before) if hop.before else None
    if run is None:
        yield Step(f"{name} came", _not_begun(hop))
        return
    message = run["state"].get("message") or ""
    was_told = is_unheard(run) or is_told_again(run)
    told = hop.event if was_told else announced_in(message)
    if told is hop.event:
        yield Step(f"{hop.before} announced {name}")
        yield Step(f"{name} came", _vanished(hop, facts, run))
    elif told:
        yield Step(f"{hop.before} announced {name}", _other(hop, facts, told))
    else:
        reason = f"{hop.before} completed and announced nothing: {message or 'it says no reason'}"
        yield Step(f"{hop.before} announced {name}", Fault(Cause.NOT_ANNOUNCED, reason, ""))


def _vanished(hop: Hop, facts: Facts, run: Json) -> Fault:
    """What is missing where an event was announced that the server does not show."""
    ended = time_of(run["state"]["timestamp"]) or facts.now
    what = f"{hop.event} that {hop.before} announced"
    if facts.now - ended < JUST:
        return Fault(Cause.GOING, f"{what} has not been written yet", LOOK_AGAIN)
    if facts.now - ended > FORGOTTEN:
        reason = f"{what} is forgotten: a server keeps events for {said(FORGOTTEN)}"
        return Fault(Cause.NO_EVENT, reason, again(run))
    return Fault(Cause.NO_EVENT, f"{what} is not on the server", again(run))


def _other(hop: Hop, facts: Facts, told: EventName) -> Fault:
    """What is missing where a stage announced something else, such as a rejection."""
    events = facts.events_of(told, hop.told_in)
    payload: Json = events[-1]["payload"] if events else {}
    why = payload.get("reason") or f"it announced {told}"
    if told is EventName.MODEL_REJECTED:
        fix = f"`baton report {hop.told_in}` shows it; {_otherwise(payload)} decides otherwise"
        return Fault(Cause.REJECTED, f"the gate rejected the model: {why}", fix)
    if held := payload.get("held_back"):
        return Fault(Cause.HELD_BACK, f"drift was found and is held back: {held}", "wait for it")
    if told is EventName.PREDICTIONS_MONITORED:
        reason = f"monitor found no drift: {why}"
        return Fault(Cause.NO_DRIFT, reason, "nothing is to be done, while that is so")
    return Fault(Cause.NOT_ANNOUNCED, f"{hop.before} announced {told} in place of {hop.event}", "")


def _otherwise(rejected: Json) -> str:
    """Command by which a person has a rejected model promoted."""
    model, problem = rejected.get("model") or {}, rejected.get("problem", "PROBLEM")
    own = str(model.get("name", "")).removeprefix(registered_name(problem)).removeprefix("-")
    version = model.get("version", "N")
    return f"`baton promote {own or problem} --version {version} --reason …`"


def is_unheard(run: Json) -> bool:
    """Tell whether a run came to its end and was given up because nobody followed."""
    return bool(run["state"].get("message") == UNHEARD)


def is_told_again(run: Json) -> bool:
    """Tell whether a run that came to its end is begun again because nobody followed."""
    return _n_in_vain(run) > 0 and run["state_type"] in _GOING


def _n_in_vain(run: Json) -> int:
    return int(run["labels"].get(IN_VAIN_LABEL, 0))


def again(run: Json | None) -> str:
    """How what a run announced is announced again, once what was wrong is mended."""
    if run is None:
        return "`baton announce` it again"
    is_open = run["state_type"] == "COMPLETED" and OPEN_TAG in run["tags"]
    if is_told_again(run) or (is_open and _n_in_vain(run) < ATTEMPTS):
        return "then Baton announces it again by itself, within a few minutes"
    return f"then announce it again: `prefect flow-run retry {run['id']}`"


def _listening(hop: Hop, facts: Facts, manifest: Manifest, event: Json) -> Iterator[Step]:
    """Look whether there is an automation that should have fired."""
    retold = again(facts.run_of(hop.told_in, hop.before) if hop.before else None)
    deployments = facts.deployments_of(hop.stage)
    none = Fault(
        Cause.NOT_DEPLOYED, f"{hop.stage} is not deployed on this server", f"{_DEPLOY}; {retold}"
    )
    yield Step(f"{hop.stage} is deployed", None if deployments else none)
    targets = {one["id"] for one in deployments}
    own = [one for one in facts.automations if one.starts & targets]
    heard = [one for one in own if not _hears_another(one, hop, manifest)]
    nearest = min(heard, key=lambda one: _distance(one, event), default=None)
    yield Step(
        f"an automation starts {hop.stage} on {hop.event}",
        None if nearest else _unheard(hop, own, retold),
    )
    assert nearest is not None
    yield from _fitting(facts, nearest, event, retold)


def _hears_another(one: Automation, hop: Hop, manifest: Manifest) -> bool:
    """Tell whether an automation is there for another event that starts the same stage."""
    others = {
        event.value
        for deployment in manifest.deployments
        if deployment.flow_name == hop.stage
        for trigger in deployment.triggers
        for event in trigger.expect
    } - {str(hop.event)}
    names = {name for trigger in one.triggers for name in trigger.expect}
    return bool(names) and names <= others


def _distance(one: Automation, event: Json) -> tuple[int, bool]:
    return len(one.differences(event)), not one.is_enabled


def _unheard(hop: Hop, own: Sequence[Automation], retold: str) -> Fault:
    heard = listed(sorted({name for one in own for t in one.triggers for name in t.expect}))
    beside = f"; those there are wait for {heard}" if heard else ""
    reason = f"no automation starts {hop.stage} on {hop.event}{beside}"
    return Fault(Cause.NO_AUTOMATION, reason, f"{_DEPLOY}, which makes it; {retold}")


def _fitting(facts: Facts, one: Automation, event: Json, retold: str) -> Iterator[Step]:
    """Look whether an automation is on, fits the event, and was there in time."""
    on = f"`prefect automation resume --id {one.id}`; {retold}"
    off = Fault(Cause.AUTOMATION_OFF, f"automation {one.name} is off", on)
    yield Step(f"automation {one.name} is on", None if one.is_enabled else off)
    differences = one.differences(event)
    mend = f"mend the trigger in prefect.yaml and {_DEPLOY}; {retold}"
    wrong = f"the trigger of {one.name} does not match {_what(event)}: "
    unlike = [Fault(Cause.NO_MATCH, f"{wrong}{listed(differences)}", mend)] if differences else []
    yield Step(f"its trigger matches {_what(event)}", next(iter(unlike), None))
    yield Step("it fires on every event", _swallowed(facts, one, event, retold))
    came = time_of(event["occurred"])
    is_late = bool(one.since and came and one.since > came)
    late = f"automation {one.name} was made or changed at {one.since and moment(one.since)}"
    fault = Fault(Cause.TOO_LATE, f"{late}, after {_what(event)} came at {_at(event)}", retold)
    yield Step("it was there before the event", fault if is_late else None)
    yield Step("it fired", _unfired(facts, one, event, retold))


def _swallowed(facts: Facts, one: Automation, event: Json, retold: str) -> Fault | None:
    """What is missing where a trigger fires once within a time, and had fired."""
    came, longest = time_of(event["occurred"]), max(t.within for t in one.triggers)
    fired = [report.at for report in facts.reports if report.automation == one.id and report.at]
    before = [at for at in fired if came and at <= came + JUST and came - at < _seconds(longest)]
    if not longest or not before:
        return None
    reason = (
        f"automation {one.name} fires once within {said(_seconds(longest))}, and had fired"
        f" at {moment(max(before))}"
    )
    return Fault(Cause.SWALLOWED, reason, f"set within: 0 in prefect.yaml and {_DEPLOY}; {retold}")


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def _unfired(facts: Facts, one: Automation, event: Json, retold: str) -> Fault:
    came = time_of(event.get("received") or event["occurred"]) or facts.now
    if facts.now - came < JUST:
        reason = f"{_what(event)} has just come, at {_at(event)}"
        return Fault(Cause.GOING, reason, LOOK_AGAIN)
    reason = f"{_what(event)} came, and automation {one.name} did not fire on it"
    return Fault(Cause.LOST, f"{reason}: the server ended, or was busy, in between", retold)


def _done(hop: Hop, facts: Facts, event: Json, about: Sequence[Report]) -> Iterator[Step]:
    """Look at what an automation that fired has done."""
    retold = again(facts.run_of(hop.told_in, hop.before) if hop.before else None)
    ended = [one for one in about if one.event in {EXECUTED, NOT_EXECUTED}]
    last = ended[-1] if ended else about[-1]
    if last.event == NOT_EXECUTED:
        yield Step(f"it started a run of {hop.stage}", _not_done(hop, facts, event, last, retold))
    elif last.event == EXECUTED:
        yield Step(f"it started run {last.run}")
        gone = f"run {last.run} of {hop.stage} was deleted"
        yield Step("that run is there", Fault(Cause.ACTION_FAILED, gone, retold))
    elif last.at and facts.now - last.at < JUST:
        soon = Fault(Cause.GOING, f"automation {last.name} has just fired", LOOK_AGAIN)
        yield Step(f"it started a run of {hop.stage}", soon)
    else:
        reason = (
            f"automation {last.name} fired, and nothing came of it: the server ended in between"
        )
        yield Step(f"it started a run of {hop.stage}", Fault(Cause.LOST, reason, retold))


def _not_done(hop: Hop, facts: Facts, event: Json, last: Report, retold: str) -> Fault:
    """What is missing where an automation fired and its action failed."""
    status, mend = last.payload.get("status_code"), f"mend it in prefect.yaml and {_DEPLOY}"
    if last.payload.get("validation_error"):
        reason = f"what automation {last.name} passes on does not fit {hop.stage}: {last.reason}"
        return Fault(Cause.PARAMETERS, reason, f"{mend}; {retold}")
    automation = next((one for one in facts.automations if one.id == last.automation), None)
    if status is None and automation:
        reason = f"what automation {last.name} passes on could not be rendered"
        wrong = unrendered(automation.templates, event) or last.reason
        return Fault(Cause.TEMPLATE, f"{reason}: {wrong}", f"{mend}; {retold}")
    reason = f"automation {last.name} could not start {hop.stage}: {last.reason}"
    return Fault(Cause.ACTION_FAILED, reason, retold)


def unrendered(templates: Mapping[str, str], event: Json) -> str:
    """Which template asks an event for what it does not have; empty if none does.

    Parameters
    ----------
    templates : mapping of str to str
        By parameter of the flow.
    event : dict

    Examples
    --------
    >>> unrendered({"data": "{{ event.payload.dta }}"}, {"payload": {"data": 1}})
    "parameter data is '{{ event.payload.dta }}', and the payload has no dta"
    """
    for name, template in templates.items():
        for path in _FIELD.findall(template):
            if missing := _missing(path.split(".")[1:], event["payload"]):
                return f"parameter {name} is {template!r}, and the payload has no {missing}"
    return ""


def _missing(path: Sequence[str], value: Any) -> str:
    """Beginning of a path up to what is not there; empty if all of it is."""
    for place, name in enumerate(path, 1):
        if not isinstance(value, dict) or name not in value:
            return ".".join(path[:place])
        value = value[name]
    return ""


def _what(event: Json) -> str:
    """An event, and what it is about."""
    return f"{event['event']} of {event['resource'][ID]}"


def _at(event: Json) -> str:
    at = time_of(event["occurred"])
    return moment(at) if at else "a time that nobody knows"
