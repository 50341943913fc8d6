"""Asking the Prefect server which chains are not over, and what they may need."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from baton.chain.events import Stage, labels_in
from baton.chain.leftovers import Busy, text_of
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.recovery import AHEAD, FORGOTTEN
from baton.chain.runs import OPEN_TAG, SCHEDULED_TAG, announced_in, chain_id_of_run, problem_of
from tasks.platform import api
from tasks.platform.events import access

_TRAINING = (Stage.GENERATE, Stage.TUNE, Stage.TRAIN, Stage.EVALUATE, Stage.PROMOTE)
"""Stages of a chain that may end with another champion."""

_MOST_RUNS = 200


def chain_going(problem: str) -> str:
    """Id of a chain of the problem that is not over; empty if there is none.

    A run that is due has no tags yet, one that crashed is begun again, and one that completed may
    be followed in a moment: they count. A schedule's runs of later do not.
    """
    with api.Client(access()) as client:
        found, stages = _not_over(client, _TRAINING)
    mine = [run for run in found if problem_of(run["parameters"]) == problem]
    decided = {chain_id_of_run(run) for run in mine if _is_decided(run, stages)}
    return next((one for one in map(chain_id_of_run, mine) if one not in decided), "")


def _not_over(
    client: api.Client, of: Iterable[Stage]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Runs of chains that may go on, and the names of their flows by id."""
    flows = {"name": {"any_": [stage.value for stage in of]}}
    now = datetime.now(UTC)
    going = {"state": {"type": {"any_": ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]}}}
    due = {
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "next_scheduled_start_time": {"before_": (now + AHEAD).isoformat()},
    }
    again = {
        "state": {"type": {"any_": ["CRASHED"]}},
        "end_time": {"after_": (now - FORGOTTEN).isoformat()},
    }
    handed = {"tags": {"all_": [OPEN_TAG]}, "state": {"type": {"any_": ["COMPLETED"]}}}
    found: list[dict[str, Any]] = []
    for conditions in (going, due, again, handed):
        found += _paged(client, {"flows": flows, "flow_runs": conditions})
    names = {one["id"]: one["name"] for one in client.post("flows/filter", {"flows": flows})}
    return found, names


def _paged(client: api.Client, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    order = {"limit": _MOST_RUNS, "sort": "ID_DESC"}
    while True:
        page = client.post("flow_runs/filter", wanted | order | {"offset": len(found)})
        found += page
        if len(page) < _MOST_RUNS:
            return found


def busy(client: api.Client, declared: Manifest) -> Busy:
    """What chains that are not over may need of results and files.

    One that waits for a person needs what its runs name. Of one that is at work any result of its
    problem may be needed, also where its last stage has just announced.

    Parameters
    ----------
    client : Client
    declared : Manifest
        Says which stage follows which event.
    """
    found, _ = _not_over(client, Stage)
    runs = [run for run in found if _goes_on(run, declared)]
    at_work = [run for run in runs if run["state_type"] != "PAUSED"]
    return Busy(
        chains=frozenset(map(chain_id_of_run, runs)),
        problems=frozenset(problem_of(run["parameters"]) for run in at_work) - {""},
        text=text_of(run["parameters"] for run in runs),
    )


def _goes_on(run: dict[str, Any], declared: Manifest) -> bool:
    """Tell whether a run has seen results that it needs, or one is to follow that needs its own."""
    if run["state_type"] == "SCHEDULED":  # what a schedule begins has seen nothing
        return SCHEDULED_TAG not in run["tags"]
    if run["state_type"] != "COMPLETED":
        return True
    event = announced_in((run["state"] or {}).get("message") or "")
    labels = labels_in(run["parameters"]) or PLAIN
    return event is not None and bool(declared.followers(event, chain_id_of_run(run), labels))


def _is_decided(run: dict[str, Any], stages: dict[str, str]) -> bool:
    return run["state_type"] == "COMPLETED" and stages[run["flow_id"]] == Stage.PROMOTE.value
