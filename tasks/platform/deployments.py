"""What Prefect is told of an entry of prefect.yaml: its deployment, its triggers, its schedules.

The same for a serve process and for a deploy; who tells it belongs in ``serving/serve.py`` and in
``tasks/platform/deploying.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from prefect import Flow
from prefect.events import DeploymentEventTrigger
from prefect.utilities.callables import parameter_schema

from baton.chain.deploying import Json
from baton.chain.manifest import Concurrency, Deployment, Manifest, Schedule
from tasks.platform.places import MANIFEST

DEFAULT_QUEUE = "default"
"""Queue that every work pool has."""

PULL = "prefect.deployments.steps.set_working_directory"
"""Step by which a worker goes to the folder that has the code."""


def trigger_of(entry: Deployment, place: int) -> DeploymentEventTrigger:
    """Trigger of an entry, with the name of the automation that is made of it.

    Parameters
    ----------
    entry : Deployment
    place : int
        Which of its triggers.
    """
    content = entry.triggers[place].model_dump(
        mode="json", by_alias=True, exclude={"type"}, exclude_none=True
    )
    return DeploymentEventTrigger(**content | {"name": entry.automation_names[place]})


def full_name(entry: Deployment) -> str:
    """Name that no two deployments of a server have, flow/name."""
    return f"{entry.flow_name}/{entry.name}"


def wanted_content(entry: Deployment, flow: Flow[..., Any], manifest: Manifest) -> Json:
    """What a deploy says of an entry, as Prefect's API names it.

    Parameters
    ----------
    entry : Deployment
        One with a work pool.
    flow : Flow
        Its flow, whose parameters the server is told.
    manifest : Manifest
        The whole, whose mark it bears.
    """
    said, pool = entry.model_dump(mode="json"), entry.work_pool
    assert pool is not None
    limit = entry.concurrency_limit
    return {
        "entrypoint": entry.entrypoint,
        "description": entry.description or flow.description or None,
        "version": entry.version,
        "tags": sorted({*entry.tags, manifest.mark}),
        "parameters": said["parameters"],
        "enforce_parameter_schema": entry.enforce_parameter_schema,
        "schedules": _in_order(_wanted_schedule(one) for one in entry.schedules),
        "concurrency_limit": limit.limit if isinstance(limit, Concurrency) else limit,
        "concurrency_options": {"collision_strategy": limit.collision_strategy}
        if isinstance(limit, Concurrency)
        else None,
        "work_pool_name": pool.name,
        "work_queue_name": pool.work_queue_name or DEFAULT_QUEUE,
        "job_variables": said["work_pool"]["job_variables"],
        "pull_steps": _pull_steps(manifest),
        "parameter_openapi_schema": parameter_schema(flow).model_dump(
            mode="json", exclude_unset=True
        ),
    }


def _pull_steps(manifest: Manifest) -> list[Json]:
    """Steps by which a worker gets the code: where it is now, if none are declared."""
    if manifest.pull is None:
        return [{PULL: {"directory": str(MANIFEST.parent)}}]
    return manifest.pull


def _wanted_schedule(entry: Schedule) -> Json:
    return entry.model_dump(mode="json")


def standing_content(found: Mapping[str, Any]) -> Json:
    """What a server says of a deployment, in the form in which it is wanted.

    Parameters
    ----------
    found : mapping
        A deployment of Prefect's API.
    """
    same = ("entrypoint", "description", "version", "enforce_parameter_schema", "work_pool_name")
    limit, options = found["global_concurrency_limit"], found["concurrency_options"]
    return {
        **{key: found[key] for key in same},
        "tags": sorted(found["tags"]),
        "parameters": found["parameters"],
        "schedules": _in_order(_standing_schedule(one) for one in found["schedules"]),
        "concurrency_limit": limit["limit"] if limit else None,
        "concurrency_options": {k: v for k, v in (options or {}).items() if v is not None} or None,
        "work_queue_name": found["work_queue_name"],
        "job_variables": found["job_variables"],
        "pull_steps": found["pull_steps"],
        "parameter_openapi_schema": found["parameter_openapi_schema"],
    }


def _standing_schedule(found: Mapping[str, Any]) -> Json:
    """A schedule in the manifest's words; what that has no word for is kept, and so seen."""
    rule = {key: value for key, value in found["schedule"].items() if value is not None}
    rule.pop("anchor_date", None)  # when it was made, unless somebody said so
    if rule.get("day_or"):
        rule.pop("day_or")
    said = {key: found.get(key) for key in ("active", "slug")}
    words = {"cron": None, "interval": None, "timezone": "UTC"}
    return words | rule | said | {"parameters": found.get("parameters") or {}}


def _in_order(schedules: Any) -> list[Json]:
    """A server keeps them in no order of its own."""
    return sorted(schedules, key=lambda one: json.dumps(one, sort_keys=True, default=str))


def as_told(content: Json) -> Json:
    """The same content as Prefect's API takes it."""
    return content | {"schedules": [_told_schedule(one) for one in content["schedules"]]}


def _told_schedule(one: Json) -> Json:
    rule = "cron" if one["cron"] is not None else "interval"
    beside = {key: one[key] for key in ("active", "slug", "parameters")}
    return {"schedule": {rule: one[rule], "timezone": one["timezone"]}, **beside}
