"""The walk of docs/how-to/why.md: a trigger is broken, found, mended, and the chain goes on."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY
from tests.processes import wait_for

pytestmark = pytest.mark.e2e

KEPT = ("name", "description", "enabled", "trigger", "actions", "tags")


def _automation(up, name):
    found = up.post("automations/filter", {"limit": 200})
    return next({key: one[key] for key in ("id", *KEPT)} for one in found if one["name"] == name)


def _put(up, one):
    content = {key: one[key] for key in KEPT}
    up.ask("PUT", f"automations/{one['id']}", content).raise_for_status()


def _misspelt(one):
    wrong = {"match": {"prefect.resource.id": "baton.modell.*"}}
    return one | {"trigger": one["trigger"] | wrong}


@pytest.mark.long  # why: integration/test_why.py; announced again: integration/test_recovery.py
def test_a_broken_trigger_is_found_mended_and_the_event_announced_again(up):
    """By Baton itself, and by hand where it has given up."""
    whole = _automation(up, "promote__automation_1")
    _put(up, _misspelt(whole))
    with up.begin_run("-p", "rows=400", *BRIEFLY, "--json") as going:
        try:
            chain = wait_for(lambda: _evaluated(up))
            told = up.baton("why-not", "promote", "--chain", chain, "--json").json
            assert told["cause"] == "no-match"
            said = "match: prefect.resource.id is 'baton.modell.*', the event has 'baton.model.sph"
            assert said in told["reason"]
        finally:
            _put(up, whole)
        out, _ = going.communicate(timeout=300)
    made = json.loads(out)
    assert (going.returncode, made["chain"]) == (0, chain)
    evaluate = next(one for one in made["stages"] if one["stage"] == "evaluate")
    _again_by_hand(up, evaluate["flow_run_id"], chain)


def _evaluated(up):
    """Chain that is waiting for the gate, if it has come so far."""
    for one in up.baton("status", "--json").json:
        states = {stage["stage"]: stage["state"] for stage in one["stages"]}
        if states.get("evaluate") == "COMPLETED" and states.get("promote") == "WAITING":
            return one["chain"]
    return None


def _again_by_hand(up, run, chain):
    """A run that is begun again finds what it made, and announces it again."""
    prefect = str(Path(BATON[0]).with_name("prefect"))
    api = {"PREFECT_API_URL": up.api, "PREFECT_API_AUTH_STRING": ":".join(up.secret)}

    def n_told():
        events = up.baton("why", chain, "--json").json["events"]
        return sum(one["event"] == "baton.model.evaluated" for one in events)

    n_before, environment = n_told(), up.environment(**api)
    command = [prefect, "flow-run", "retry", run]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)
    wait_for(lambda: n_told() > n_before, 120, 2)
