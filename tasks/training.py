"""Fitting a model on a problem's training rows."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from prefect import task

from baton import models
from baton.chain.events import DatasetReady, ModelRef, ModelTrained
from baton.chance import chance_of
from baton.fingerprint import fingerprint
from baton.lineage import digest_of, folder, lineage_of
from baton.models import cluster
from baton.terms import ROW, SPLIT, WEIGHT, Engine, Kind, Split
from tasks.platform import results
from tasks.platform.cluster import client, cores, has_room
from tasks.platform.plan import Plan
from tasks.platform.tracking import find_version, register
from tasks.rows import (
    example_of,
    is_beyond_memory,
    origin_of,
    parts,
    read_training_rows,
    sampled_rows,
)

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_HELD = 2.0
"""Bytes that XGBoost's workers hold of a table, together, in its own bytes: measured, 1.6."""

_ALONE = models.Mixing.NUMBERS
"""How one model is averaged with itself."""


class Comparison(Plan):
    """What was compared, as far as training asks for it."""

    @abstractmethod
    def answers_of(self, blend: models.Blend) -> tuple[Any, Any]:
        """What its members have answered out of fold together: positions of rows, and answers."""


@dataclass(frozen=True)
class TrainingPlan(Plan):
    """Which model is to be fitted."""

    data: DatasetReady
    comparison: Comparison | None = None
    """The comparison whose choice is taken, if one was asked for."""

    @cached_property
    def version_key(self) -> str:
        """Key under which the model is registered: what decides it, digested."""
        data = self.data
        decides = {
            "features": data.features.digest,
            "target": data.target,
            "seed": data.seed,
            "model": data.options.model,
            "model_params": data.options.model_params,
            "metric": data.options.metric,
            "positive": data.positive,
            "wanted": asdict(wanted_of(data)),
            "comparison": self.comparison.folder if self.comparison else None,
            "study": data.study.digest if data.study else None,
            "is_on_cluster": data.options.engine is Engine.DASK,
            "code": fingerprint(__name__, *code_of(data)),
            **({"is_in_parts": True} if is_beyond_memory(data) else {}),
        }
        return digest_of(decides)[:32]

    @property
    def folder(self) -> str:
        """Name of the place, for its lock; the model itself stands in the registry."""
        return folder(self.data.problem, model=self.version_key)

    @property
    def version(self) -> ModelRef | None:
        """The registered version, if there is one."""
        return find_version(self.data.model_name, self.version_key)

    @property
    def is_done(self) -> bool:
        """Whether the model is registered, and the comparison that chose it is there."""
        return (self.comparison is None or self.comparison.is_done) and self.version is not None

    @property
    def blend(self) -> models.Blend:
        """What is to be fitted: what a comparison chose, or the one family that was asked for."""
        if self.comparison is None:
            recipe = recipe_of(self.data, self.data.options.model or models.DEFAULT)
            return models.Blend((models.Member(recipe.family, recipe, 1.0),), _ALONE)
        facts = lineage_of(results.schema(self.comparison.table("leaderboard")))
        members = tuple(_member(self.data, **one) for one in facts["members"])
        return models.Blend(members, models.Mixing(facts["mixing"]))


def _member(
    data: DatasetReady, name: str, family: str, params: dict[str, Any], weight: float
) -> models.Member:
    return models.Member(name, replace(recipe_of(data, family), params=params), weight)


def recipe_of(data: DatasetReady, name: str) -> models.Recipe:
    """What is to be learnt of a family: with the hyperparameters that were given, if for it."""
    params = data.options.model_params if name == data.options.model else {}
    return models.Recipe(
        data.target,
        data.kind,
        family=name,
        params=params,
        seed=data.seed,
        metric=data.options.metric,
        positive=data.positive,
    )


def code_of(data: DatasetReady) -> set[str]:
    """Modules of other packages whose families a chain's model may be of, for a fingerprint."""
    asked = {data.options.model or models.DEFAULT, *data.options.compare}
    return models.code_of(*asked)


def wanted_of(data: DatasetReady) -> models.Wanted:
    """What is to be found of the model once it is fitted."""
    options = data.options
    if data.kind is Kind.REGRESSION:
        return models.Wanted(interval=options.interval)
    return models.Wanted(options.threshold, options.calibrate)


@task(name="fit model", persist_result=False)
def fit_model(plan: TrainingPlan) -> models.FittedModel:
    """Fit a family of models, or several, on the training rows."""
    began = time.perf_counter()
    data, blend = plan.data, plan.blend
    recipe = replace(blend.members[0].recipe, origin=origin_of(data))
    rows, fitted = None, _fitted_without_rows(data, recipe) if len(blend.members) == 1 else None
    if fitted is None:
        rows = read_training_rows(data)
        fitted = (
            models.fit(rows, recipe)
            if len(blend.members) == 1
            else models.fit_blend(rows, blend, recipe.origin)
        )
    fitted = _finished(fitted, plan, rows)
    seconds = time.perf_counter() - began
    log.info("fitted %s on %d rows in %.1f s", fitted.family, data.n_train, seconds)
    return fitted


