"""How an automation's trigger is compared with an event: whether they fit, or where they do not.

Pure functions of what a Prefect server says of both, by Prefect's own rules; what follows from a
difference belongs in ``baton.chain.handing_over``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from baton.chain.runs import time_of

REACTIVE = "Reactive"
"""Posture of a trigger that answers events; the others answer their absence, or a number."""

ID = "prefect.resource.id"

Json = dict[str, Any]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Mismatch:
    """Where a trigger and an event differ."""

    field: str
    """Of the trigger, such as ``expect`` or ``match: prefect.resource.id``."""
    wanted: str
    """What the trigger says there."""
    got: str
    """What the event has there; empty if nothing."""

    @property
    def label(self) -> str:
        """Label of the event's resource that differs; empty if it is something else."""
        place, _, label = self.field.partition(": ")
        return label if place == "match" else ""

    def __str__(self) -> str:
        had = f"the event has {self.got!r}" if self.got else "the event has nothing there"
        return f"{self.field} is {self.wanted!r}, {had}"


@dataclass(frozen=True)
class Specification:
    """What labels a resource must have, each one of some values."""

    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def read(cls, content: Any) -> Specification:
        """Read it as the server gives it: a value by label, or several."""
        given = content if isinstance(content, dict) else {}
        return cls(tuple((name, _several(value)) for name, value in given.items()))

    def difference(self, resource: Labels) -> tuple[str, str, str] | None:
        """Label, what it should be and what it is, where they differ first; None if they do not."""
        for label, values in self.labels:
            value = resource.get(label)
            if not any(is_like(value, one) for one in values):
                return label, " or ".join(values), value or ""
        return None


def _several(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def is_like(value: str | None, pattern: str) -> bool:
    """Tell whether a value of a label is meant by a pattern: ``*`` is anything, ``!`` is not.

    Parameters
    ----------
    value : str or None
        None, where there is no such label, is meant by nothing.
    pattern : str

    Examples
    --------
    >>> is_like("baton.model.iris", "baton.model.*"), is_like("iris", "!iris"), is_like(None, "*")
    (True, False, False)
    """
    if value is None:
        return False
    return fnmatchcase(value, pattern.removeprefix("!")) != pattern.startswith("!")


@dataclass(frozen=True)
class EventTrigger:
    """When an automation fires."""

    expect: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    match: Specification = Specification()
    match_related: tuple[Specification, ...] = ()
    posture: str = REACTIVE
    threshold: int = 1
    within: float = 0.0
    """Seconds."""

    @classmethod
    def read(cls, content: Json) -> EventTrigger:
        """Read it as the server gives it."""
        related = content.get("match_related") or []
        listed = related if isinstance(related, list) else [related]
        return cls(
            expect=tuple(sorted(content.get("expect") or [])),
            after=tuple(sorted(content.get("after") or [])),
            match=Specification.read(content.get("match")),
            match_related=tuple(map(Specification.read, listed)),
            posture=str(content.get("posture", REACTIVE)),
            threshold=int(content.get("threshold") or 1),
            within=float(content.get("within") or 0.0),
        )

    def expects(self, name: str) -> bool:
        """Tell whether an event of this name is meant.

        Prefect asks three times, each time by other rules, and so is it here: a ``*`` stands for
        at least one character, and a ``!`` never comes true.
        """
        if not self.expect:
            return True
        heard = (*self.expect, *self.after)
        return (
            any(fnmatchcase(name, one) for one in heard)
            and any(re.match(re.escape(one).replace(r"\*", ".+"), name) for one in heard)
            and any(is_like(name, one) for one in self.expect)
        )

    def covers(self, event: Json) -> bool:
        """Tell whether an event is meant, whatever posture and threshold make of it."""
        return next(self._differences(event), None) is None

    def mismatch(self, event: Json) -> Mismatch | None:
        """Where this trigger and an event differ first; None if the event alone fires it."""
        return next(self.differences(event), None)

    def differences(self, event: Json) -> Iterator[Mismatch]:
        """Wherever this trigger and an event differ, names before labels."""
        yield from self._differences(event)
        if self.posture != REACTIVE:
            yield Mismatch("posture", self.posture, f"{REACTIVE}: it came")
        if self.after:
            yield Mismatch("after", " or ".join(self.after), str(event["event"]))
        if self.threshold > 1:
            yield Mismatch("threshold", f"{self.threshold} events", "1 event")

    def _differences(self, event: Json) -> Iterator[Mismatch]:
        if not self.expects(event["event"]):
            yield Mismatch("expect", " or ".join(self.expect), event["event"])
        if found := self.match.difference(event["resource"]):
            yield Mismatch(f"match: {found[0]}", found[1], found[2])
        for one in self.match_related:
            if found := _nearest(one, event.get("related") or []):
                yield Mismatch(f"match_related: {found[0]}", found[1], found[2])


def _nearest(wanted: Specification, related: Sequence[Labels]) -> tuple[str, str, str] | None:
    """Where the nearest of related resources differs; None if one does not."""
    if not wanted.labels:
        return None
    found = [wanted.difference(one) for one in related] or [wanted.difference({})]
    if None in found:
        return None
    order = [label for label, _ in wanted.labels]
    return max(filter(None, found), key=lambda one: order.index(one[0]))


@dataclass(frozen=True)
class Automation:
    """An automation that starts deployments."""

    id: str
    name: str
    is_enabled: bool
    triggers: tuple[EventTrigger, ...]
    """Several, where it is composed of them."""
    kind: str
    """``event``, ``compound`` or ``sequence``."""
    starts: frozenset[str]
    """Ids of the deployments that it starts."""
    since: datetime | None
    """When it was made, or last changed."""
    templates: Mapping[str, str] = field(default_factory=dict)
    """What it passes on, by parameter of the flow."""

    @classmethod
    def read(cls, content: Json) -> Automation:
        """Read it as the server gives it."""
        actions, trigger = content.get("actions") or [], content["trigger"]
        targets = (one.get("deployment_id") for one in actions)
        passed = (one.get("parameters") or {} for one in actions)
        return cls(
            id=str(content["id"]),
            name=str(content["name"]),
            is_enabled=bool(content["enabled"]),
            triggers=tuple(map(EventTrigger.read, _leaves(trigger))),
            kind=str(trigger.get("type", "event")),
            starts=frozenset(str(one) for one in targets if one),
            since=time_of(content.get("updated") or content.get("created")),
            templates={name: str(text) for one in passed for name, text in one.items()},
        )

    def differences(self, event: Json) -> list[Mismatch]:
        """Wherever it and an event differ, by the nearest of its triggers."""
        found = [list(one.differences(event)) for one in self.triggers]
        nearest = min(found, key=len, default=[])
        if not nearest and self.kind != "event":
            return [Mismatch("type", f"{self.kind} of {len(self.triggers)} triggers", "one event")]
        return nearest


def _leaves(trigger: Json) -> Iterable[Json]:
    """Triggers of a trigger that is composed of others, or itself."""
    parts = trigger.get("triggers")
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [trigger]
