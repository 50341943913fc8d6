"""Lines of a chain's log: what its runs said, by stage and in the order of time.

Pure functions of a Prefect server's JSON. Asking for it belongs in ``tasks.platform.server``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from baton.chain.events import TRIAL, Stage
from baton.chain.runs import Json

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would take for an order."""


class Level(StrEnum):
    """How much a line matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def number(self) -> int:
        """Its number, as Python's logging has it."""
        return logging.getLevelNamesMapping()[self.value.upper()]


@dataclass(frozen=True)
class Source:
    """What said a line: a stage, or a part of it that is a run of its own."""

    stage: Stage
    part: str = ""
    """Name of the subflow; empty for the stage itself."""

    @property
    def name(self) -> str:
        """Name for people."""
        return f"{self.stage.value}/{self.part}" if self.part else self.stage.value


@dataclass(frozen=True)
class Line:
    """One line of a log."""

    at: datetime
    id: str
    source: Source
    level: str
    message: str
    run: str
    """Id of the flow run that said it."""
    task: str = ""
    """Name of the task that said it; empty for the flow."""

    @property
    def facts(self) -> Json:
        """It, ready for JSON."""
        return {
            "at": self.at.isoformat(),
            "stage": self.source.stage.value,
            "part": self.source.part or None,
            "task": self.task or None,
            "level": self.level,
            "message": self.message,
            "flow_run_id": self.run,
        }

    @property
    def text(self) -> str:
        """It, for a terminal: what follows its first line is set in, what would steer is shown."""
        said = f"{self.task}: {self.message}" if self.task else self.message
        lines = _UNSEEN.sub(lambda found: repr(found[0])[1:-1], said).split("\n")
        at = self.at.astimezone()
        when = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"
        head = f"{when}  {self.source.name:<21}  {self.level:<8}  "
        return head + "\n    ".join(lines)


def sources_of(
    runs: Iterable[Json],
    flows: Mapping[str, str],
    parents: Mapping[str, str],
    known: Mapping[str, Source],
) -> dict[str, Source]:
    """What each run of a chain is, by the run's id.

    Parameters
    ----------
    runs : iterable of dict
        Of stages, and of what they began.
    flows : mapping of str to str
        Names of flows by id.
    parents : mapping of str to str
        Run that began a subflow, by the task run that stands for the subflow there.
    known : mapping of str to Source
        Runs that were told before.
    """
    found, waiting = dict(known), {run["id"]: run for run in runs if run["id"] not in known}
    while ready := [one for one in waiting.values() if _source(one, flows, parents, found)]:
        for run in ready:
            source = _source(run, flows, parents, found)
            if source:
                found[run["id"]] = source
            del waiting[run["id"]]
    return found


def _source(
    run: Json, flows: Mapping[str, str], parents: Mapping[str, str], found: Mapping[str, Source]
) -> Source | None:
    name = flows.get(run["flow_id"], "")
    if name in list(Stage):
        return Source(Stage(name))
    parent = found.get(parents.get(run.get("parent_task_run_id") or "", ""))
    if parent:
        return Source(parent.stage, name)
    return Source(Stage.TUNE, name) if name == TRIAL else None


def line_of(log: Json, sources: Mapping[str, Source], tasks: Mapping[str, str]) -> Line:
    """Line that a server tells of.

    Parameters
    ----------
    log : dict
    sources : mapping of str to Source
        What each flow run is, by its id.
    tasks : mapping of str to str
        Names of task runs by their ids.
    """
    return Line(
        at=datetime.fromisoformat(str(log["timestamp"]).replace("Z", "+00:00")),
        id=str(log["id"]),
        source=sources[log["flow_run_id"]],
        level=logging.getLevelName(log["level"]).lower(),
        message=str(log["message"]),
        run=str(log["flow_run_id"]),
        task=tasks.get(log.get("task_run_id") or "", ""),
    )
