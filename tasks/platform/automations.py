"""Automations of a Prefect server: what is compared of them, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from prefect.events import AutomationCore

from baton.chain.deploying import Json
from baton.chain.events import EventName
from baton.chain.manifest import MARK

_SETS = ("after", "expect", "for_each")
_OF_TRIGGER = re.compile(r"(?P<deployment>[a-z][a-z0-9-]*)__automation_\d+")
"""Names that Prefect gives to the automations that it makes of a deployment's triggers."""


def content_of(automation: AutomationCore, names: Mapping[str, str]) -> Json:
    """What is compared of an automation.

    Parameters
    ----------
    automation : AutomationCore
    names : mapping of str to str
        Names of the deployments and blocks that its actions may mean, by their ids.
    """
    content = automation.model_dump(mode="json", exclude={"id", "name", "owner_resource"})
    trigger = content["trigger"]
    trigger |= {key: sorted(trigger[key]) for key in _SETS if key in trigger}
    actions = [_with(action, names) for action in content["actions"]]
    return content | {"tags": sorted(content["tags"]), "trigger": trigger, "actions": actions}


def as_told(content: Json, ids: Mapping[str, str]) -> Json:
    """The same content as Prefect's API takes it.

    Parameters
    ----------
    content : dict
        Of :func:`content_of`.
    ids : mapping of str to str
        Ids of the deployments and blocks, by their names.
    """
    return content | {"actions": [_with(action, ids) for action in content["actions"]]}


def _with(action: Json, others: Mapping[str, str]) -> Json:
    """An action that means deployment and block by other words."""
    keys = [key for key in ("deployment_id", "block_document_id") if action.get(key)]
    return action | {key: others.get(action[key], action[key]) for key in keys}


def is_theirs(tags: Iterable[str], mark: str) -> bool:
    """Tell whether what bears these tags is of another prefect.yaml; of none, it may be ours.

    Parameters
    ----------
    tags : iterable of str
    mark : str
        Of ours.
    """
    found = {tag for tag in tags if tag.startswith(MARK)}
    return bool(found) and mark not in found


def targets_of(found: Mapping[str, Any]) -> list[str]:
    """Ids of the deployments that an automation starts."""
    targets = (action.get("deployment_id") for action in found["actions"])
    return [str(target) for target in targets if target]


def is_of_trigger(found: Mapping[str, Any], deployment: str = "") -> bool:
    """Tell whether Prefect made an automation, and it alone, of a trigger of Baton's.

    Parameters
    ----------
    found : mapping
        An automation of Prefect's API.
    deployment : str
        Name of the deployment that it starts; any if that is gone.
    """
    name = _OF_TRIGGER.fullmatch(found["name"])
    is_named = bool(name) and deployment in ("", name["deployment"])  # type: ignore[index]
    expected = set(found["trigger"].get("expect") or ())
    is_alone = len(found["actions"]) == len(targets_of(found)) == 1
    return is_named and is_alone and bool(expected) and expected <= {one.value for one in EventName}
