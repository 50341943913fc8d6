"""What started what, and where the time went."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton.chain.facts import EXECUTED, FIRED, Report
from baton.chain.origins import PHASES, Origin, Story, account, occurrence, origin_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = {
    "id": "r2",
    "flow_id": "train",
    "name": "train iris",
    "created": "2026-03-01T11:00:01Z",
    "created_by": {"type": "AUTOMATION", "display_value": "train__automation_1"},
    "tags": ["chain:c"],
    "labels": {},
    "parameters": {"data": {"chain": "c", "problem": "iris"}},
    "state_type": "COMPLETED",
    "state": {"message": "announced \n it"},
    "run_count": 1,
}
EVENT = {
    "id": "e1",
    "event": "baton.dataset.ready",
    "occurred": "2026-03-01T11:00:00Z",
    "resource": {"prefect.resource.id": "baton.dataset.iris", "baton.chain": "c"},
    "related": [
        {"prefect.resource.id": "prefect.flow-run.r1", "prefect.resource.role": "flow-run"}
    ],
    "payload": {"chain": "c", "problem": "iris"},
}


def report(kind, **more):
    at = NOW - timedelta(minutes=59, seconds=59.5)
    known = {"about": "e1", "run": "r2", "deployment": "d"} | more
    return Report(kind, at, "a", "train__automation_1", **known)


def test_an_event_starts_a_run_by_what_prefect_reports():
    """The automation, the event, its chain, and the run that announced it."""
    found = origin_of(RUN, [report(EXECUTED)], [EVENT])
    assert found == Origin(
        kind="event",
        event_id="e1",
        event="baton.dataset.ready",
        automation="train__automation_1",
        chain="c",
        run="r1",
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"data": EVENT["payload"]},
        {"order": {"chain": "d", "options": {}}},
        {"data": {"a": 1}, "gate": {}},
    ],
)
def test_where_the_report_is_lost_the_payload_tells(parameters):
    """All of it, its data, or the order of another chain, as the run was given it."""
    told = EVENT["payload"] | {"generate": {"chain": "d", "options": {}}, "data": {"a": 1}}
    given = {"data": told} if parameters == {"data": EVENT["payload"]} else parameters
    found = origin_of(RUN | {"parameters": given}, [], [EVENT | {"payload": told}])
    assert (found.event_id, found.automation, found.run) == ("e1", "train__automation_1", "r1")


def test_an_event_that_is_forgotten_leaves_the_automation():
    """And one that came later, or said something else, is not taken for it."""
    later = EVENT | {"occurred": "2026-03-01T11:00:02Z"}
    other = EVENT | {"payload": {"chain": "x"}}
    for events in ([], [later], [other]):
        found = origin_of(RUN, [], events)
        assert (found.kind, found.event, found.automation) == ("event", "", "train__automation_1")


@pytest.mark.parametrize(
    ("change", "parent", "kind"),
    [
        ({"created_by": None}, "", "hand"),
        ({"created_by": None, "tags": ["auto-scheduled"]}, "", "schedule"),
        ({"created_by": {"type": "SCHEDULE"}, "tags": ["auto-scheduled"]}, "", "schedule"),
        ({}, "r0", "run"),
    ],
)
def test_what_no_event_started(change, parent, kind):
    """A person or program, the clock, or the run that it is part of."""
    assert origin_of(RUN | change, [], [EVENT], parent).kind == kind


def _states(*given):
    """States at seconds after 11:00."""
    at = datetime(2026, 3, 1, 11, tzinfo=UTC)
    return [
        {"type": kind, "timestamp": (at + timedelta(seconds=seconds)).isoformat()}
        for kind, seconds in given
    ]


def _account(run, *states, first_line="", about=(), events=()):
    origin = Origin(kind="event", event_id="e1") if events else Origin(kind="hand")
    told = {"states": _states(*states), "first_line": first_line, "about": about}
    return account(run, "train", origin, **told, events=events, now=NOW)


def test_where_the_time_of_a_run_went():
    """From the event to the end, phase by phase, each once."""
    line = ("SCHEDULED", 1), ("PENDING", 2), ("RUNNING", 4), ("COMPLETED", 10)
    found = _account(
        RUN,
        *line,
        first_line="2026-03-01T11:00:04.250Z",
        about=[report(FIRED), report(EXECUTED)],
        events=[EVENT],
    )
    assert found.seconds == {
        "firing": 0.5,
        "creating": 0.5,
        "waiting": 1.0,
        "pending": 2.0,
        "starting": 0.25,
        "working": 5.75,
    }
    assert sum(found.seconds.values()) == 10.0
    assert found.moments.ended == datetime(2026, 3, 1, 11, 0, 10, tzinfo=UTC)
    assert (found.message, found.problem, found.chain) == ("announced it", "iris", "c")


def test_a_run_that_crashed_waited_for_a_person_and_was_begun_again():
    """Nothing of it is left out."""
    line = [("SCHEDULED", 1), ("PENDING", 2), ("RUNNING", 3), ("CRASHED", 5), ("SCHEDULED", 25)]
    line += [("PENDING", 26), ("RUNNING", 27), ("PAUSED", 30), ("SCHEDULED", 90)]
    line += [("PENDING", 91), ("RUNNING", 92), ("COMPLETED", 95)]
    found = _account(RUN | {"run_count": 3}, *line)
    assert found.seconds == {
        "waiting": 3.0,
        "pending": 3.0,
        "working": 8.0,
        "paused": 60.0,
        "down": 20.0,
    }
    assert found.n_begun == 3


def test_a_run_that_goes_on_is_counted_until_now():
    """And one that crashed is not at work any more."""
    going = RUN | {"state_type": "RUNNING"}
    assert _account(going, ("RUNNING", 0)).seconds == {"working": 3600.0}
    assert _account(going, ("RUNNING", 0)).moments.ended is None
    crashed = RUN | {"state_type": "CRASHED"}
    assert _account(crashed, ("RUNNING", 0), ("CRASHED", 5)).seconds == {"working": 5.0}


@given(st.lists(st.integers(-50, 50), min_size=3, max_size=6))
def test_clocks_that_differ_make_no_time_negative(seconds):
    """Event, server and process may be on three machines."""
    line = zip(["SCHEDULED", "PENDING", "RUNNING"], seconds, strict=False)
    found = _account(RUN, *line, about=[report(FIRED)], events=[EVENT])
    assert all(value >= 0 for value in found.seconds.values())
    assert list(found.seconds) == [phase for phase in PHASES if phase in found.seconds]


def test_an_event_is_told_with_what_it_started():
    """Runs that are told of, runs that only Prefect reports, and another chain."""
    told = EVENT | {"payload": EVENT["payload"] | {"predict": {"chain": "d"}}}
    one = _account(RUN, ("RUNNING", 0), events=[EVENT])
    found = occurrence(told, {"r2": one}, [report(EXECUTED, run="r3"), report(FIRED, run="")])
    assert (found.starts, found.begins, found.run) == (("r3", "r2"), "d", "r1")
    assert occurrence(told, {}, []).begins == ""


def test_a_story_says_what_took_longest():
    """And nothing of what has not begun."""
    assert Story(subject="s", runs=(), events=()).longest is None
    runs = [
        _account(RUN, ("PENDING", 0), ("RUNNING", 2), ("COMPLETED", 3)),
        _account(RUN | {"id": "r3"}, ("PENDING", 0), ("RUNNING", 1), ("COMPLETED", 9)),
    ]
    story = Story(subject="s", runs=tuple(runs), events=())
    run, phase = story.longest
    assert (run.flow_run_id, phase) == ("r3", "working")
    assert story.seconds == {"pending": 3.0, "working": 9.0}
    assert (story.ended - story.began).total_seconds() == 8.0
