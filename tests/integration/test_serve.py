"""What serving/serve.py makes of prefect.yaml."""

import pytest

import flows
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


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import mars.sun\n",
            "it needs the package 'mars', which is not installed: pip install mars",
        ),
        ("from json import mars\n", "ImportError: cannot import name 'mars'"),
        ("import flows.nobody\n", "ModuleNotFoundError: No module named 'flows.nobody'"),
    ],
)
def test_a_missing_dependency_is_not_called_a_missing_flow(code, said, tmp_path, monkeypatch):
    """The line says which package is missing, and what to install."""
    (tmp_path / "needy.py").write_text(code)
    monkeypatch.setattr(flows, "__path__", [*flows.__path__, str(tmp_path)])
    entry = CHAIN.deployments[0].model_copy(update={"entrypoint": "flows/needy.py:run"})
    with pytest.raises(InputError, match=r"flow flows/needy\.py:run cannot be imported") as refused:
        flow_of(entry)
    assert said in str(refused.value)
