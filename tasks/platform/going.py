"""Asking the Prefect server whether a chain of a problem is not over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from baton.chain.events import Stage
from baton.chain.recovery import AHEAD, FORGOTTEN
from baton.chain.runs import OPEN_TAG, chain_id_of_run, problem_of
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
        flows = {"name": {"any_": [stage.value for stage in _TRAINING]}}
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
            wanted = {"flows": flows, "flow_runs": conditions, "limit": _MOST_RUNS}
            found += client.post("flow_runs/filter", wanted)
        stages = {one["id"]: one["name"] for one in client.post("flows/filter", {"flows": flows})}
    mine = [run for run in found if problem_of(run["parameters"]) == problem]
    decided = {chain_id_of_run(run) for run in mine if _is_decided(run, stages)}
    return next((one for one in map(chain_id_of_run, mine) if one not in decided), "")


def _is_decided(run: dict[str, Any], stages: dict[str, str]) -> bool:
    return run["state_type"] == "COMPLETED" and stages[run["flow_id"]] == Stage.PROMOTE.value
