"""Notifications: Prefect's automations that send the messages which prefect.yaml declares.

Which message is sent on which event stands in prefect.yaml, to whom in the setting
``BATON_NOTIFY``. That address is a secret: on the server it is in an encrypted block, and here
it is in nothing that is said.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import BlockDocument
from prefect.events import AutomationCore, EventTrigger
from prefect.events.actions import SendNotification
from prefect.events.filters import AutomationFilter, AutomationFilterTags
from prefect.events.schemas.automations import Automation, Posture
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import SecretStr

from baton.chain.manifest import Manifest, Notification
from baton.errors import InputError
from tasks.platform.automations import is_theirs
from tasks.platform.events import OCCURRENCE

TAG = "baton-notify"
"""Name of the block with the address, and tag of the automations that send to it."""

_FIRST = "baton"
"""Name of Baton's own manifest."""
BLOCK_TYPE = "slack-webhook"
_ONCE_WITHIN = timedelta(days=1)
"""Time in which announcements that say the same are one occurrence."""

log = logging.getLogger(__name__)


def check_address(address: SecretStr) -> None:
    """Check that messages can be sent to an address, without sending any.

    Raises
    ------
    InputError
        If it is none that Apprise knows. The address is not in the message.
    """
    from apprise import Apprise  # not before it is needed: it takes a quarter of a second

    with _apprise_silent():  # what it says of a bad address has the address in it
        is_known = Apprise().add(address.get_secret_value())
    if not is_known:
        raise InputError(
            "BATON_NOTIFY is no address that Apprise can send to, such as slack://… or"
            " mailto://…; see https://appriseit.com/services/"
        )


def check_messages(declared: Manifest) -> None:
    """Check that every message is a template.

    Raises
    ------
    InputError
        If one is not.
    """
    import jinja2

    for one in declared.notifications:
        try:
            jinja2.Environment(autoescape=True).parse(one.message)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"prefect.yaml: notification {one.name!r}: message is no template: {error.message}"
            ) from None


@contextmanager
def _apprise_silent() -> Iterator[None]:
    logger = logging.getLogger("apprise")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def register(declared: Manifest, address: SecretStr) -> list[str]:
    """Have the server of this process send what is declared; nothing, where no address is given.

    What is there already and as wanted is left alone; what nobody wants any more is removed.

    Parameters
    ----------
    declared : Manifest
    address : SecretStr
        Of Apprise's.

    Returns
    -------
    list of str
        Names of the automations that were made, changed or removed.

    Raises
    ------
    InputError
        If the address is none, or a message is no template.
    """
    said = address.get_secret_value()
    if said:
        check_address(address)
        check_messages(declared)
    with get_client(sync_client=True) as client:
        block = _block(client, declared, said) if said else None
        wanted = [automation(one, declared, block) for one in declared.notifications if block]
        changed = _settle(client, declared, wanted)
        if not said and (stored := _stored(client, declared)):
            client.delete_block_document(stored.id)
        return changed


def block_name(declared: Manifest) -> str:
    """Name of the block with the address: the servers of a team have several manifests."""
    if declared.name == _FIRST:
        return TAG
    return f"{TAG}-{'-'.join(re.findall('[a-z0-9]+', declared.name.lower()))}"


def keep_address(declared: Manifest, address: SecretStr) -> UUID:
    """Keep the address on the server of this process; return the id of its block."""
    with get_client(sync_client=True) as client:
        return _block(client, declared, address.get_secret_value())


def _block(client: SyncPrefectClient, declared: Manifest, address: str) -> UUID:
    """Id of the block that holds the address.

    It is of the type `Slack Webhook`, which any server has and which takes any address of
    Apprise's: a type of Baton's own would have to be installed where the server runs.
    """
    from prefect.blocks.notifications import SlackWebhook

    stored = _stored(client, declared)
    if stored and stored.data.get("url") == address:
        return stored.id
    try:
        saved = SlackWebhook(url=SecretStr(address)).save(block_name(declared), overwrite=True)
    except PrefectHTTPStatusError as error:  # whose text has the request in it
        code = error.response.status_code
        raise InputError(f"BATON_NOTIFY: the Prefect server did not take it ({code})") from None
    assert isinstance(saved, UUID)  # as it is outside of an event loop
    return saved


def _stored(client: SyncPrefectClient, declared: Manifest) -> BlockDocument | None:
    try:
        return client.read_block_document_by_name(block_name(declared), BLOCK_TYPE)
    except ObjectNotFound:
        return None


def automation(entry: Notification, declared: Manifest, block: UUID | None) -> AutomationCore:
    """Automation that sends a message.

    Parameters
    ----------
    entry : Notification
    declared : Manifest
        Whose it is.
    block : UUID
        Block with the address.
    """
    return AutomationCore(
        name=f"{TAG}: {entry.name}",
        enabled=entry.enabled,
        tags=[TAG, declared.mark],
        trigger=EventTrigger(
            expect={event.value for event in entry.expect},
            match=entry.match.model_dump(by_alias=True, exclude_none=True),
            for_each={OCCURRENCE},
            posture=Posture.Reactive,
            threshold=1,
            within=_ONCE_WITHIN,
        ),
        actions=[SendNotification(block_document_id=block, subject="", body=entry.message)],
    )


def _settle(
    client: SyncPrefectClient, declared: Manifest, wanted: Iterable[AutomationCore]
) -> list[str]:
    """Have the notifications' automations be those that are wanted; name what was changed."""
    tagged = AutomationFilter(tags=AutomationFilterTags(all_=[TAG]))
    every = client.read_automations(automations=tagged)
    ours = [one for one in every if not is_theirs(one.tags, declared.mark)]
    there: dict[str, Automation] = {}
    changed = []
    for made in sorted(ours, key=lambda one: one.id):
        if there.setdefault(made.name, made) is not made:  # of two that were made at once
            client.delete_automation(made.id)
            changed.append(made.name)
    for one in wanted:
        found = there.pop(one.name, None)
        if found is None or _content(found) != _content(one):
            _put(client, one, found)
            changed.append(one.name)
    for left in there.values():
        client.delete_automation(left.id)
    return [*changed, *there]


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What is declared of an automation, in a form that can be compared."""
    return automation.model_dump(include=set(AutomationCore.model_fields))


def _put(client: SyncPrefectClient, wanted: AutomationCore, found: Automation | None) -> None:
    if found:
        client.update_automation(found.id, wanted)
    else:
        client.create_automation(wanted)
