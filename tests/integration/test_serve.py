"""What serving/serve.py makes of prefect.yaml, and the processes of its runs."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client

import flows
from baton.chain import manifest
from baton.errors import InputError
from serving.serve import flow_of, to_deployment
from tasks.platform.upkeep import drop_twins
from tests.conftest import ROOT
from tests.processes import is_alive, wait_for

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


def test_of_automations_that_two_made_at_once_one_is_left(prefect, event_loop_run):
    """The same one, whoever looks; of every trigger, and whatever is somebody else's stays."""
    (entry,) = [one for one in CHAIN.deployments if one.name == "train"]
    deployment = event_loop_run(to_deployment(entry))
    event_loop_run(deployment.aapply())
    with get_client(sync_client=True) as client:
        for trigger in deployment.triggers:
            client.create_automation(trigger.as_automation())
        foreign = deployment.triggers[0].as_automation()
        foreign.trigger.expect = {"somebody.else"}
        client.create_automation(foreign)
        names = [trigger.name for trigger in deployment.triggers]
        assert sorted(drop_twins()) == sorted(names)
        assert drop_twins() == []
        for _ in range(6):  # and if two look at once
            client.create_automation(deployment.triggers[0].as_automation())
        with ThreadPoolExecutor() as pool:
            both = [pool.submit(copy_context().run, drop_twins) for _ in range(2)]
            assert all(set(one.result()) <= set(names) for one in both)
        left = sorted(one.name for one in client.read_automations() if one.name in names)
        assert left == sorted([*names, foreign.name])


def test_a_schedule_that_is_no_longer_declared_is_gone(prefect, event_loop_run):
    """So are the parameters: the server has what prefect.yaml says, and nothing of before."""
    by_name = {one.name: one for one in CHAIN.deployments}
    of_old = {name: getattr(by_name["predict-taxi"], name) for name in ("schedules", "parameters")}
    event_loop_run(event_loop_run(to_deployment(by_name["predict-taxi"])).aapply())
    old = by_name["predict"].model_copy(update=of_old)
    made = event_loop_run(event_loop_run(to_deployment(old)).aapply())
    event_loop_run(event_loop_run(to_deployment(by_name["predict"])).aapply())
    with get_client(sync_client=True) as client:
        found = client.read_deployment(made)
        assert (found.schedules, found.parameters) == ([], {})
        (taxi,) = [one for one in client.read_deployments() if one.name == "predict-taxi"]
        assert [one.schedule.cron for one in taxi.schedules] == ["0 * * * *"]


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


STARTER = """
import os, subprocess, sys, time
os.environ["BATON_PARENT_PID"] = str(os.getpid())
print(subprocess.Popen([sys.executable, "-m", "serving.engine"]).pid, flush=True)
time.sleep(600)
"""


def test_a_run_on_its_way_ends_with_the_process_that_started_it():
    """Also while it imports, or waits for a server that says nothing, before its first line."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        run = {"PREFECT_API_URL": api, "PREFECT__FLOW_RUN_ID": str(uuid4())}
        command = [sys.executable, "-c", STARTER]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=os.environ | run, cwd=ROOT
        ) as starter:
            pid = int(starter.stdout.readline())
            silent.settimeout(120)
            asking, _ = silent.accept()  # its imports are done
            starter.kill()
        try:
            with asking:
                wait_for(lambda: not is_alive(pid), 20)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
