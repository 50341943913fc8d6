"""Fitting a model on a problem's training rows, and choosing one by cross-validation."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from prefect import task

from baton import models
from baton.chain.events import DatasetReady, TableRef
from baton.evaluation import metrics, validation
from baton.lineage import code_version, digest_of, folder, with_lineage
from baton.models import cluster
from baton.terms import ROW, Engine, Split
from tasks.data import origin_of, read_groups, read_rows
from tasks.platform import results
from tasks.platform.cluster import client, cores
from tasks.platform.results import result_task

log = logging.getLogger(__name__)

_FOLDS = 5


def model_key(data: DatasetReady) -> str:
    """Key under which a model is registered: what decides it, digested."""
    decides = {
        "features": data.features.key,
        "target": data.target,
        "seed": data.seed,
        "model": data.options.model,
        "model_params": data.options.model_params,
        "compare": list(data.options.compare),
        "study": data.study.digest if data.study else None,
        "is_on_cluster": data.options.engine is Engine.DASK,
        "code": code_version(),
    }
    return digest_of(decides)[:32]


@task(name="fit model", persist_result=False)
def fit_model(data: DatasetReady, name: str) -> models.FittedModel:
    """Fit a family of models on the training rows."""
    began = time.perf_counter()
    recipe = replace(recipe_of(data, name), origin=origin_of(data))
    if data.options.engine is Engine.DASK and _is_distributed(data, recipe):
        fitted = _fit_on_cluster(data, recipe)
    else:
        fitted = models.fit(read_rows(data, Split.TRAIN).drop(columns=ROW), recipe)
    seconds = time.perf_counter() - began
    log.info("fitted %s on %d rows in %.1f s", fitted.family, data.n_train, seconds)
    return fitted


def _is_distributed(data: DatasetReady, recipe: models.Recipe) -> bool:
    """Tell whether the cluster is worth asking for this fit, and say so if not."""
    if cluster.can_fit(recipe, data.n_train):
        return True
    log.info(
        "%s on %d rows is fitted here: the cluster would not help", recipe.family, data.n_train
    )
    return False


def _fit_on_cluster(data: DatasetReady, recipe: models.Recipe) -> models.FittedModel:
    with client(cores()) as found:
        return cluster.fit(found, results.checked(data.features), recipe)


def recipe_of(data: DatasetReady, name: str) -> models.Recipe:
    """What is to be learnt of a family: with the hyperparameters that were given, if for it."""
    params = data.options.model_params if name == data.options.model else {}
    return models.Recipe(data.target, data.kind, family=name, params=params, seed=data.seed)


def comparison_key(data: DatasetReady, table: str) -> str:
    """Place of what a comparison of families finds."""
    place = folder(data.problem, comparison=model_key(data))
    return f"{place}/{table}.parquet"


@result_task(name="cross-validate {name}")
def cross_validate(data: DatasetReady, name: str, key: str) -> pa.Table:  # noqa: ARG001
    """Score a family on folds of the training rows: a line for each fold."""
    rows = read_rows(data, Split.TRAIN).drop(columns=ROW)
    found = validation.cross_validate(
        rows,
        data.target,
        data.kind,
        folds=_FOLDS,
        seed=data.seed,
        groups=read_groups(data, Split.TRAIN),
        fit=partial(models.fit, recipe=recipe_of(data, name)),
    )
    mean = found.mean.get(data.headline)
    log.info("%s: %s %s over %d folds", name, data.headline, mean, _FOLDS)
    return with_lineage(pa.table(dict(found.scores)), {"chain": data.chain, "model": name})


@result_task(name="compare families")
def compare_families(data: DatasetReady, names: tuple[str, ...], key: str) -> pa.Table:  # noqa: ARG001
    """Headline metric of every family, the best first."""
    lines = []
    for name in names:
        scores = results.read(results.require(comparison_key(data, f"candidate_{name}")))
        found = scores[data.headline].to_numpy()
        lines.append({"model": name, "mean": found.mean(), "std": found.std()})
    sign = -1 if metrics.GREATER_IS_BETTER[metrics.parse(data.headline)] else 1
    lines.sort(key=lambda line: sign * line["mean"])
    facts = {"chain": data.chain, "problem": data.problem, "metric": data.headline}
    return with_lineage(pa.Table.from_pylist(lines), facts)


def chosen(data: DatasetReady, comparison: TableRef | None) -> str:
    """Family to train: the best of those compared, or the one that was asked for."""
    if comparison:
        return str(results.read(comparison)["model"][0].as_py())
    return data.options.model or models.DEFAULT


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
