"""Making a problem's tables piece by piece, so that memory does not grow with what was read.

The same tables made in whole belong in ``tasks/data.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from prefect import task

from baton import choice
from baton.chain.events import TableRef
from baton.lineage import lineage_of
from baton.partitions import partitions_of
from baton.problems.piecewise import Featuring, Part
from baton.problems.targets import Targets
from baton.terms import Kind
from tasks.data import DatasetPlan, require_contract, stated
from tasks.platform import results
from tasks.platform.cluster import mapping

log = logging.getLogger(__name__)

AT_ONCE = 250_000
"""Rows of the raw table that are read back at once."""


def make_in_pieces(plan: DatasetPlan) -> None:
    """Make the raw table and the features of it, each if it is not there."""
    if plan.is_fresh or not plan.has("raw"):
        load_raw_pieces(plan)
    make_feature_pieces(plan)


@task(name="load raw table in pieces", persist_result=False)
def load_raw_pieces(plan: DatasetPlan) -> None:
    """Load the problem's raw table; each piece is checked against the problem's contract."""
    assert plan.pieces is not None
    first = next(plan.pieces)
    problem, params = plan.problem, plan.params
    telling = problem.telling_rows(first, params)
    facts = {
        "goal": stated(problem.goal(telling, params)),
        "schema": problem.schema(telling, params),
    }
    contract = problem.contract_of_piece(params)
    with results.Written(plan.key("raw"), plan.lineage | facts) as kept:
        for piece in chain([first], plan.pieces):
            require_contract(problem.name, contract, piece)
            kept.write(pa.Table.from_pandas(piece, preserve_index=False))
        log.info("%s: %d rows, %d columns", problem.name, kept.n_rows, first.shape[1])


@task(name="make features in pieces", persist_result=False)
def make_feature_pieces(plan: DatasetPlan) -> None:
    """Transform the raw table to features and split it: targets first, as they decide the split."""
    raw = plan.table("raw")
    facts = lineage_of(results.schema(raw))
    targets = _targets(plan, raw, facts)
    is_held = plan.problem.held_out(targets, plan.params)
    n_train, n_test = targets.counts(is_held)
    for note in facts["goal"]["notes"]:
        log.info("%s", note)
    log.info("%d rows to train on, %d held out", n_train, n_test)
    told = {
        "goal": facts["goal"],
        "choice": choice.facts_of(targets.kind, *targets.sides(is_held)),
        "n_train": n_train,
        "n_test": n_test,
        "raw": raw.digest,
        "schema": facts["schema"],
    }
    work = Featuring(plan.problem, plan.params, facts["schema"])
    with (
        results.Written(plan.key("features"), plan.lineage | told) as kept,
        mapping(plan.options.engine) as mapped,
    ):
        for features in mapped(work, _parts(raw, is_held)):
            kept.write(features)


def _parts(raw: TableRef, is_held: np.ndarray[Any, Any]) -> Iterator[Part]:
    for rows in partitions_of(results.checked(raw)):
        yield Part(rows, is_held[rows.begin : rows.end])


def _targets(plan: DatasetPlan, raw: TableRef, facts: dict[str, Any]) -> Targets:
    goal = facts["goal"]
    found = Targets(Kind(goal["kind"]))
    for table in results.batches(raw, AT_ONCE, [goal["target"]]):
        piece = table.to_pandas()
        found.add(plan.problem.target_of_piece(piece, plan.params, facts["schema"]))
    return found
