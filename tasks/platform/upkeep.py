"""Keeping a server clean: what prefect.yaml no longer declares goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from baton.chain.events import EventName
from baton.chain.manifest import Manifest
from tasks.platform.api import Access
from tasks.platform.automations import is_theirs

_TAG = "baton"


@contextmanager
def talking_to(access: Access) -> Iterator[None]:
    """Have Prefect's own client ask that server."""
    secret = {PREFECT_API_AUTH_STRING: access.auth_string} if access.auth_string else {}
    with temporary_settings({PREFECT_API_URL: access.address} | secret):
        yield


def prune(manifest: Manifest, access: Access) -> list[str]:
    """Remove deployments that are not declared, and automations that start what is gone.

    Prefect leaves a deployment's automation behind, enabled, when the deployment is deleted.
    Deployments are touched only if they carry the tag ``baton``, automations only if they wait
    for an event of Baton's; neither if it bears the mark of another prefect.yaml.

    Parameters
    ----------
    manifest : Manifest
    access : Access
        Where the Prefect API is, and what lets one in.

    Returns
    -------
    list of str
        What was removed.
    """
    removed = []
    with talking_to(access), get_client(sync_client=True) as client:
        declared = {entry.name for entry in manifest.deployments}
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[_TAG]))
        for deployment in client.read_deployments(deployment_filter=tagged):
            if deployment.name not in declared and not is_theirs(deployment.tags, manifest.mark):
                client.delete_deployment(deployment.id)
                removed.append(f"deployment {deployment.name}")
        for automation in client.read_automations():
            is_ours = _is_ours(automation) and not is_theirs(automation.tags, manifest.mark)
            if is_ours and any(_is_gone(client, t) for t in _targets(automation)):
                _delete(client, automation)
                removed.append(f"automation {automation.name}")
    return removed


def drop_twins() -> list[str]:
    """Remove all but one of the automations of one trigger, on the server of this process.

    Prefect makes a deployment's automations by deleting what there is and creating it anew: two
    serve processes that start at once may leave two of each, and an event would begin two runs.
    Whichever looks last sees what both made, and both keep the same one.

    Returns
    -------
    list of str
        Names of what was removed.
    """
    removed, kept = [], set()
    with get_client(sync_client=True) as client:
        for one in sorted(filter(_is_ours, client.read_automations()), key=lambda one: one.id):
            trigger = (one.name, frozenset(_targets(one)))
            if trigger in kept:
                _delete(client, one)
                removed.append(one.name)
            kept.add(trigger)
    return removed


def _delete(client: SyncPrefectClient, automation: Automation) -> None:
    """Delete an automation, unless somebody else was quicker."""
    try:
        client.delete_automation(automation.id)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != HTTPStatus.NOT_FOUND:
            raise


def _is_ours(automation: Automation) -> bool:
    expected: set[str] = getattr(automation.trigger, "expect", set())
    return bool(expected) and expected <= {name.value for name in EventName}


def _targets(automation: Automation) -> set[UUID]:
    targets = [getattr(action, "deployment_id", None) for action in automation.actions]
    return {target for target in targets if target}


def _is_gone(client: SyncPrefectClient, deployment: UUID) -> bool:
    """Ask for each by its id: a list of deployments is one page of them."""
    try:
        client.read_deployment(deployment)
    except ObjectNotFound:
        return True
    return False
