"""A chain at a glance: when it began, what it is about, how well it did, and what it waits for.

Pure functions of what a Prefect server says of the chain's runs. Their parameters are the payloads
of the events that began them, so that no event is asked for, and none need be kept any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from baton.chain.events import EventName, Stage
from baton.chain.runs import Begun, ChainRun, Json, StageRun, announced_in
from baton.terms import Quality
from baton.words.spans import brief

_DECIDED = {
    EventName.MODEL_PROMOTED: "promoted",
    EventName.MODEL_REJECTED: "not promoted",
    EventName.DRIFT_DETECTED: "drift",
}
"""What the announcement of a chain's last stage comes to."""


class Awaited(StrEnum):
    """What a chain that is not over waits for."""

    APPROVAL = "approval"
    """A person's answer."""
    WORKER = "worker"
    """Whoever takes a run that is due: a serve process, or a worker of its pool."""
    TIME = "time"
    """The time at which a run is due."""
    STAGE = "stage"
    """The end of a stage that runs."""
    NEXT = "next"
    """The run that the last announcement begins."""
    RECOVERY = "recovery"
    """A run that crashed is to be begun again."""
    CANCELLATION = "cancellation"
    """A run that is being cancelled is to end."""


_OF_STATE = {
    "PAUSED": Awaited.APPROVAL,
    "RUNNING": Awaited.STAGE,
    "CANCELLING": Awaited.CANCELLATION,
    "CRASHED": Awaited.RECOVERY,
    "PENDING": Awaited.STAGE,
    "SCHEDULED": Awaited.WORKER,
    "WAITING": Awaited.NEXT,
}
"""What is waited for by a stage's state, what matters most first."""

_SERVING = "its turn or a serve process (`baton up`)"
_SAID = {
    Awaited.APPROVAL: "waits for approval{for_long}: `baton approve {chain}`",
    Awaited.WORKER: "{stage} waits for {who}{for_long}",
    Awaited.TIME: "{stage} waits until {due}",
    Awaited.STAGE: "{stage} runs{for_long}{progress}",
    Awaited.NEXT: "{stage} is to begin{for_long}",
    Awaited.RECOVERY: "{stage} crashed and is to be begun again{for_long}",
    Awaited.CANCELLATION: "{stage} is being cancelled{for_long}",
}


@dataclass(frozen=True)
class Wait:
    """What a chain waits for."""

    what: Awaited
    stage: Stage
    since: datetime | None = None
    """Since when; None where nobody said."""
    pool: str = ""
    """Work pool whose workers are waited for; empty for a serve process."""
    due: datetime | None = None
    """When the run is due, if that is ahead."""
    progress: str = ""
    """How far the stage is, if it says so."""

    def said(self, chain: str, now: datetime) -> str:
        """Say it in a line."""
        due = self.due.astimezone() if self.due else None
        return _SAID[self.what].format(
            chain=chain,
            stage=self.stage.value,
            who=f"a worker of pool {self.pool}" if self.pool else _SERVING,
            due=f"{due:%Y-%m-%d %H:%M:%S}" if due else "",
            for_long=self._for_long(now),
            progress=f" ({self.progress})" if self.progress else "",
        )

    def _for_long(self, now: datetime) -> str:
        return f", for {brief(now - self.since)}" if self.since else ""

    def facts(self, chain: str, now: datetime) -> Json:
        """Say it ready for JSON."""
        since = self.since.isoformat() if self.since else None
        about = {"what": self.what.value, "stage": self.stage.value, "since": since}
        return about | {"pool": self.pool or None, "text": self.said(chain, now)}


@dataclass(frozen=True)
class Status:
    """What a line of a list says of a chain."""

    chain: ChainRun
    began: datetime
    target: str = ""
    """Column that is predicted; empty where no run has said it yet."""
    source: str = ""
    """File, or whatever else the rows are from."""
    family: str = ""
    """What is trained, or was."""
    model: Json = field(default_factory=dict)
    """Name, version and run of the registered model, once there is one."""
    metric: str = ""
    """Metric that decides."""
    value: float | None = None
    """Its value on the rows held out, once they are scored."""
    interval: tuple[float, float] | None = None
    n_rows: int | None = None
    """New rows that were predicted."""
    decided: str = ""
    """What was decided of its model, or found of its rows."""

    @property
    def title(self) -> str:
        """What it is about, in a few words."""
        of = self.source or self.chain.problem
        if self.n_rows is not None:
            return f"{self.target} of {self.n_rows:,} rows of {of}"
        return f"{self.target} from {of}" if self.target else of

    def waits_for(self, now: datetime) -> Wait | None:
        """What it waits for; None if it is over."""
        return wait_of(self.chain, now)


