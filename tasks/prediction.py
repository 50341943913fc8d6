"""Predicting rows whose target nobody knows, with a registered model, by batches.

What stands in cells that the model cannot read is kept cell by cell, beside the answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
from prefect import task

from baton import models, problems
from baton.chain import records
from baton.chain.events import (
    DatasetOrder,
    EventName,
    ModelRef,
    PredictionsReady,
    TableRef,
    chain_begun_by,
)
from baton.errors import InputError
from baton.fingerprint import fingerprint
from baton.lineage import folder
from baton.models.answers import answer, output_of
from baton.models.doubts import Doubts, unknown_categories, unread_numbers
from baton.problems import Params, Problem
from baton.settings import settings
from baton.tables.reading import attrs_of
from baton.tables.unread import require_readable
from baton.terms import ROW, SPLIT
from baton.warning import as_table, left_aside
from tasks.platform import results
from tasks.platform.plan import Plan
from tasks.platform.tracking import champion_of, load_model, model_for, newest_version

log = logging.getLogger(__name__)

_FOUND: dict[str, Any] = {"tune": False, "compare": (), "space": {}, "study": None}
"""Options of a chain that takes what an earlier one's search has found."""


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
    aside: tuple[str, ...] = ()
    """Columns of the new rows that the model knows nothing of."""

    @property
    def folder(self) -> str:
        """Folder of the answer, decided by everything that decides it."""
        return folder(
            self.problem.name,
            model=self.reference.digest,
            parameters=self.params.model_dump(mode="json"),
            source=self.source,
            code=fingerprint(__name__, *self._code),
        )

    @property
    def _code(self) -> set[str]:
        """Modules that the problem is made of, and those of other packages that answer."""
        return problems.code_of(self.problem) | models.code_of(*self.model.families)

    @property
    def is_done(self) -> bool:
        """Whether the answer is there, and the rows that it is about."""
        return self.has("new_rows", "new_predictions", "new_doubts", "new_warnings")

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
    problem: str, parameters: dict[str, Any], version: ModelRef | int | None, chain: str
) -> PredictionPlan:
    """Find the model and settle what it is asked.

    Parameters
    ----------
    problem : str
    parameters : dict
        Those that differ from the parameters the model was trained with.
    version : ModelRef or int, optional
        Version of the registered model; the champion if not given, or the newest where there is
        no champion.
    chain : str

    Raises
    ------
    InputError
        If there is no such model, or a parameter is unknown or ill-typed.
    """
    found = problems.get(problem)
    asked = {name: parameters.get(name) for name in found.names_models}
    reference = version
    if not isinstance(reference, ModelRef):
        reference = _chosen(model_for(found, asked), problem, reference)
    model = load_model(reference)
    other = {name: value for name, value in parameters.items() if name not in asked}
    params = params_of(found, reference, model, other)
    source, rows = found.unseen_fingerprint(params), None
    aside = found.require_new(params, model.origin["schema"])
    if source is None:
        rows = read_first(found, params)
        source = results.digest_of_table(rows)
    return PredictionPlan(found, params, chain, reference, model, source, rows, aside)


def params_of(
    problem: Problem[Any], reference: ModelRef, model: models.FittedModel, other: dict[str, Any]
) -> Params:
    """Parameters by which new rows are read: the training rows' own, but for some.

    Raises
    ------
    InputError
        If the model does not say them, or one is unknown or ill-typed.
    """
    if "parameters" not in model.origin:
        raise InputError(f"model {reference.uri} does not say what it was made from: train anew")
    found: Params = problems.parse(problem, problem.for_new_rows(model.origin["parameters"], other))
    return found


def _chosen(name: str, problem: str, version: int | None) -> ModelRef:
    """Version that was asked for; else the champion, else the newest."""
    if version is None and (champion := champion_of(name)):
        return champion
    found = newest_version(name, problem, version)
    if version is None:
        log.info("%s has no champion: its newest version, %d, predicts", name, found.version)
    return found


@task(name="read the source", persist_result=False, **results.retried())
def read_first(problem: Problem[Any], params: Params) -> pa.Table:
    """Read the rows of a source of which only reading tells whether it changed."""
    return pa.Table.from_pandas(problem.unseen(params), preserve_index=False)


@task(name="read new rows", task_run_name="read new rows", **results.retried())
def read_new_rows(plan: PredictionPlan) -> TableRef:
    """Read the rows that are to be predicted, and keep them as they came."""
    tables = iter([plan.rows]) if plan.rows is not None else _unseen(plan)
    with results.Written(plan.key("new_rows"), plan.lineage) as kept:
        for table in tables:
            kept.write(table)
        log.info("%d rows to predict", kept.n_rows)
        if not kept.n_rows:
            raise InputError("there is no row to predict; choose others")
    return plan.table("new_rows")


