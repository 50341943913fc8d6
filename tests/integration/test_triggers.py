"""How a trigger is compared with an event: exactly as Prefect compares them."""

from uuid import uuid4

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prefect.server.events import triggers as prefects
from prefect.server.events.schemas.automations import Automation
from prefect.server.events.schemas.events import ReceivedEvent, ResourceSpecification, matches

from baton.chain.triggers import EventTrigger, Specification, is_like

PART = st.sampled_from(["baton", "model", "data", "x", "*", "m*", "*l", "?", "[mx]odel"])
PLAIN = st.sampled_from(["baton", "model", "data", "x"])
DOTTED = st.lists(PLAIN, min_size=1, max_size=3).map(".".join)
PATTERN = st.tuples(st.sampled_from(["", "", "", "!"]), st.lists(PART, min_size=1, max_size=3))
PATTERN = PATTERN.map(lambda one: one[0] + ".".join(one[1]))
NAMES = st.sampled_from(["prefect.resource.id", "baton.tune", "prefect.resource.role"])
SPECIFICATION = st.dictionaries(NAMES, PATTERN | st.lists(PATTERN, max_size=3), max_size=2)
RESOURCE = st.fixed_dictionaries({"prefect.resource.id": DOTTED}, optional={"baton.tune": DOTTED})
ROLE = st.fixed_dictionaries({"prefect.resource.id": DOTTED, "prefect.resource.role": DOTTED})
TRIGGER = st.fixed_dictionaries(
    {
        "expect": st.lists(PATTERN, max_size=2),
        "after": st.lists(PATTERN, max_size=1),
        "match": SPECIFICATION,
        "match_related": SPECIFICATION | st.lists(SPECIFICATION, max_size=2),
    }
)
EVENT = st.fixed_dictionaries(
    {"event": DOTTED, "resource": RESOURCE, "related": st.lists(ROLE, max_size=2)}
)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(PATTERN, DOTTED)
def test_a_pattern_of_a_label(pattern, value):
    """Stars, question marks, brackets and negations."""
    assert is_like(value, pattern) == matches(pattern, value)
    assert is_like(None, pattern) == matches(pattern, None)


@MANY
@given(SPECIFICATION, RESOURCE)
def test_a_specification_of_labels(wanted, resource):
    """One value, several, none at all."""
    found = Specification.read(wanted).difference(resource)
    assert (found is None) == ResourceSpecification(wanted).matches(resource)


def _theirs(trigger, event):
    """Whether Prefect's server has a trigger take an event into account."""
    whole = {"type": "event", "posture": "Reactive", **trigger}
    one = Automation(id=uuid4(), name="n", trigger=whole, actions=[{"type": "do-nothing"}])
    received = ReceivedEvent(id=uuid4(), occurred="2026-01-01T00:00:00Z", **event)
    prefects.clear_loaded_automations()
    prefects.load_automation(one)
    found = prefects.find_interested_triggers(received)
    prefects.clear_loaded_automations()
    return any(trigger.expects(received.event) for trigger in found)


@MANY
@example(
    {"expect": ["baton.*"], "after": [], "match": {}, "match_related": {}},
    {"event": "baton.model", "resource": {"prefect.resource.id": "x"}, "related": []},
)
@given(TRIGGER, EVENT)
def test_a_trigger_of_an_automation(trigger, event):
    """By the very search that the server makes for whatever an event may fire."""
    assert EventTrigger.read(trigger).covers(event) == _theirs(trigger, event)
