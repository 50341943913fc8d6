"""Whether a home's server still has the deployments that the last serve process told it.

Telling it anew takes seconds, and where nothing has changed it changes nothing. How they are told
belongs in ``serving/serve.py``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID

from baton import atomic
from baton.settings import settings
from tasks.platform.api import Access, ApiError, Client
from tasks.platform.places import MANIFEST

log = logging.getLogger("baton.serve")

_MOVING = {"created", "updated", "last_polled", "status", "run_count"}
"""What changes of a deployment or an automation while it stays what it is."""

_WAITING = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
_MOST = 200
"""Deployments and automations that one answer has; a server with as many is told anew."""

Json = Any


@dataclass(frozen=True)
class Told:
    """What was told: by what, what the server had then, and the deployments by their names."""

    by: str
    """Digest of all that decides what is told."""
    had: str = ""
    """Digest of the deployments and automations that stood then."""
    id_of: Mapping[str, UUID] = field(default_factory=dict)
    """Ids of the deployments by their full names, flow/name."""

    @classmethod
    def before(cls, by: str) -> Told | None:
        """What was told before; None if nothing was, or something else than would be told now."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(_place().read_bytes())
            if kept["by"] == by:
                ids = {str(name): UUID(one) for name, one in kept["ids"].items()}
                return cls(by, str(kept["had"]), ids)
        return None

    def stands(self) -> bool:
        """Tell whether the server has it all still, as it was told, and nothing waits there.

        What waits are runs of schedules from before: telling their deployments anew drops those.
        """
        try:
            with _asking() as client:
                return not client.post("flow_runs/count", _WAITING) and self.had == _had(client)
        except ApiError as error:
            log.info("the deployments are told anew: %s", error)
            return False

    def keep(self) -> None:
        """Keep for the next start what stands now."""
        try:
            with _asking() as client:
                ids = {name: str(one) for name, one in self.id_of.items()}
                content = {"by": self.by, "had": _had(client), "ids": ids}
            if content["had"]:
                atomic.write_bytes(_place(), json.dumps(content).encode())
        except (ApiError, OSError) as error:
            log.info("the next start tells the deployments anew: %s", error)


def decides(loaded: float) -> str:
    """Digest of all that decides what deployments are told.

    Parameters
    ----------
    loaded : float
        Time of the latest change of the sources, and of what is installed.
    """
    history = MANIFEST.parent / ".git" / "logs" / "HEAD"  # Prefect's version of a deployment
    changed = history.stat().st_mtime_ns if history.exists() else 0
    said = (loaded, changed, MANIFEST, sys.version, version("prefect"))
    return hashlib.sha256(f"{said}".encode() + MANIFEST.read_bytes()).hexdigest()


def _place() -> Path:
    return settings().home / "prefect" / "told.json"


def _asking() -> Client:
    return Client(Access.of(settings(), settings().prefect_api_url))


def _had(client: Client) -> str:
    """Digest of what stands; empty if one answer does not have it all."""
    digest = hashlib.sha256()
    for kind in ("deployments", "automations"):
        found = client.post(f"{kind}/filter", {"limit": _MOST})
        if len(found) >= _MOST:
            return ""
        lines = sorted(json.dumps(_settled(one), sort_keys=True) for one in found)
        digest.update("\n".join([kind, *lines]).encode())
    return digest.hexdigest()


def _settled(value: Json) -> Json:
    """It without what moves, at any depth."""
    if isinstance(value, dict):
        return {k: _settled(one) for k, one in value.items() if k not in _MOVING}
    return [_settled(one) for one in value] if isinstance(value, list) else value
