"""Looking whether predicted rows are still like those that their model knows.

What is compared with what, and what drift is, stands in ``baton.monitoring``; the log of looks in
``baton.chain.looks``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from prefect import task
from pydantic import Field

from baton import disk, problems
from baton.atomic import write_bytes
from baton.chain import looks
from baton.chain.events import DriftDetected, PageRef, PredictionsMonitored, PredictionsReady
from baton.chain.looks import Look
from baton.fingerprint import fingerprint
from baton.lineage import folder, lineage_of, with_lineage
from baton.monitoring.drift import Drift, Watch, compare, with_classifier
from baton.monitoring.found import as_table, of_table
from baton.monitoring.profile import SAMPLED_ROWS, Counts, Profile, from_table
from baton.settings import settings
from baton.showing.drifted import drift_page
from baton.terms import ROW
from baton.words.text import elide
from tasks.platform import pages, results
from tasks.platform.artifacts import link_drift
from tasks.platform.going import chain_going
from tasks.platform.plan import Plan, settled
from tasks.platform.results import result_task
from tasks.platform.stage import exclusive
from tasks.platform.tracking import (
    CHAMPION,
    aliases_of,
    load_model,
    profile_of_version,
    tag_version,
)
from tasks.prediction import framed

log = logging.getLogger(__name__)

_BATCH_ROWS = 50_000
_LONGEST_REASON = 1000
_MOST_NAMED = 20


class Watching(Watch):
    """What the deployment's parameter says."""

    cool_down: timedelta = Field(default=timedelta(hours=1), ge=timedelta(minutes=1))
    """Shortest time between two announcements of drift, in seconds."""


@dataclass(frozen=True)
class MonitorPlan(Plan):
    """Which predictions are looked at, and how."""

    ready: PredictionsReady
    watch: Watching

    @property
    def folder(self) -> str:
        """Folder of what was found."""
        return folder(
            self.ready.problem,
            predictions=self.ready.predictions.digest,
            raw=self.ready.raw.digest,
            model=self.ready.model.digest,
            watch=self.watch.model_dump(mode="json", exclude={"cool_down"}),
            code=fingerprint(__name__),
        )

    @property
    def page(self) -> str:
        """Key of the page that shows what was found."""
        return f"{self.folder}/drift_{self.ready.chain}.html"

    @property
    def is_done(self) -> bool:
        """Whether the rows were compared."""
        return self.has("drift")

    @property
    def lineage(self) -> dict[str, Any]:
        """What was compared."""
        return {
            "problem": self.ready.problem,
            "predictions": self.ready.predictions.digest,
            "model": self.ready.model.uri,
            "model_digest": self.ready.model.digest,
        }

    @cached_property
    def profile(self) -> dict[str, pa.Table]:
        """What is known of the training rows; none of a model that keeps nothing of them."""
        return profile_of_version(self.ready.model)

    @cached_property
    def known(self) -> Profile:
        """Histograms of the training rows, of a model that keeps them."""
        return from_table(self.profile["profile"])

    @cached_property
    def drift(self) -> Drift:
        """What was found, once the rows are compared."""
        return of_table(results.read(self.table("drift")))


def plan_monitoring(ready: PredictionsReady, watch: dict[str, Any]) -> MonitorPlan:
    """Settle how predictions are looked at.

    Raises
    ------
    InputError
        If `watch` is not understood.
    """
    return MonitorPlan(ready, settled(Watching, watch, "watch"))


def of_one_log(plan: MonitorPlan) -> AbstractContextManager[None]:
    """Held by whoever decides about drift of a model: one at a time, so that one is announced."""
    return exclusive(f"looks/{plan.ready.model.name}")


@result_task("drift", name="compare rows")
def compare_rows(plan: MonitorPlan) -> pa.Table:
    """How far each column of the new rows, and of their answers, is from the training rows'."""
    counts, sample = Counts(plan.known), _Sample(plan.ready.raw.n_rows)
    for features, answers in _batches(plan):
        counts.add(features, answers)
        sample.add(features)
    known = plan.profile["sample"].to_pandas()
    found = with_classifier(compare(counts, plan.watch), known, sample.rows, seed=0)
    log.info("%s", found.reason)
    return with_lineage(as_table(found), plan.lineage)