def wait_of(chain: ChainRun, now: datetime) -> Wait | None:
    """What a chain waits for; None if it is over."""
    if chain.state not in {"RUNNING", "PAUSED"}:
        return None
    for state, what in _OF_STATE.items():
        for place, run in enumerate(chain.stages):
            if run.state == state:
                return _wait(what, run, chain.stages[:place], now)
    return None


def _wait(what: Awaited, run: StageRun, before: tuple[StageRun, ...], now: datetime) -> Wait:
    since = run.since
    if what is Awaited.STAGE:
        since = run.began or since
    if what is Awaited.NEXT:
        since = max((one.ended for one in before if one.ended), default=None)
    if what is Awaited.WORKER and run.due and run.due > now:
        return Wait(Awaited.TIME, run.stage, since, due=run.due)
    return Wait(what, run.stage, since, pool=run.pool, progress=run.progress)


def of_chain(chain: ChainRun, begun: Begun, found: Mapping[Stage, list[Json]]) -> Status:
    """A chain at a glance.

    Parameters
    ----------
    chain : ChainRun
    begun : Begun
    found : mapping of Stage to list of dict
        Its runs, the oldest first.
    """
    said: Json = {}
    for run in chain.stages:
        for one in found.get(run.stage, []):
            said |= _known(_read(one["parameters"]))
    announced = [announced_in(run.message) for run in chain.stages if run.state == "COMPLETED"]
    decided = [_DECIDED[one] for one in announced if one in _DECIDED]
    return Status(chain, begun.since, **said, decided=decided[-1] if decided else "")


def _known(said: Json) -> Json:
    return {name: value for name, value in said.items() if value not in (None, "", {})}


def _read(parameters: Mapping[str, Any]) -> Json:
    """What the parameters of a run say of its chain: a payload of any version, or an order."""
    found = _of_order(parameters)
    for payload in _objects(parameters):
        if "chain" in payload:
            data = payload.get("data", payload)
            has_data = isinstance(data, dict) and "features" in data
            found |= _known(_of_data(data, payload) if has_data else _of_order(payload))
            found |= _known(_of_model(payload))
    return found


def _objects(parameters: Mapping[str, Any]) -> Iterator[Json]:
    return (value for value in parameters.values() if isinstance(value, dict))


def _of_order(order: Mapping[str, Any]) -> Json:
    """What a chain is asked for, as far as that says what it is about."""
    own, options = order.get("parameters"), order.get("options")
    own, options = (one if isinstance(one, dict) else {} for one in (own, options))
    path, target = own.get("path"), own.get("target")
    source = Path(path).name if isinstance(path, str) else ""
    return {"source": source, "target": str(target or ""), "family": _family(options)}


def _family(options: Mapping[str, Any]) -> str:
    if options.get("quality") == Quality.BEST:
        return "the best of several"
    return str(options.get("model") or "")


def _of_data(data: Mapping[str, Any], payload: Mapping[str, Any]) -> Json:
    metric = str(data.get("headline") or "")
    ends = (payload.get("intervals") or {}).get(metric)
    return {
        "target": str(data.get("target") or ""),
        "source": str(data.get("source") or ""),
        "family": _family(data.get("options") or {}),
        "metric": metric,
        "value": (payload.get("scores") or {}).get(metric),
        "interval": (ends[0], ends[1]) if ends else None,
    }


def _of_model(payload: Mapping[str, Any]) -> Json:
    """Which version it is, and what it predicted."""
    model, answers = payload.get("model") or {}, payload.get("predictions") or {}
    is_new = "scores" not in payload and "raw" in payload
    return {
        "model": {name: model.get(name) for name in ("name", "version", "run_id")} if model else {},
        "target": str(payload.get("target") or ""),
        "n_rows": answers.get("n_rows") if is_new else None,
    }


def facts(seen: Status, now: datetime) -> Json:
    """What is said of a chain, ready for JSON."""
    wait = seen.waits_for(now)
    ends = list(seen.interval) if seen.interval else None
    score = {"metric": seen.metric, "value": seen.value, "interval": ends}
    uri = f"models:/{seen.model.get('name')}/{seen.model.get('version')}"
    return {
        "began": seen.began.isoformat(),
        "title": seen.title,
        "source": seen.source or None,
        "target": seen.target or None,
        "family": seen.family or None,
        "score": score if seen.value is not None else None,
        "model": seen.model | {"uri": uri} if seen.model else None,
        "decided": seen.decided or None,
        "waits_for": wait.facts(seen.chain.id, now) if wait else None,
    }
