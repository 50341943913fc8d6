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
from baton.problems.splits import marked
from baton.problems.targets import Targets
from baton.terms import ROW, SPLIT, Kind
from tasks.data import DatasetPlan, hidden, require_contract, stated
from tasks.platform import results

log = logging.getLogger(__name__)

AT_ONCE = 1_000_000
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
    with results.Written(plan.key("features"), plan.lineage | told) as kept:
        for begin, piece in _read_back(raw):
            features = _features(plan, piece, is_held[begin:], facts["schema"])
            features[ROW] += begin
            kept.write(_wide(pa.Table.from_pandas(features, preserve_index=False)))


def _wide(table: pa.Table) -> pa.Table:
    """Table whose categories may become more in a later piece."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and field.name != SPLIT:
            wide = pa.dictionary(pa.int32(), field.type.value_type)
            table = table.set_column(place, field.name, table[field.name].cast(wide))
    return table


def _targets(plan: DatasetPlan, raw: TableRef, facts: dict[str, Any]) -> Targets:
    goal = facts["goal"]
    found = Targets(Kind(goal["kind"]))
    for _, piece in _read_back(raw, [goal["target"]]):
        found.add(plan.problem.target_of_piece(piece, plan.params, facts["schema"]))
    return found


def _read_back(raw: TableRef, columns: list[str] | None = None) -> Iterator[tuple[int, Any]]:
    """Rows of the raw table, with the place of the first of them."""
    begin = 0
    for table in results.batches(raw, AT_ONCE, columns):
        yield begin, table.to_pandas()
        begin += len(table)


def _features(
    plan: DatasetPlan, raw: Any, is_held: np.ndarray[Any, Any], schema: dict[str, Any]
) -> Any:
    features = plan.problem.features_of_piece(raw, plan.params, schema)
    split = marked(features.index, is_held[features[ROW].to_numpy()])
    return features.assign(**hidden(plan, features, raw, split))
