"""Choosing a family of models by cross-validation on the training rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from baton import models
from baton.chain.events import DatasetReady
from baton.choice import nearest
from baton.evaluation import validation
from baton.fingerprint import fingerprint
from baton.lineage import folder, with_lineage
from baton.metric import GREATER_IS_BETTER, names, parse
from baton.terms import Kind
from tasks.platform import results
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.rows import read_training_rows
from tasks.training import recipe_of

log = logging.getLogger(__name__)

_FOLDS = 5


@dataclass(frozen=True)
class ComparisonPlan(Plan):
    """Which families are to be compared."""

    data: DatasetReady

    @property
    def names(self) -> tuple[str, ...]:
        """Families."""
        return self.data.options.compare

    @property
    def metric(self) -> str:
        """Metric by which the best is chosen."""
        return self.data.selection or self.data.headline

    @property
    def folder(self) -> str:
        """Folder of the scores."""
        options = self.data.options
        return folder(
            self.data.problem,
            features=self.data.features.digest,
            target=self.data.target,
            metric=self.metric,
            stopping=options.metric,
            positive=self.data.positive,
            seed=self.data.seed,
            compare=list(self.names),
            model=options.model,
            model_params=options.model_params,
            code=fingerprint(__name__),
        )

    @property
    def is_done(self) -> bool:
        """Whether the families are compared."""
        return self.has("comparison")


def plan_comparison(data: DatasetReady) -> ComparisonPlan | None:
    """Settle which families are compared; None if there is nothing to compare."""
    return ComparisonPlan(data) if data.options.compare else None


@result_task("candidate_{name}", name="cross-validate {name}")
def cross_validate(plan: ComparisonPlan, name: str) -> pa.Table:
    """Score a family on folds of the training rows: a line for each fold."""
    data = plan.data
    found = validation.cross_validate(
        read_training_rows(data),
        data.target,
        data.kind,
        folds=_FOLDS,
        seed=data.seed,
        fit=partial(models.fit, recipe=recipe_of(data, name)),
    )
    mean = found.mean.get(plan.metric)
    log.info("%s: %s %s over %d folds", name, plan.metric, mean, _FOLDS)
    return with_lineage(pa.table(dict(found.scores)), {"model": name})


@result_task("comparison", name="compare families")
def compare_families(plan: ComparisonPlan) -> pa.Table:
    """Metric that decides of every family, the best first."""
    data, lines = plan.data, []
    scores = {name: results.read(plan.table(f"candidate_{name}")) for name in plan.names}
    metric = _defined(plan.metric, data.kind, scores)
    for name, table in scores.items():
        found = table[metric].to_numpy()
        lines.append({"model": name, "mean": found.mean(), "std": found.std()})
    sign = -1 if GREATER_IS_BETTER[parse(metric)] else 1
    lines.sort(key=lambda line: sign * line["mean"])
    facts = {"problem": data.problem, "metric": metric}
    return with_lineage(pa.Table.from_pylist(lines), facts)


def _defined(metric: str, kind: Kind, scores: dict[str, pa.Table]) -> str:
    """The metric, or what stands closest where a fold of a family leaves it undefined."""
    gone = [
        one
        for one in names(kind)
        if any(one not in table.column_names for table in scores.values())
    ]
    found = nearest(metric, gone)
    if found != metric:
        log.warning("%s is not defined on every fold: %s decides", metric, found)
    return found
