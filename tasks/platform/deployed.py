"""What of a manifest stands on a Prefect server, and what there is somebody else's.

A deployment or an automation is of a manifest if it bears its mark, a tag. One without any mark
is taken for the manifest's if Prefect itself made it of the same entry, as ``prefect deploy``
does; so is an automation of Baton's that Prefect left behind when its deployment was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect.events import AutomationCore
from pydantic import SecretStr

from baton.chain.deploying import Json, Standing, What
from baton.chain.manifest import MARK, Deployment, Manifest
from baton.errors import InputError
from tasks.platform import notifying
from tasks.platform.api import Client
from tasks.platform.automations import content_of, is_of_trigger, is_theirs, targets_of
from tasks.platform.deployments import full_name, standing_content

TAG = "baton"
"""Tag of every entry of Baton's own prefect.yaml."""

_PAGE = 200


@dataclass(frozen=True)
class Seen:
    """What was read of a server."""

    things: tuple[Standing, ...]
    ids: dict[str, str]
    """Ids of the deployments and the block that automations mean, by name."""
    address: SecretStr | None
    """Where messages are sent, if the server keeps that."""
    others: tuple[str, ...]
    """Deployments that are declared nowhere and bear the tag ``baton`` and no mark."""


@dataclass
class Look:
    """One look at a server.

    Parameters
    ----------
    client : Client
    manifest : Manifest
    """

    client: Client
    manifest: Manifest
    _flows: dict[str, str] = field(init=False, default_factory=dict)

    def seen(self) -> Seen:
        """Read what is of the manifest.

        Raises
        ------
        InputError
            If somebody else has a deployment of a name that is declared.
        ApiError
        """
        entries = {full_name(one): one for one in self.manifest.deployments}
        found = {self._name(one): one for one in self._candidates(entries.values())}
        ours = {name: one for name, one in found.items() if self._is_ours(name, one, entries)}
        kept = self._block()
        blocks = {kept["id"]: kept["name"]} if kept else {}
        names = {one["id"]: name for name, one in ours.items()} | blocks
        things = [
            Standing(What.DEPLOYMENT, name, standing_content(one), id=one["id"])
            for name, one in ours.items()
        ]
        things += self._automations(names, entries)
        others = (name for name, one in found.items() if name not in ours and not _marked(one))
        address = SecretStr(kept["data"].get("url", "")) if kept else None
        ids = {name: one for one, name in names.items()}
        return Seen(tuple(things), ids, address, tuple(sorted(others)))

    def _block(self) -> Json | None:
        """The block with the address of messages."""
        name = notifying.block_name(self.manifest)
        place = f"block_types/slug/{notifying.BLOCK_TYPE}/block_documents/name/{name}"
        found: Json | None = self.client.find(f"{place}?include_secrets=true")
        return found

    # --- deployments

    def _candidates(self, entries: Iterable[Deployment]) -> list[Json]:
        """Deployments that may be ours, each once."""
        tags = [{"tags": {"all_": [tag]}} for tag in (self.manifest.mark, TAG)]
        conditions = [{"name": {"any_": sorted({one.name for one in entries})}}, *tags]
        pages = (self._all("deployments", {"deployments": one}) for one in conditions)
        found = {one["id"]: one for page in pages for one in page}
        self._name_flows({one["flow_id"] for one in found.values()})
        return list(found.values())

    def _name_flows(self, ids: set[str]) -> None:
        wanted = {"flows": {"id": {"any_": sorted(ids)}}}
        self._flows |= {one["id"]: one["name"] for one in self._all("flows", wanted)}

    def _name(self, found: Json) -> str:
        return f"{self._flows[found['flow_id']]}/{found['name']}"

    def _is_ours(self, name: str, found: Json, entries: Mapping[str, Deployment]) -> bool:
        if self.manifest.mark in found["tags"]:
            return True
        if name not in entries:
            return False
        if not is_theirs(found["tags"], self.manifest.mark) and _is_of(found, entries[name]):
            return True
        mark = next((tag for tag in found["tags"] if tag.startswith(MARK)), None)
        whose = f"of another prefect.yaml ({mark})" if mark else f"of {found['entrypoint']}"
        raise InputError(
            f"deployment {name} on {self.client.access.address} is {whose}: give the one in"
            " prefect.yaml another name, or delete that one"
        )

    # --- automations

    def _automations(
        self, names: Mapping[str, str], entries: Mapping[str, Deployment]
    ) -> Iterator[Standing]:
        found = self._all("automations", {"automations": None})
        found = [one for one in found if not is_theirs(one["tags"], self.manifest.mark)]
        made = [one for one in found if is_of_trigger(one)]
        there = self._there({target for one in made for target in targets_of(one)})
        for one in found:
            targets = targets_of(one)
            of = next((names[target] for target in targets if target in names), "")
            declared = entries[of].automation_names if of in entries else ()
            is_left = one in made and not there & set(targets)
            is_made = is_of_trigger(one, of.partition("/")[2]) if of else False
            if notifying.TAG in one["tags"]:
                yield _standing(What.NOTIFICATION, one, names)
            elif self.manifest.mark in one["tags"] or is_left or is_made or one["name"] in declared:
                yield _standing(What.AUTOMATION, one, names, of)

    def _there(self, ids: Iterable[str]) -> set[str]:
        """Those ids of which there is a deployment."""
        wanted = {"deployments": {"id": {"any_": sorted(ids)}}}
        return {one["id"] for one in self._all("deployments", wanted)}

    def _all(self, what: str, conditions: Json) -> list[Json]:
        """Everything that meets the conditions, each once: what comes meanwhile moves the pages."""
        found: dict[str, Json] = {}
        offset = 0
        while True:
            asked = {"sort": "CREATED_DESC", "limit": _PAGE, "offset": offset}
            page = self.client.post(f"{what}/filter", conditions | asked)
            found |= {one["id"]: one for one in page}
            offset += len(page)
            if len(page) < _PAGE:
                return list(found.values())


def _marked(found: Mapping[str, Any]) -> bool:
    return any(tag.startswith(MARK) for tag in found["tags"])


def _is_of(found: Mapping[str, Any], entry: Deployment) -> bool:
    """Tell whether `prefect deploy` or a serve process made a deployment of this entry."""
    return TAG in found["tags"] or found["entrypoint"] in {
        entry.entrypoint,
        f"{entry.module}.{entry.function}",
    }


def _standing(
    what: What, found: Mapping[str, Any], names: Mapping[str, str], of: str = ""
) -> Standing:
    content = content_of(AutomationCore.model_validate(found), names)
    return Standing(what, found["name"], content, of, found["id"])
