"""What a chain's page says: its stages and why each ran, what was made, what to do if one failed.

Pure functions of what is known of a chain. Asking for it belongs in ``watching``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from baton.chain import stored
from baton.chain.events import DatasetReady, ModelEvaluated, ModelRef, PageRef, Stage, TableRef
from baton.chain.manifest import EMITTED_BY, Manifest
from baton.chain.runs import Begun, ChainRun, Json, StageRun
from baton.errors import InputError
from baton.sources import places
from baton.warning import DataWarning, of_table

WORDS = {
    "WAITING": "waiting",
    "SCHEDULED": "about to start",
    "PENDING": "starting",
    "PAUSED": "waits for approval",
    "CANCELLING": "being cancelled",
}
"""States in words, where those are not Prefect's own in lower case."""

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass(frozen=True)
class File:
    """Something that a chain has made, and where the pages show it."""

    title: str
    path: str
    """Path of its page; empty if it is not in this home."""
    n_rows: int | None = None


@dataclass(frozen=True)
class Made:
    """What a chain has made until now."""

    title: str = ""
    summary: str = ""
    headline: str = ""
    metrics: tuple[tuple[str, float, tuple[float, float] | None, float | None], ...] = ()
    """Name, value, interval and baseline of each, the one that decides first."""
    drivers: Mapping[str, float] = field(default_factory=dict)
    drivers_unit: str = ""
    warnings: tuple[DataWarning, ...] = ()
    """What to beware of, what matters most first."""
    model: ModelRef | None = None
    decision: str = ""
    """What the gate said of the model."""
    drift: str = ""
    """What was found of new rows."""
    pages: tuple[File, ...] = ()
    tables: tuple[File, ...] = ()

    @property
    def is_something(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.tables or self.pages)


