"""Deploying: what prefect.yaml declares is compared with a Prefect server, and applied.

What has to be done is decided in ``baton.chain.deploying``, what stands is read in
``tasks.platform.deployed``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from prefect import Flow
from pydantic import SecretStr

from baton.chain import deploying
from baton.chain.deploying import Change, Json, Sign, Standing, Wanted, What
from baton.chain.manifest import Deployment, Manifest
from baton.errors import InputError
from tasks.platform import automations, deployments, notifying
from tasks.platform.api import Client, RefusedError
from tasks.platform.deployed import Look
from tasks.platform.upkeep import talking_to

_ROUNDS = 3
"""Times that the server is put right: somebody else may deploy at the same moment."""

_SAME, _OTHER = "as BATON_NOTIFY says", "another one"


@dataclass
class Deploy:
    """A manifest and the server that is to have it.

    Parameters
    ----------
    manifest : Manifest
    flow_of : callable
        Gives the flow of an entry; asked last, because flows import much.
    address : SecretStr
        Where messages are sent; empty to leave that as it is.
    client : Client
        Of the server.
    """

    manifest: Manifest
    flow_of: Callable[[Deployment], Flow[..., Any]]
    address: SecretStr
    client: Client
    others: tuple[str, ...] = field(init=False, default=())
    """Deployments with the tag ``baton`` that are declared nowhere and that no deploy marked."""
    _ids: dict[str, str] = field(init=False, default_factory=dict)

    def check(self) -> None:
        """Check what is declared, and that the work pools are there.

        Raises
        ------
        InputError
        """
        deploying.check(self.manifest)
        notifying.check_messages(self.manifest)
        if self.address.get_secret_value():
            notifying.check_address(self.address)
        pools = {one.work_pool.name for one in self.manifest.deployments if one.work_pool}
        for name in sorted(pools):
            if self.client.find(f"work_pools/{quote(name)}") is None:
                raise deploying.missing_pool(name, self.client.access.address)

    def changes(self) -> tuple[Change, ...]:
        """What has to be done for the server to have what is declared.

        Raises
        ------
        InputError
            If somebody else has a deployment of the same name.
        ApiError
        """
        seen = Look(self.client, self.manifest).seen()
        self._ids, self.others = seen.ids, seen.others
        wanted = [*self._wanted(), *self._messages(seen.address)]
        return deploying.changes(wanted, [*seen.things, *self._kept(seen.address)])

    # --- what is wanted

    def _wanted(self) -> Iterator[Wanted]:
        for entry in self.manifest.deployments:
            name = deployments.full_name(entry)
            content = deployments.wanted_content(entry, self.flow_of(entry), self.manifest)
            yield Wanted(What.DEPLOYMENT, name, content)
            for place in range(len(entry.triggers)):
                yield self._automation(entry, place, name)

    def _automation(self, entry: Deployment, place: int, of: str) -> Wanted:
        trigger = deployments.trigger_of(entry, place)
        trigger.set_deployment_id(_NOBODY)
        made = trigger.as_automation()
        made.tags = [self.manifest.mark]
        content = automations.content_of(made, {str(_NOBODY): of})
        return Wanted(What.AUTOMATION, made.name, content, of)

    def _messages(self, kept: SecretStr | None) -> Iterator[Wanted]:
        """Address and automations of the messages, where there is an address."""
        if kept is None and not self.address.get_secret_value():
            return
        block = notifying.block_name(self.manifest)
        yield Wanted(What.ADDRESS, block, {"address": _SAME})
        for entry in self.manifest.notifications:
            made = notifying.automation(entry, self.manifest, _NOBODY)
            content = automations.content_of(made, {str(_NOBODY): block})
            yield Wanted(What.NOTIFICATION, made.name, content)

    def _kept(self, kept: SecretStr | None) -> list[Standing]:
        """The address that the server keeps, and whether it is the one that is given here."""
        if kept is None:
            return []
        block = notifying.block_name(self.manifest)
        is_same = self.address.get_secret_value() in ("", kept.get_secret_value())
        content = {"address": _SAME if is_same else _OTHER}
        return [Standing(What.ADDRESS, block, content, id=block)]

    # --- what is done

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it, and then what is left: twins that two deploys made at the same moment.

        It can be cut off anywhere; another one does the rest.

        Raises
        ------
        InputError
            If the server refuses what is declared.
        ApiError
        """
        for _ in range(_ROUNDS):
            for one in changes:
                self._do(one)
            changes = self.changes()
            if not changes:
                return
        left = "; ".join(f"{one.sign} {one.subject}" for one in changes)
        raise RefusedError(
            f"after {_ROUNDS} attempts there is still to do: {left}. Does another deploy run at"
            " the same time? Run it again"
        )

    def _do(self, change: Change) -> None:
        one, standing = change.subject, change.standing
        if change.sign is Sign.REMOVE:
            kind = "deployments" if one.what is What.DEPLOYMENT else "automations"
            self.client.delete(f"{kind}/{standing.id}" if standing else "")
        elif one.what is What.DEPLOYMENT:
            self._put_deployment(one, change)
        elif one.what is What.ADDRESS:
            self._put_address(one)
        else:
            self._put_automation(one, standing)

    def _put_deployment(self, one: Wanted, change: Change) -> None:
        try:
            if change.standing is None or _is_of_schedules(change):
                self._ids[one.name] = self._upsert(one)
            else:
                self.client.change(f"deployments/{change.standing.id}", _changed(one, change))
        except RefusedError as error:
            raise InputError(
                f"prefect.yaml: the server refuses deployment {one.name}: {error}"
            ) from None

    def _upsert(self, one: Wanted) -> str:
        """Make a deployment, or make it whole what it is to be; return its id."""
        flow, _, name = one.name.partition("/")
        flow_id = self.client.post("flows/", {"name": flow})["id"]
        content = deployments.as_told(one.content)
        made = self.client.post("deployments/", {"name": name, "flow_id": flow_id, **content})
        return str(made["id"])

    def _put_address(self, one: Wanted) -> None:
        with talking_to(self.client.access):
            self._ids[one.name] = str(notifying.keep_address(self.manifest, self.address))

    def _put_automation(self, one: Wanted, standing: Standing | None) -> None:
        content = {"name": one.name, **automations.as_told(one.content, self._ids)}
        if standing is not None:
            self.client.put(f"automations/{standing.id}", content)
            return
        # An automation that its deployment owns is replaced by `prefect deploy`, not doubled.
        owner = {"owner_resource": f"prefect.deployment.{self._ids[one.of]}"} if one.of else {}
        self.client.post("automations/", content | owner)


_NOBODY = UUID(int=0)
"""Stands for an id that is not known before it is made."""


def _is_of_schedules(change: Change) -> bool:
    """Tell whether schedules differ, which are replaced as a whole only by making it anew."""
    return any(one.path.startswith("schedules") for one in change.fields)


def _changed(one: Wanted, change: Change) -> Json:
    """The fields of a deployment that differ; what is looked at together goes together."""
    heads = {field.path.partition(".")[0].partition("[")[0] for field in change.fields}
    for together in ({"work_pool_name", "work_queue_name", "job_variables"},):
        heads |= together if heads & together else set()
    return {key: value for key, value in one.content.items() if key in heads}