def _fitted_without_rows(data: DatasetReady, recipe: models.Recipe) -> models.FittedModel | None:
    """A model whose rows nobody holds all of: on a cluster, or part by part; None if neither."""
    fitted = _fit_on_cluster(data, recipe) if _is_distributed(data, recipe) else None
    if fitted is None and _is_in_parts(data, recipe):
        fitted = models.fit_in_parts(training_source(data), recipe)
    return fitted


def _finished(
    fitted: models.FittedModel, plan: TrainingPlan, rows: pd.DataFrame | None
) -> models.FittedModel:
    """Model with its threshold, calibration and intervals; say what was found.

    They are found of what was answered out of fold when candidates were compared, if any were.
    """
    data, blend, wanted = plan.data, plan.blend, wanted_of(plan.data)
    if not wanted.is_of(data.kind):
        return fitted
    rows = read_training_rows(data) if rows is None else rows
    recipe = blend.members[0].recipe
    known = None
    if plan.comparison is not None:
        known = models.known(rows, recipe, *plan.comparison.answers_of(blend))
    found = models.finish(fitted, rows, recipe, wanted, known)
    for said in found.deciding.said():
        log.info("%s", said)
    return found


def _is_distributed(data: DatasetReady, recipe: models.Recipe) -> bool:
    """Tell whether a cluster is wanted and worth asking for this fit, and say so if not."""
    if data.options.engine is not Engine.DASK:
        return False
    is_weighed = WEIGHT in results.schema(data.features).names
    if cluster.can_fit(recipe, data.n_train) and not is_weighed:
        return True
    log.info(
        "%s on %d rows is fitted here: the cluster would not help", recipe.family, data.n_train
    )
    return False


def _is_in_parts(data: DatasetReady, recipe: models.Recipe) -> bool:
    """Tell whether all rows of a table beyond memory are learnt from, and say so if not."""
    if not is_beyond_memory(data):
        return False
    if models.can_learn(recipe, data.n_train):
        return True
    log.warning(
        "%s, as it is asked for, cannot learn part by part from a table beyond memory: a sample is"
        " learnt from; model=xgboost learns from all rows",
        recipe.family,
    )
    return False


def _fit_on_cluster(data: DatasetReady, recipe: models.Recipe) -> models.FittedModel | None:
    """A model fitted by workers; None where a table beyond memory is beyond theirs, too."""
    size = data.features.n_rows * results.bytes_of_row(results.schema(data.features))
    with client(cores()) as found:
        if is_beyond_memory(data) and not has_room(found, _HELD * size):
            log.info("the workers have no room for the rows: they are learnt from here, in parts")
            return None
        return cluster.fit(found, results.checked(data.features), recipe)


def training_source(data: DatasetReady) -> models.Source:
    """Training rows as a model learns from them part by part, whatever their number."""

    def between(low: float, high: float, columns: list[str] | None) -> Iterator[pa.Table]:
        for table in parts(data, Split.TRAIN, columns):
            chance = chance_of(table[ROW].to_numpy(), data.seed)
            chosen = table.filter(pa.array((low <= chance) & (chance < high)))
            yield chosen.drop_columns([ROW, SPLIT])

    n_columns = len(results.schema(data.features))
    return models.Source(data.n_train, sampled_rows(data.n_train, n_columns), between)


def register_model(plan: TrainingPlan, fitted: models.FittedModel) -> None:
    """Register the fitted model under the plan's key."""
    data = plan.data
    register(fitted, data, plan.version_key, parameters_of(fitted, data), example_of(data))


def parameters_of(fitted: models.FittedModel, data: DatasetReady) -> dict[str, Any]:
    """Return what a run of MLflow shows as the model's parameters."""
    return {
        "model": fitted.family,
        "problem": data.problem,
        "kind": data.kind.value,
        "target": data.target,
        "seed": data.seed,
        "n_train": data.n_train,
        "n_test": data.n_test,
        "n_features": len(fitted.encoder.column_names),
        "features_digest": data.features.digest,
        **fitted.params,
    }


def model_trained(plan: TrainingPlan) -> ModelTrained:
    """Announcement of a model, once it is registered.

    Raises
    ------
    RuntimeError
        If it is not.
    """
    data, version = plan.data, plan.version
    if version is None:
        raise RuntimeError(f"the model of chain {data.chain} was not registered")
    return ModelTrained(
        chain=data.chain,
        problem=data.problem,
        data=data,
        model=version,
        leaderboard=plan.comparison.table("leaderboard") if plan.comparison else None,
    )
