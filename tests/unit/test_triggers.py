"""How a trigger is compared with an event; with Prefect's own rules in tests/integration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton.chain.triggers import Automation, EventTrigger, Specification, is_like

EVENT = {
    "event": "baton.model.trained",
    "resource": {"prefect.resource.id": "baton.model.iris", "baton.tune": "no"},
    "related": [{"prefect.resource.id": "prefect.flow-run.1", "prefect.resource.role": "flow-run"}],
}
TRIGGER = {
    "type": "event",
    "match": {"prefect.resource.id": "baton.model.*"},
    "match_related": {},
    "after": [],
    "expect": ["baton.model.trained"],
    "posture": "Reactive",
    "threshold": 1,
    "within": 0.0,
}
WORDS = st.text("abc.", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("iris", ["iris"], ["Iris", "iris2", "", None]),
        ("*", ["iris", ""], [None]),
        ("baton.*", ["baton.", "baton.model.iris"], ["baton", "xbaton.model"]),
        ("!iris", ["taxi", ""], ["iris", None]),
        ("!baton.*", ["prefect.x"], ["baton.x", None]),
    ],
)
def test_a_pattern_means_what_it_says(pattern, meant, not_meant):
    """A star is anything, an exclamation mark is not, and what is not there is never meant."""
    assert [is_like(one, pattern) for one in meant] == [True] * len(meant)
    assert [is_like(one, pattern) for one in not_meant] == [False] * len(not_meant)


@given(WORDS, WORDS)
def test_a_negation_means_all_that_the_pattern_does_not(value, pattern):
    """Whatever the pattern is."""
    assert is_like(value, pattern) != is_like(value, f"!{pattern}")


@given(WORDS, st.text("abc.", max_size=8))
def test_a_prefix_means_all_that_begins_so(prefix, rest):
    """The star stands for nothing, too."""
    assert is_like(prefix + rest, f"{prefix}*")
    assert not is_like(f"x{prefix}{rest}", f"{prefix}*")


@given(WORDS, st.lists(WORDS, max_size=4))
def test_several_values_mean_any_of_them(value, values):
    """And none means nothing."""
    wanted = Specification.read({"name": values})
    assert (wanted.difference({"name": value}) is None) == (value in values)


@pytest.mark.parametrize(
    ("change", "field", "wanted", "got"),
    [
        ({"expect": ["baton.model.evaluated"]}, "expect", "baton.model.evaluated", EVENT["event"]),
        ({"expect": ["!baton.drift"]}, "expect", "!baton.drift", EVENT["event"]),
        (
            {"match": {"prefect.resource.id": "baton.modell.*"}},
            "match: prefect.resource.id",
            "baton.modell.*",
            "baton.model.iris",
        ),
        ({"match": {"baton.tune": ["yes", "maybe"]}}, "match: baton.tune", "yes or maybe", "no"),
        ({"match": {"baton.period": "2021"}}, "match: baton.period", "2021", ""),
        (
            {"match_related": {"prefect.resource.role": "flow"}},
            "match_related: prefect.resource.role",
            "flow",
            "flow-run",
        ),
        (
            {"match_related": [{}, {"prefect.resource.id": "x", "prefect.resource.role": "flow"}]},
            "match_related: prefect.resource.id",
            "x",
            "prefect.flow-run.1",
        ),
        ({"posture": "Proactive"}, "posture", "Proactive", "Reactive: it came"),
        ({"after": ["baton.a", "baton.b"]}, "after", "baton.a or baton.b", EVENT["event"]),
        ({"threshold": 3}, "threshold", "3 events", "1 event"),
    ],
)
def test_the_field_that_differs_is_named(change, field, wanted, got):
    """With what the trigger says there, and what the event has."""
    found = EventTrigger.read(TRIGGER | change).mismatch(EVENT)
    assert (found.field, found.wanted, found.got) == (field, wanted, got)
    assert repr(wanted) in str(found)


@pytest.mark.parametrize(
    "change",
    [{}, {"expect": []}, {"expect": ["baton.*"]}, {"match": {}}, {"match_related": [{}, {}]}],
)
def test_a_trigger_that_fits_differs_nowhere(change):
    """An empty expectation, or specification, means all."""
    assert EventTrigger.read(TRIGGER | change).mismatch(EVENT) is None


def test_an_event_without_related_resources_is_told_by_what_is_wanted():
    """Nothing is there that could be."""
    found = EventTrigger.read(TRIGGER | {"match_related": {"a": "b"}}).mismatch(
        EVENT | {"related": []}
    )
    assert str(found) == "match_related: a is 'b', the event has nothing there"
    assert found.label == ""


def _automation(**change):
    action = {"type": "run-deployment", "deployment_id": "d", "parameters": {"x": "{{ event }}"}}
    content = {"id": "1", "name": "n", "enabled": True, "trigger": TRIGGER, "actions": [action]}
    return Automation.read(content | change)


def test_an_automation_is_read_as_the_server_gives_it():
    """Which deployments it starts, and with what."""
    one = _automation(updated="2026-01-01T00:00:00Z", actions_on_trigger=[])
    assert (one.starts, dict(one.templates)) == (frozenset({"d"}), {"x": "{{ event }}"})
    assert one.since.year == 2026
    assert one.differences(EVENT) == []


def test_a_trigger_that_is_composed_of_others_is_judged_by_the_nearest_of_them():
    """One that fits is not enough: the automation waits for the others."""
    other = TRIGGER | {"expect": ["baton.drift.detected"], "posture": "Proactive"}
    composed = {"type": "compound", "require": "all", "within": 60}
    (found,) = _automation(trigger=composed | {"triggers": [other, TRIGGER]}).differences(EVENT)
    assert str(found) == "type is 'compound of 2 triggers', the event has 'one event'"
    near = TRIGGER | {"match": {"baton.tune": "yes"}}
    (found,) = _automation(trigger=composed | {"triggers": [other, near]}).differences(EVENT)
    assert found.label == "baton.tune"
