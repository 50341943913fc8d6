"""Fitting a model on a problem's training rows."""

from __future__ import annotations

import logging
import time
from typing import Any

from prefect import task

from baton import models
from baton.contracts import DatasetReady
from baton.lineage import code_version, digest_of
from baton.problems import ROW

log = logging.getLogger(__name__)


def model_key(data: DatasetReady) -> str:
    """Key under which a model is registered: what decides it, digested."""
    decides = {
        "features": data.features.key,
        "target": data.target,
        "seed": data.seed,
        "model": models.DEFAULT,
        "code": code_version(),
    }
    return digest_of(decides)[:32]


@task(name="fit model", persist_result=False)
def fit_model(rows: Any, data: DatasetReady) -> models.FittedModel:
    """Fit the default model on the training rows."""
    began = time.perf_counter()
    fitted = models.fit(rows.drop(columns=ROW), data.target, data.kind, seed=data.seed)
    seconds = time.perf_counter() - began
    log.info("fitted %s on %d rows in %.1f s", fitted.family, len(rows), seconds)
    return fitted


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