def _batches(plan: MonitorPlan) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Features of the new rows and the answers to them, some thousand at a time."""
    ready, model = plan.ready, load_model(plan.ready.model)
    problem, schema = problems.get(ready.problem), model.origin["schema"]
    params = problems.parse(problem, lineage_of(results.schema(ready.raw))["parameters"])
    answers = _Rows(results.batches(ready.predictions, _BATCH_ROWS), _columns_of(plan))
    for raw in results.batches(ready.raw, problem.rows_at_once):
        features = problem.new_features(framed(raw), params, schema)
        yield features.drop(columns=[ROW]), answers.next(len(features)).to_pandas()


class _Rows:
    """Rows of a table that comes by batches, so many at a time as are asked for."""

    def __init__(self, batches: Iterator[pa.Table], columns: list[str]) -> None:
        self._batches, self._columns = batches, columns
        self._left: pa.Table | None = None

    def next(self, n_rows: int) -> pa.Table:
        """Return the next rows; fewer where there are no more."""
        while self._left is None or len(self._left) < n_rows:
            more = next(self._batches, None)
            if more is None:
                break
            more = more.select(self._columns)
            self._left = more if self._left is None else pa.concat_tables([self._left, more])
        if self._left is None:
            return pa.table({name: [] for name in self._columns})
        found, self._left = self._left.slice(0, n_rows), self._left.slice(n_rows)
        return found


def _columns_of(plan: MonitorPlan) -> list[str]:
    """Columns of the answers that the profile knows."""
    known = {one.name for one in plan.known.columns if one.kind == "prediction"}
    return [name for name in results.schema(plan.ready.predictions).names if name in known]


class _Sample:
    """Rows drawn from batches, as if from all rows at once."""

    def __init__(self, n_rows: int) -> None:
        most = min(n_rows, SAMPLED_ROWS)
        drawn = np.random.default_rng(0).choice(n_rows, most, replace=False, shuffle=False)
        self._places, self._begin = np.sort(drawn), 0
        self._drawn: list[pd.DataFrame] = []

    def add(self, batch: pd.DataFrame) -> None:
        """Draw from the next rows."""
        end = self._begin + len(batch)
        first, last = np.searchsorted(self._places, [self._begin, end])
        self._drawn.append(batch.iloc[self._places[first:last] - self._begin])
        self._begin = end

    @property
    def rows(self) -> pd.DataFrame:
        """Rows that were drawn."""
        return pd.concat(self._drawn, ignore_index=True)


def looked(plan: MonitorPlan) -> Look:
    """Decide whether what was found is announced, once, and write it down.

    It is to be called while :func:`of_one_log` is held.
    """
    name, ready = plan.ready.model.name, plan.ready
    known = looks.read(settings(), name)
    if found := next((one for one in known if one.chain == ready.chain), None):
        return found
    look = Look(
        chain=ready.chain,
        at=datetime.now(UTC),
        version=ready.model.version,
        is_drifted=bool(plan.profile) and plan.drift.is_drifted,
        reason=elide(plan.drift.reason if plan.profile else _no_profile(plan), _LONGEST_REASON),
        predictions=ready.predictions,
        page=plan.page if plan.profile else "",
    )
    if look.is_drifted:
        look = look.model_copy(update={"held_back": _held_back(plan, known, look.at)})
    looks.append(settings(), name, look)
    return look


def _no_profile(plan: MonitorPlan) -> str:
    return (
        f"{plan.ready.model.uri} keeps no profile of its training rows: an earlier version of"
        " Baton evaluated it; run its chain again"
    )


def _held_back(plan: MonitorPlan, known: list[Look], now: datetime) -> str:
    model = plan.ready.model
    if plan.ready.is_past:
        return f"the rows are of {plan.ready.period}, which was made up for"
    return looks.held_back(
        known,
        now,
        plan.watch.cool_down,
        version=model.version,
        champion=aliases_of(model.name).get(CHAMPION),
        going=chain_going(plan.ready.problem),
    )


@task(name="show drift", persist_result=False)
def show_drift(plan: MonitorPlan, look: Look) -> PageRef | None:
    """Write what was found on a page, and tell Prefect of it; none without a profile."""
    if not plan.profile:
        return None
    ready = plan.ready
    facts = {"Model": ready.model.uri, "Looked at": f"{look.at:%Y-%m-%d %H:%M} UTC"}
    html = drift_page(
        plan.drift,
        title=f"{ready.target} of {ready.problem}",
        facts=facts,
        decision=_said(plan, look),
    )
    path = results.report_path(plan.page)
    if path.exists() and path.read_bytes() != html.encode():
        disk.put_aside(path)
    write_bytes(path, html.encode())
    link_drift(ready.problem, ready.chain, path)
    told = {"drift": look.reason, "drift_page": pages.of_result(path)}
    tag_version(ready.model, {f"baton.{name}": value[:500] for name, value in told.items()})
    return results.page_at(plan.page)


def _said(plan: MonitorPlan, look: Look) -> str:
    """What was decided of what was found."""
    if not look.is_drifted:
        return ""
    if look.held_back:
        return f"Drift is not announced: {look.held_back}."
    begun = plan.ready.retrain
    chain = f"chain {begun.chain} trains anew" if begun else "no chain was asked to train anew"
    return f"Drift is announced; {chain}."


def monitored(
    plan: MonitorPlan, look: Look, page: PageRef | None
) -> PredictionsMonitored | DriftDetected:
    """Announcement of what was found, and of the chain that it begins."""
    ready, has_profile = plan.ready, bool(plan.profile)
    moved = [one.name for one in plan.drift.columns if one.is_drifted] if has_profile else []
    about = {
        "chain": ready.chain,
        "problem": ready.problem,
        "model": ready.model,
        "target": ready.target,
        "n_rows": ready.raw.n_rows,
        "reason": look.reason,
        "drifted": [elide(name, 256) for name in moved[:_MOST_NAMED]],
        "columns": plan.table("drift") if has_profile else None,
        "page": page,
    }
    if look.is_announced:
        return DriftDetected(**about, generate=ready.retrain)
    return PredictionsMonitored(**about, held_back=look.held_back)
