"""Choosing a family of models by cross-validation on the training rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from baton import models
from baton.chain.events import DatasetReady
from baton.evaluation import metrics, validation
from baton.fingerprint import fingerprint
from baton.lineage import folder, with_lineage
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
    def folder(self) -> str:
        """Folder of the scores."""
        options = self.data.options
        return folder(
            self.data.problem,
            features=self.data.features.digest,
            target=self.data.target,
            headline=self.data.headline,
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
    mean = found.mean.get(data.headline)
    log.info("%s: %s %s over %d folds", name, data.headline, mean, _FOLDS)
    return with_lineage(pa.table(dict(found.scores)), {"model": name})


@result_task("comparison", name="compare families")
def compare_families(plan: ComparisonPlan) -> pa.Table:
    """Headline metric of every family, the best first."""
    data, lines = plan.data, []
    for name in plan.names:
        scores = results.read(plan.table(f"candidate_{name}"))
        found = scores[data.headline].to_numpy()
        lines.append({"model": name, "mean": found.mean(), "std": found.std()})
    sign = -1 if metrics.GREATER_IS_BETTER[metrics.parse(data.headline)] else 1
    lines.sort(key=lambda line: sign * line["mean"])
    facts = {"problem": data.problem, "metric": data.headline}
    return with_lineage(pa.Table.from_pylist(lines), facts)
