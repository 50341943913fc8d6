"""Predicting rows whose target nobody knows, with a registered model."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from baton import models, problems
from baton.chain.events import ModelRef, PredictionsReady
from baton.errors import InputError
from baton.evaluation import metrics
from baton.lineage import code_version, folder, with_lineage
from baton.problems import Params, Problem
from baton.terms import ROW, SPLIT, Kind
from tasks.platform import results
from tasks.platform.results import result_task
from tasks.platform.tracking import load_model, newest_version

log = logging.getLogger(__name__)

PREDICTED = "predicted"


@dataclass(frozen=True)
class Job:
    """What is to be predicted, by which model, and where the answer will stand."""

    problem: Problem[Any]
    params: Params
    chain: str
    reference: ModelRef
    model: models.FittedModel
    fingerprint: str

    @property
    def folder(self) -> str:
        """Folder of the answer, decided by everything that decides it."""
        return folder(
            self.problem.name,
            model=self.reference.digest,
            parameters=self.params.model_dump(mode="json"),
            source=self.fingerprint,
            code=code_version(inspect.getfile(type(self.problem))),
        )

    @property
    def raw_key(self) -> str:
        """Place of the rows as they came."""
        return f"{self.folder}/new_rows.parquet"

    @property
    def key(self) -> str:
        """Place of the answer."""
        return f"{self.folder}/new_predictions.parquet"

    @property
    def lineage(self) -> dict[str, Any]:
        """What the answer is made from."""
        return {
            "chain": self.chain,
            "problem": self.problem.name,
            "parameters": self.params.model_dump(mode="json"),
            "source": self.fingerprint,
            "model": self.reference.uri,
            "model_digest": self.reference.digest,
        }


def plan_prediction(
    problem: str, parameters: dict[str, Any], version: int | None, chain: str
) -> Job:
    """Find the model and settle what it is asked.

    Parameters
    ----------
    problem : str
    parameters : dict
        Those that differ from the parameters the model was trained with.
    version : int, optional
        Version of the registered model; the newest if not given.
    chain : str

    Raises
    ------
    InputError
        If there is no such model, or a parameter is unknown or ill-typed.
    """
    found = problems.get(problem)
    reference = newest_version(problem, version)
    model = load_model(reference)
    if "parameters" not in model.origin:
        raise InputError(f"model {reference.uri} does not say what it was made from: train anew")
    params = problems.parse(found, model.origin["parameters"] | parameters)
    return Job(found, params, chain, reference, model, found.unseen_fingerprint(params))


@result_task(name="read new rows", outside=True)
def read_new_rows(job: Job, key: str) -> pa.Table:  # noqa: ARG001
    """Read the rows that are to be predicted."""
    rows = job.problem.unseen(job.params)
    log.info("%d rows to predict", len(rows))
    if rows.empty:
        raise InputError("there is no row to predict; choose others")
    return with_lineage(pa.Table.from_pandas(rows, preserve_index=False), job.lineage)


@result_task(name="predict new rows")
def predict_new_rows(raw: pa.Table, job: Job, key: str) -> pa.Table:  # noqa: ARG001
    """Answer the model gives for every row, beside the row as it came."""
    frame = raw.to_pandas()
    model = job.model
    features = job.problem.new_features(frame, job.params, job.model.origin["schema"])
    columns = {ROW: pa.array(features[ROW])}
    columns |= answer(model, metrics.model_output(model, features))
    rows = raw.take(pa.array(features[ROW]))
    beside = [name for name in rows.column_names if name not in {*columns, SPLIT, model.target}]
    table = pa.table(columns | {name: rows[name] for name in beside})
    return with_lineage(table, job.lineage)


def answer(model: models.FittedModel, output: Any) -> dict[str, pa.Array[Any]]:
    """Columns of a model's output: what it predicts, and the probability of each class."""
    if model.kind is not Kind.CLASSIFICATION:
        return {PREDICTED: pa.array(output)}
    proba = {f"p({label})": pa.array(output[:, n]) for n, label in enumerate(model.classes)}
    return {PREDICTED: pa.array(model.labels(output)), **proba}


def predictions_ready(job: Job) -> PredictionsReady:
    """Announcement of an answer, once it can be read back."""
    return PredictionsReady(
        chain=job.chain,
        problem=job.problem.name,
        model=job.reference,
        target=job.model.target,
        raw=results.require(job.raw_key),
        predictions=results.require(job.key),
    )