@dataclass(frozen=True)
class Seen:
    """What is known of a chain at one time."""

    id: str
    problem: str
    title: str
    chain: ChainRun | None
    """Its stages; None if the server does not know it any more."""
    begun: Begun | None
    causes: Mapping[Stage, str]
    made: Made
    is_told: bool
    """Whether the events of all stages that ended are there."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def state(self) -> str:
        """State of the chain; one of which there is only a record has completed."""
        return self.chain.state if self.chain else "COMPLETED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in OVER and self.is_told

    @property
    def stages(self) -> tuple[StageRun, ...]:
        """Its stages; none if the server does not know it any more."""
        return self.chain.stages if self.chain else ()

    @property
    def said(self) -> str:
        """How far it is, in a sentence, for those who listen."""
        done = sum(run.state == "COMPLETED" for run in self.stages)
        going = [f"{run.stage.value} {word(run)}" for run in self.stages if run.state in _GOING]
        ended = f"{done} of {len(self.stages)} stages done"
        return f"{'; '.join([*going, ended])}." if self.state == "RUNNING" else f"{ended}."


_GOING = frozenset({"RUNNING", "PENDING", "SCHEDULED", "PAUSED"})


def word(run: StageRun) -> str:
    """State of a stage in words."""
    return "cached" if run.is_cached else state_word(run.state)


def state_word(state: str) -> str:
    """State of a stage or a chain in words."""
    return WORDS.get(state, state.lower())


def causes_of(chain: ChainRun, events: Sequence[Json], manifest: Manifest) -> dict[Stage, str]:
    """What started each stage's run, in words: an event of the chain, or whoever began it.

    Parameters
    ----------
    chain : ChainRun
    events : sequence of dict
        The chain's, the oldest first.
    manifest : Manifest
    """
    found = {}
    for place, run in enumerate(chain.stages):
        heard = [one for one in events if _starts(one, run, manifest)]
        if heard:
            found[run.stage] = str(heard[-1]["event"])
        elif not place and run.state != "WAITING":
            found[run.stage] = _FIRST.get(run.created_by, "a person or a program")
    return found


_FIRST = {"SCHEDULE": "its schedule", "AUTOMATION": "data that arrived, or another chain"}


def _starts(event: Json, run: StageRun, manifest: Manifest) -> bool:
    by = next((stage for name, stage in EMITTED_BY.items() if name.value == event["event"]), None)
    is_before = run.began is None or _time(event) <= run.began
    is_started = run.state != "WAITING"
    return bool(by and is_before and is_started and run.stage in manifest.successors(by))


def _time(event: Json) -> datetime:
    return datetime.fromisoformat(str(event["occurred"]).replace("Z", "+00:00"))


def title_of(begun: Begun | None, record: ModelEvaluated | None) -> str:
    """What a chain is about, in a few words."""
    if record:
        return record.data.title
    if begun is None:
        return ""
    given = given_to(begun)
    data = begun.parameters.get("data")
    if isinstance(data, Mapping) and data.get("target"):
        return f"{data['target']} from {data.get('source') or begun.problem}"
    source = places.title_of(str(given["path"])) if given.get("path") else begun.problem
    return f"{given['target']} from {source}" if given.get("target") else source


def given_to(begun: Begun) -> dict[str, Any]:
    """Parameters of the problem that a chain began with."""
    order = begun.parameters.get("order", begun.parameters)
    given = order.get("parameters") if isinstance(order, Mapping) else None
    return dict(given) if isinstance(given, Mapping) else {}


def again(begun: Begun | None) -> str:
    """Path of the form by which a chain was begun, filled as it was; empty if there is none."""
    if begun is None or begun.stage is not Stage.GENERATE:
        return ""
    order = begun.parameters.get("order", begun.parameters)
    options = order.get("options") if isinstance(order, Mapping) else None
    given = {**(options if isinstance(options, Mapping) else {}), **given_to(begun)}
    filled = {name: _typed(value) for name, value in given.items()}
    query = urlencode({name: value for name, value in filled.items() if value})
    is_file = begun.problem == "table" and filled.get("path")
    return f"{'/table' if is_file else f'/problems/{begun.problem}'}?{query}"


def _typed(value: Any) -> str:
    """Value as it is typed into a form."""
    match value:
        case None | False:
            return ""
        case True:
            return "true"
        case list() | tuple():
            return ",".join(map(str, value))
        case dict():
            return json.dumps(value) if value else ""
    return str(value)


def made_by(chain: ChainRun, record: ModelEvaluated | None, results: Path) -> Made:
    """What a chain has made, by what it announced, or by the record of its home.

    Parameters
    ----------
    chain : ChainRun
    record : ModelEvaluated or None
        What its evaluation announced, where the events are gone.
    results : Path
        Folder of results.
    """
    evaluated = chain.evaluated or record
    ready = chain.ready or (evaluated.data if evaluated else None)
    predicted, monitored = chain.predicted, chain.monitored
    given = _tables(chain, ready, evaluated)
    return Made(
        title=ready.title if ready else "",
        model=evaluated.model if evaluated else (predicted.model if predicted else None),
        decision=_decision(chain),
        drift=monitored.reason if monitored else "",
        warnings=_warnings(chain, evaluated, results),
        pages=tuple(_pages(chain, evaluated, results)),
        tables=tuple(_table(name, one, results) for name, one in given.items() if one),
        **(_judged(evaluated) if evaluated else {}),
    )


def _tables(
    chain: ChainRun, ready: DatasetReady | None, evaluated: ModelEvaluated | None
) -> dict[str, TableRef | None]:
    """Tables by name."""
    tables: dict[str, TableRef | None] = {}
    if ready:
        tables = {"raw": ready.raw, "features": ready.features, "trials": ready.study}
    if evaluated:
        tables = dict(evaluated.tables)
    if predicted := chain.predicted:
        tables |= {
            "new rows": predicted.raw,
            "predictions": predicted.predictions,
            "doubtful cells": predicted.doubts,
        }
    if chain.monitored:
        tables["drift by column"] = chain.monitored.columns
    return tables


def _warnings(
    chain: ChainRun, evaluated: ModelEvaluated | None, results: Path
) -> tuple[DataWarning, ...]:
    """What a chain warns of: its evaluation says more than its data set does."""
    said = [one.warnings for one in (evaluated, chain.predicted, chain.ready) if one]
    table = next((one for one in said if one), None)
    if table is None or not table.n_rows or not stored.is_there(results, table):
        return ()
    with suppress(InputError):  # altered since: `baton status` says so
        return of_table(stored.read_table(results, table))
    return ()


def _judged(evaluated: ModelEvaluated) -> dict[str, Any]:
    headline = evaluated.data.headline
    names = sorted(evaluated.scores, key=lambda name: name != headline)
    return {
        "summary": evaluated.summary,
        "headline": headline,
        "metrics": tuple(
            (
                name,
                evaluated.scores[name],
                evaluated.intervals.get(name),
                evaluated.baseline.get(name),
            )
            for name in names
        ),
        "drivers": evaluated.drivers,
        "drivers_unit": evaluated.drivers_unit,
    }


def _decision(chain: ChainRun) -> str:
    if chain.decided is None:
        return ""
    is_champion = chain.decided.champion == chain.decided.model.version
    return f"{'promoted' if is_champion else 'not promoted'}: {chain.decided.reason}"


def _pages(chain: ChainRun, evaluated: ModelEvaluated | None, results: Path) -> Iterable[File]:
    """Pages of a chain; the report with the gate's decision takes the place of the one without."""
    decided = chain.decided.page if chain.decided else None
    found: dict[str, PageRef | None] = {
        "Report": decided or (evaluated.report if evaluated else None),
        f"Notebook {chain.noted.name if chain.noted else ''}": (
            chain.noted.page if chain.noted else None
        ),
        "Drift": chain.monitored.page if chain.monitored else None,
    }
    for title, page in found.items():
        if page:
            yield File(title, result_path(page.key) if stored.is_there(results, page) else "")


def _table(name: str, table: TableRef, results: Path) -> File:
    path = table_path(table.key) if stored.is_there(results, table) else ""
    return File(name.replace("_", " "), path, table.n_rows)


def result_path(key: str) -> str:
    """Path of a file of the results."""
    return f"/results/{key}"


def table_path(key: str) -> str:
    """Path of the page of a table."""
    return f"/tables/{key.removesuffix('.parquet')}"
