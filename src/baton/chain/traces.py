"""Reading what a home knows of where things are from: records, logs, and its tables' lineage.

What is made of it is in ``graph``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from baton.chain import decisions, looks, records
from baton.chain.decisions import Decision
from baton.chain.events import (
    Event,
    EventName,
    Key,
    ModelEvaluated,
    PredictionsReady,
    kind_of,
)
from baton.chain.graph import Facts, Graph, NodeKind, TableTrace, graph_of, table_id
from baton.chain.looks import Look
from baton.errors import InputError
from baton.lineage import lineage_of
from baton.settings import Settings
from baton.stores import shelf

_KEY: TypeAdapter[str] = TypeAdapter(Key)
_KEPT = 1 << 16
"""Tables whose lineage is kept once it was read: what is written is never another."""

Json = dict[str, Any]


def announced(found: Iterable[Json]) -> tuple[Event, ...]:
    """Events that a server gives, but for those of another version of Baton."""
    events = []
    for one in found:
        with suppress(ValidationError, ValueError):
            kind = kind_of(EventName(one["event"]))
            event = kind.model_validate(one["payload"]) if kind else None
            if isinstance(event, Event):
                events.append(event)
    return tuple(events)


def of_chain(settings: Settings, chain: str, events: Iterable[Event] = ()) -> Graph:
    """What came of what in one chain; with what its model was learnt from, where it only predicts.

    Parameters
    ----------
    settings : Settings
        Name the home.
    chain : str
        Its whole id.
    events : iterable of Event
        What a server knows that it announced; its record says most of it, too.

    Raises
    ------
    InputError
        If nothing is known of it.
    """
    own = (*events, *(one for one in records.latest(settings) if one.chain == chain))
    seen = tuple(one for one in _looks(settings) if one[1].chain == chain)
    facts = Facts(
        (*own, *_learnt(settings, own, seen)),
        tuple(one for one in _decisions(settings) if one.chain == chain),
        seen,
    )
    found = graph_of(facts).nodes
    if not found:
        raise InputError(
            f"nothing is known of chain {chain} in {settings.home}, or of what it made"
        )
    tables = [node.name for node in found if node.kind is NodeKind.TABLE]
    return graph_of(replace(facts, traces=tuple(_traced(settings, tables))))


def _learnt(
    settings: Settings, own: Iterable[Event], seen: Iterable[tuple[str, Look]]
) -> Iterator[ModelEvaluated]:
    """Records of the chains that made the models which only predicted in this one."""
    used = {(one.model.name, one.model.version) for one in own if isinstance(one, PredictionsReady)}
    used |= {(name, look.version) for name, look in seen}
    for one in records.latest(settings):
        if (one.model.name, one.model.version) in used:
            yield one


def of_table(settings: Settings, key: str) -> Graph:
    """What a table was made from, and what was made from it, by whatever chain of the home.

    Raises
    ------
    InputError
        If there is no such table.
    """
    every = [_key_of(settings, path) for path in settings.results.glob("*/*/*.parquet")]
    facts = Facts(
        tuple(records.latest(settings)),
        tuple(_decisions(settings)),
        tuple(_looks(settings)),
        tuple(_traced(settings, filter(None, every))),
    )
    whole = graph_of(facts)
    if table_id(key) not in whole:
        raise InputError(f"there is no table {key} in {settings.results}")
    return whole.around(table_id(key))


def key_of(settings: Settings, named: str) -> str:
    """Key of a table that is named by its key, or by the path of its file.

    Raises
    ------
    InputError
        If it is none of the home's results.
    """
    for path in (settings.results / named, Path(named)):
        if (key := _key_of(settings, path)) and shelf.take(settings.results / key).is_file():
            return key
    raise InputError(
        f"{named} is no table of {settings.results}: give the path of its file, or"
        " `problem/digest/name.parquet`"
    )


def is_table(named: str) -> bool:
    """Tell whether a table is meant, and no chain."""
    return "/" in named or named.endswith(".parquet")


def _key_of(settings: Settings, path: Path) -> str:
    """Key of a file; empty if it is no result."""
    with suppress(ValueError, OSError):  # a ValidationError is one, too
        place = path.resolve().relative_to(settings.results.resolve())
        return _KEY.validate_python(place.as_posix())
    return ""


def _decisions(settings: Settings) -> Iterator[Decision]:
    for name in sorted(shelf.folders(settings.results / "decisions")):
        with suppress(InputError):  # a damaged one: `baton history` says which
            yield from decisions.read(settings, name)


def _looks(settings: Settings) -> Iterator[tuple[str, Look]]:
    for name in sorted(shelf.folders(settings.results / "looks")):
        for one in looks.read(settings, name):
            yield name, one


def _traced(settings: Settings, keys: Iterable[str]) -> Iterator[TableTrace]:
    """What tables say of themselves, of those that are here."""
    for key in keys:
        path = settings.results / key
        with suppress(OSError, ValueError, InputError):  # not here, or no table any more
            yield _trace(path, key, path.stat().st_mtime_ns)


@lru_cache(maxsize=_KEPT)
def _trace(path: Path, key: str, _changed: int) -> TableTrace:
    import pyarrow.parquet as pq

    return TableTrace(key, _digest(path), lineage_of(pq.read_schema(path)))


def _digest(path: Path) -> str:
    """SHA-256 of a table, by what stands beside it; empty if nothing does."""
    with suppress(OSError, ValueError, AttributeError):
        told = json.loads(path.with_name(f"{path.name}.json").read_bytes())
        return str(told.get("sha256") or "")
    return ""
