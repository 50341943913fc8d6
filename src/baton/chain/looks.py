"""The log of looks at a model's new rows: what was found, and whether it was announced.

A small JSON file for each chain of predictions, written once. Comparing rows belongs in
``baton.monitoring``, announcing in ``tasks/monitoring.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from baton.chain.events import EventName, TableRef, chain_begun_by
from baton.settings import Settings
from baton.stores import shelf
from baton.words.spans import moment


class Look(BaseModel):
    """One look at new rows."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True
    )

    chain: str
    """Id of the chain of predictions."""
    at: datetime
    """When it was looked."""
    version: PositiveInt
    """Version that predicted."""
    is_drifted: bool
    """Whether the rows are unlike those that it knows."""
    reason: str
    """What was found, in one line."""
    held_back: str = ""
    """Why drift that was found is not announced; empty where it is, or none was found."""
    predictions: TableRef | None = None
    """What was predicted of the rows; none where labels were looked at."""
    page: str = ""
    """Key of the page that shows it; empty where there is none."""

    @property
    def is_announced(self) -> bool:
        """Whether drift was announced."""
        return self.is_drifted and not self.held_back


def held_back(
    log: Iterable[Look],
    now: datetime,
    cool_down: timedelta,
    *,
    version: int,
    champion: int | None,
    going: str = "",
) -> str:
    """Why drift that was found is not announced; empty if it is.

    Parameters
    ----------
    log : iterable of Look
        Of the same model.
    now : datetime
    cool_down : timedelta
        Shortest time between two announcements.
    version : int
        Version that predicted.
    champion : int or None
        The present champion.
    going : str
        Id of a chain of the problem that is not over, if there is one.

    Examples
    --------
    >>> from datetime import UTC
    >>> held_back([], datetime.now(UTC), timedelta(hours=1), version=1, champion=2)
    'version 1 predicted, and version 2 is the champion'
    """
    if champion is not None and champion != version:
        return f"version {version} predicted, and version {champion} is the champion"
    if going:
        return f"chain {going} of the problem is not over"
    last = max((one.at for one in log if one.is_announced), default=None)
    if last is not None and now - last < cool_down:
        return (
            f"drift was announced at {moment(last)}, and is again after"
            f" {cool_down}: parameter cool_down of the deployment monitor"
        )
    return ""


def folder(settings: Settings, model: str) -> Path:
    """Folder of the log of a model, by its registered name."""
    return settings.results / "looks" / model


def read(settings: Settings, model: str) -> list[Look]:
    """Every look at a model's new rows, the oldest first; what is damaged is passed over."""
    found = []
    for path in shelf.take_all(folder(settings, model)).glob("*.json"):
        with suppress(ValidationError, OSError):
            found.append(Look.model_validate_json(path.read_bytes()))
    return sorted(found, key=lambda one: one.at)


def that_began(settings: Settings, model: str, chain: str) -> Look | None:
    """Look whose drift began a chain, if one did."""
    found = (one for one in read(settings, model) if one.is_announced)
    event = EventName.DRIFT_DETECTED
    return next((one for one in found if chain_begun_by(event, one.chain) == chain), None)


def append(settings: Settings, model: str, look: Look) -> None:
    """Add a look to the log."""
    place = folder(settings, model)
    place.mkdir(parents=True, exist_ok=True)
    shelf.write(place / f"{look.chain}.json", look.model_dump_json().encode())