def _unseen(plan: PredictionPlan) -> Iterator[pa.Table]:
    found: Iterator[pa.Table] = plan.problem.unseen_tables(plan.params)
    return found


@task(name="predict new rows", task_run_name="predict new rows", persist_result=False)
def predict_new_rows(plan: PredictionPlan, rows: TableRef) -> None:
    """Answer the model gives for every row, beside the row as it came; and what is doubtful."""
    doubts, begin = Doubts(), 0
    with (
        results.Written(plan.key("new_predictions"), plan.lineage) as answers,
        results.Written(plan.key("new_doubts"), plan.lineage) as cells,
    ):
        for raw in results.batches(rows, plan.problem.rows_at_once):
            predictions, doubtful = predict_batch(plan, raw, begin, doubts)
            answers.write(predictions)
            cells.write(doubtful)
            begin += len(raw)
        require_readable(doubts.unread.values())
    found = [*doubts.warnings(), *left_aside(plan.aside)]
    for one in found:
        log.warning("%s: %s", one.kind.value, one.message)
    with results.Written(plan.key("new_warnings"), plan.lineage) as warnings:
        warnings.write(as_table(found))


class Predictor(Protocol):
    """What answers rows: a model, and the problem that reads them."""

    @property
    def problem(self) -> Problem[Any]:
        """Reads the rows."""

    @property
    def params(self) -> Params:
        """Parameters by which it does."""

    @property
    def model(self) -> models.FittedModel:
        """Answers."""


def predict_batch(
    plan: Predictor, raw: pa.Table, begin: int, doubts: Doubts
) -> tuple[pa.Table, pa.Table]:
    """Answers for some rows, and their doubtful cells, which are added to what is known of others.

    Parameters
    ----------
    plan : Predictor
    raw : Table of shape (n, k)
    begin : int
        Row id of the first of them.
    doubts : Doubts
    """
    answers, doubtful = answers_to(plan, raw, begin, doubts)
    rows = raw.take(pa.array(answers[ROW].to_numpy() - begin))
    hidden = {*answers.column_names, SPLIT, plan.model.target}
    beside = [name for name in rows.column_names if name not in hidden]
    for name in beside:
        answers = answers.append_column(name, rows[name])
    return answers, doubtful


def answers_to(
    plan: Predictor, raw: pa.Table, begin: int, doubts: Doubts
) -> tuple[pa.Table, pa.Table]:
    """Answers alone, as :func:`predict_batch` gives them, by row id; and the doubtful cells."""
    frame = framed(raw)
    model, schema = plan.model, plan.model.origin["schema"]
    unread = list(plan.problem.unread(frame, schema))
    features = plan.problem.new_features(frame, plan.params, schema)
    unread += unread_numbers(model.encoder, features)
    ids = {ROW: pa.array(features[ROW].to_numpy() + begin)}
    doubtful = doubts.add(unread, unknown_categories(model.encoder, features), begin)
    return pa.table(ids | answer(model, output_of(model, features))), doubtful


def framed(raw: pa.Table) -> pd.DataFrame:
    """Raw rows as a problem takes them, with what their file says of itself."""
    frame: pd.DataFrame = raw.to_pandas()
    frame.attrs |= attrs_of(raw.schema)
    return frame


def predictions_ready(plan: PredictionPlan) -> PredictionsReady:
    """Announcement of an answer, once it can be read back."""
    return PredictionsReady(
        chain=plan.chain,
        problem=plan.problem.name,
        model=plan.reference,
        target=plan.model.target,
        raw=plan.table("new_rows"),
        predictions=plan.table("new_predictions"),
        doubts=plan.table("new_doubts"),
        warnings=plan.table("new_warnings"),
        retrain=retraining(plan.problem.name, plan.reference, plan.model, plan.chain),
    )


def retraining(
    problem: str, reference: ModelRef, model: models.FittedModel, chain: str
) -> DatasetOrder | None:
    """What is begun if the rows of a chain have drifted: what the model's own chain asked for."""
    origin = records.of_model(settings(), problem, reference)
    if origin is None or origin.data.options.retrain is None:
        return None
    options = origin.data.options
    if options.tune:  # what the search found is taken: it would find nothing left to search
        options = options.model_copy(update=_FOUND)
    return DatasetOrder(
        chain=chain_begun_by(EventName.DRIFT_DETECTED, chain),
        problem=problem,
        parameters=model.origin["parameters"] | origin.data.options.retrain,
        options=options,
    )
