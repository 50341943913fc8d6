"""The way to a stage: which events lead to it, from the stage that begins its chain.

By what prefect.yaml declares; whether the events came belongs in ``baton.chain.why_not``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from baton.chain.events import EventName, Stage, chain_begun_by
from baton.chain.manifest import EMITTED_BY, Manifest, Trigger

_MOST_CHAINS = 2
"""The chain that is asked about, and one that it begins."""

LabelsOf = Callable[[str, Stage, EventName], Mapping[str, str] | None]
"""Labels of what a stage of a chain announces; None if nobody knows them."""


@dataclass(frozen=True)
class Hop:
    """A stage of a chain, and the event that is to start it."""

    chain: str
    """Chain that the stage is of."""
    stage: Stage
    event: EventName | None = None
    """None where the chain begins by hand or by the clock."""
    told_in: str = ""
    """Chain that the event is of."""
    before: Stage | None = None
    """Stage that announces the event; None where no stage does."""
    trigger: Trigger | None = None
    """As prefect.yaml declares it."""
    is_asked: bool = True
    """Whether the chain was asked for the stage."""


def way_to(
    stage: Stage, first: Hop, manifest: Manifest, labels_of: LabelsOf
) -> tuple[Hop, ...] | None:
    """Hops from the stage that begins a chain to another one, the shortest that was asked for.

    Parameters
    ----------
    stage : Stage
    first : Hop
        The stage that begins the chain.
    manifest : Manifest
    labels_of : callable

    Returns
    -------
    tuple of Hop or None
        Where no way was asked for, the shortest that could be; None where there is none.
    """
    for is_all in (False, True):
        found = _searched(stage, first, manifest, labels_of, is_all=is_all)
        if found:
            return found
    return None


def _searched(
    stage: Stage, first: Hop, manifest: Manifest, labels_of: LabelsOf, *, is_all: bool
) -> tuple[Hop, ...] | None:
    left: deque[tuple[Hop, ...]] = deque([(first,)])
    seen = {first.stage}
    while left:
        way = left.popleft()
        if way[-1].stage is stage:
            return way
        for hop in _after(way[-1], manifest, labels_of):
            is_near = len({one.chain for one in (*way, hop)}) <= _MOST_CHAINS
            if hop.stage not in seen and is_near and (is_all or hop.is_asked):
                seen.add(hop.stage)
                left.append((*way, hop))
    return None


def _after(hop: Hop, manifest: Manifest, labels_of: LabelsOf) -> Iterator[Hop]:
    """Hops that what a stage announces leads to."""
    for event, stage in EMITTED_BY.items():
        if stage is hop.stage:
            labels = labels_of(hop.chain, stage, event)
            told = Hop("", stage, event, hop.chain, stage)
            yield from _started(told, manifest, labels)


def _started(told: Hop, manifest: Manifest, labels: Mapping[str, str] | None) -> Iterator[Hop]:
    event = told.event
    assert event is not None
    for deployment in manifest.deployments:
        for trigger in deployment.triggers:
            if event in trigger.expect:
                begun = chain_begun_by(event, told.told_in)
                yield replace(
                    told,
                    chain=begun if trigger.begins_chain else told.told_in,
                    stage=Stage(deployment.flow_name),
                    trigger=trigger,
                    is_asked=labels is None or trigger.match.is_asked(event, labels),
                )
