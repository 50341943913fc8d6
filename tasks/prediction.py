"""Predicting rows whose target nobody knows, with a registered model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from prefect import task

from baton import models, problems
from baton.chain.events import ModelRef, PredictionsReady
from baton.errors import InputError
from baton.fingerprint import fingerprint
from baton.lineage import folder, with_lineage
from baton.models.answers import answer, output_of
from baton.problems import Params, Problem
from baton.terms import ROW, SPLIT
from tasks.platform import results
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.platform.tracking import load_model, model_for, newest_version

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionPlan(Plan):
    """What is to be predicted, by which model, and where the answer will stand."""

    problem: Problem[Any]
    params: Params
    chain: str
    reference: ModelRef
    model: models.FittedModel
    source: str
    """Digest of what the new rows are made from."""
    rows: pa.Table | None = field(default=None, repr=False)
    """The rows, if they had to be read to know it."""

    @property
    def folder(self) -> str:
        """Folder of the answer, decided by everything that decides it."""
        return folder(
            self.problem.name,
            model=self.reference.digest,
            parameters=self.params.model_dump(mode="json"),
            source=self.source,
            code=fingerprint(__name__, type(self.problem).__module__),
        )

    @property
    def is_done(self) -> bool:
        """Whether the answer is there, and the rows that it is about."""
        return self.has("new_rows", "new_predictions")

    @property
    def lineage(self) -> dict[str, Any]:
        """What the answer is made from."""
        return {
            "problem": self.problem.name,
            "parameters": self.params.model_dump(mode="json"),
            "source": self.source,
            "model": self.reference.uri,
            "model_digest": self.reference.digest,
        }


def plan_prediction(
    problem: str, parameters: dict[str, Any], version: int | None, chain: str
) -> PredictionPlan:
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
    asked = {name: parameters.get(name) for name in found.names_models}
    reference = newest_version(model_for(found, asked), problem, version)
    model = load_model(reference)
    if "parameters" not in model.origin:
        raise InputError(f"model {reference.uri} does not say what it was made from: train anew")
    other = {name: value for name, value in parameters.items() if name not in asked}
    params = problems.parse(found, model.origin["parameters"] | other)
    source, rows = found.unseen_fingerprint(params), None
    if source is None:
        rows = read_first(found, params)
        source = results.digest_of_table(rows)
    return PredictionPlan(found, params, chain, reference, model, source, rows)


@task(name="read the source", persist_result=False, **results.retried())
def read_first(problem: Problem[Any], params: Params) -> pa.Table:
    """Read the rows of a source of which only reading tells whether it changed."""
    return pa.Table.from_pandas(problem.unseen(params), preserve_index=False)


@result_task("new_rows", name="read new rows", is_outside=True)
def read_new_rows(plan: PredictionPlan) -> pa.Table:
    """Read the rows that are to be predicted."""
    rows = plan.rows
    if rows is None:
        rows = pa.Table.from_pandas(plan.problem.unseen(plan.params), preserve_index=False)
    log.info("%d rows to predict", len(rows))
    if not len(rows):
        raise InputError("there is no row to predict; choose others")
    return with_lineage(rows, plan.lineage)


@result_task("new_predictions", name="predict new rows")
def predict_new_rows(plan: PredictionPlan, raw: pa.Table) -> pa.Table:
    """Answer the model gives for every row, beside the row as it came."""
    frame = raw.to_pandas()
    model = plan.model
    schema = plan.model.origin["schema"]
    for said in plan.problem.unread(frame, schema):
        log.warning("%s", said)
    features = plan.problem.new_features(frame, plan.params, schema)
    columns = {ROW: pa.array(features[ROW])}
    columns |= answer(model, output_of(model, features))
    rows = raw.take(pa.array(features[ROW]))
    beside = [name for name in rows.column_names if name not in {*columns, SPLIT, model.target}]
    table = pa.table(columns | {name: rows[name] for name in beside})
    return with_lineage(table, plan.lineage)


def predictions_ready(plan: PredictionPlan) -> PredictionsReady:
    """Announcement of an answer, once it can be read back."""
    return PredictionsReady(
        chain=plan.chain,
        problem=plan.problem.name,
        model=plan.reference,
        target=plan.model.target,
        raw=plan.table("new_rows"),
        predictions=plan.table("new_predictions"),
    )
