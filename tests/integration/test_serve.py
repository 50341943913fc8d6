"""What serving/serve.py makes of prefect.yaml."""

import pytest

from baton.chain import manifest
from baton.errors import InputError
from serving.serve import flow_of, to_deployment
from tests.conftest import ROOT

CHAIN = manifest.read(ROOT / "prefect.yaml")


@pytest.mark.parametrize("entry", CHAIN.deployments, ids=lambda entry: entry.name)
def test_every_entry_becomes_a_deployment_with_all_it_says(entry, event_loop_run):
    """Name, parameters, triggers, schedules and enforcement are those of prefect.yaml."""
    made = event_loop_run(to_deployment(entry))
    assert made.name == entry.name
    assert made.flow_name == entry.flow_name
    assert made.parameters == entry.parameters
    assert made.enforce_parameter_schema == entry.enforce_parameter_schema
    assert [set(t.expect) for t in made.triggers] == [
        {event.value for event in t.expect} for t in entry.triggers
    ]
    assert all(t.within.total_seconds() == 0 for t in made.triggers)
    assert len(made.schedules or []) == len(entry.schedules)


def test_an_entry_without_a_flow_is_refused():
    """A misspelt entry point is one line at the start, not a failed run later."""
    entry = CHAIN.deployments[0].model_copy(update={"entrypoint": "flows/nobody.py:run"})
    with pytest.raises(InputError, match="there is no flow"):
        flow_of(entry)
