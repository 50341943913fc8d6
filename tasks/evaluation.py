"""Scoring a model on the rows held out, and showing the score where people look."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from baton import metrics, models
from baton.contracts import DatasetReady, ModelTrained
from baton.lineage import code_version, folder, with_lineage
from baton.problems import ROW, Kind, Split
from tasks.data import features_of, read_rows
from tasks.results import result_task

log = logging.getLogger(__name__)

ACTUAL = "actual"
PREDICTED = "predicted"


def evaluation_folder(trained: ModelTrained) -> str:
    """Folder of a model's scores, decided by the model, the rows and the code."""
    return folder(
        trained.problem,
        model=trained.model.model_dump(mode="json"),
        features=trained.data.features.key,
        code=code_version(),
    )


def _lineage(trained: ModelTrained) -> dict[str, Any]:
    return {
        "chain": trained.chain,
        "problem": trained.problem,
        "features": trained.data.features.digest,
        "model": trained.model.uri,
        "model_digest": trained.model.digest,
        "code": code_version(),
    }


@result_task(name="predict held-out rows")
def predict_rows(model: models.FittedModel, trained: ModelTrained, key: str) -> pa.Table:  # noqa: ARG001
    """Predictions of the held-out rows: row id, actual, predicted and class probabilities."""
    data = trained.data
    rows = read_rows(data, Split.TEST)
    columns = {ROW: pa.array(rows[ROW]), ACTUAL: pa.array(rows[data.target])}
    if data.kind is Kind.CLASSIFICATION:
        proba = model.predict_proba(features_of(rows, data))
        columns[PREDICTED] = pa.array(model.labels(proba))
        for place, label in enumerate(model.classes):
            columns[f"p({label})"] = pa.array(proba[:, place])
    else:
        columns[PREDICTED] = pa.array(model.predict(features_of(rows, data)))
    return with_lineage(pa.table(columns), _lineage(trained))


@result_task(name="score predictions")
def score(
    predictions: pa.Table,
    model: models.FittedModel,
    trained: ModelTrained,
    key: str,  # noqa: ARG001
) -> pa.Table:
    """Metrics of the predictions: columns metric and value."""
    data = trained.data
    actual = predictions[ACTUAL].to_numpy()
    if data.kind is Kind.CLASSIFICATION:
        names = [name for name in predictions.column_names if name.startswith("p(")]
        proba = predictions.select(names).to_pandas().to_numpy()
        found = metrics.classification(actual, proba, model.classes)
    else:
        found = metrics.regression(actual, predictions[PREDICTED].to_numpy())
    log.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    table = pa.table({"metric": list(found), "value": list(found.values())})
    return with_lineage(table, _lineage(trained))


def as_dict(scores: pa.Table) -> dict[str, float]:
    """Metrics by name."""
    return dict(zip(scores["metric"].to_pylist(), scores["value"].to_pylist(), strict=True))


@task(name="write artifacts", persist_result=False)
def write_artifacts(trained: ModelTrained, scores: dict[str, float]) -> None:
    """Write the summary and the metrics as artifacts of Prefect."""
    slug = f"{trained.problem}-{trained.chain}".replace("_", "-")
    create_markdown_artifact(
        key=f"summary-{slug}",
        markdown=summary(trained, scores),
        description=f"{trained.problem}: model {trained.model.version} on held-out rows",
    )
    create_table_artifact(
        key=f"metrics-{slug}",
        table=[{"metric": name, "value": value} for name, value in scores.items()],
        description=f"{trained.problem}: metrics on {trained.data.n_test} held-out rows",
    )


def summary(trained: ModelTrained, scores: dict[str, float]) -> str:
    """Markdown summary of one chain."""
    data: DatasetReady = trained.data
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in scores.items())
    return f"""# {trained.problem}: {data.headline} {scores.get(data.headline, float("nan")):.4g}

{data.kind.value.capitalize()} of `{data.target}`; {data.n_train} rows to learn from,
{data.n_test} held out. Model `{trained.model.uri}`, chain `{trained.chain}`.

| metric | held-out value |
| --- | ---: |
{rows}

Features `{data.features.key}`, SHA-256 `{data.features.digest}`.
"""
