"""Checking a data set's tables for what a colleague would warn of.

The checks are pure functions in ``baton.checks``; here the tables are read, and the warnings kept
as a result of their own: a changed check makes them anew, and trains nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from prefect import task

from baton import checks
from baton.chain.events import DatasetReady
from baton.checks.columns import left_out_of
from baton.fingerprint import fingerprint
from baton.lineage import folder, with_lineage
from baton.relational.account import relations_of
from baton.terms import ROW
from baton.warning import as_table, of_table
from tasks.platform import results
from tasks.platform.plan import Plan
from tasks.platform.results import result_task
from tasks.rows import facts_of, sample

log = logging.getLogger(__name__)

_MOST_CELLS = 20_000_000
"""Rows times columns of a table up to which all rows are looked at."""

_SAMPLED_ROWS = 250_000
"""Rows of a larger one that are."""

_AT_ONCE = 500_000


@dataclass(frozen=True)
class ChecksPlan(Plan):
    """Which data set is to be checked."""

    data: DatasetReady

    @property
    def folder(self) -> str:
        """Folder of the warnings."""
        return folder(self.data.problem, **self.lineage)

    @property
    def is_done(self) -> bool:
        """Whether it is checked."""
        return self.has("warnings")

    @property
    def lineage(self) -> dict[str, Any]:
        """What the warnings are made from."""
        data = self.data
        return {
            "raw": data.raw.digest,
            "features": data.features.digest,
            "target": data.target,
            "kind": data.kind.value,
            "seed": data.seed,
            "code": fingerprint(__name__),
        }


@result_task("warnings", name="check data")
def check_data(plan: ChecksPlan) -> pa.Table:
    """Look at the tables as a colleague would: a line for each warning."""
    found = checks.inspect(read_sides(plan.data))
    return with_lineage(as_table(found), plan.lineage)


def read_sides(data: DatasetReady) -> checks.Sides:
    """Feature table in its parts, with what of the raw table the checks look at."""
    table, facts = _read_features(data), facts_of(data)
    left_out = left_out_of(facts.get("schema", {}))
    raw = _read_raw(data, {*table.columns, *left_out}, table[ROW].to_numpy())
    return checks.Sides.of(
        table,
        data.target,
        data.kind,
        raw=raw,
        left_out=left_out,
        parameters=facts.get("parameters", {}),
        seed=data.seed,
        relations=relations_of(facts.get("schema", {})),
    )


def _read_features(data: DatasetReady) -> Any:
    """Feature table, or of a large one some rows by chance."""
    if data.features.n_rows * len(results.schema(data.features)) <= _MOST_CELLS:
        return results.read(data.features).to_pandas()
    found = sample(data, None, most=_SAMPLED_ROWS).to_pandas()
    log.info("%d of the %d rows are looked at", len(found), data.features.n_rows)
    return found


def _read_raw(data: DatasetReady, wanted: set[str], rows: Any) -> Any:
    """Columns of the raw table that are text, or are no features; of these rows at least."""
    fields = [field for field in results.schema(data.raw) if field.name in wanted]
    names = [field.name for field in fields if not _is_plain(field.type)]
    if len(rows) == data.features.n_rows:
        return results.read(data.raw, columns=names).to_pandas()
    if not names:  # a large file is not read through for nothing
        return pd.DataFrame(index=rows)
    found, begin = [], 0
    for table in results.batches(data.raw, _AT_ONCE, names):
        there = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, begin + len(table))]
        found.append(table.take(pa.array(there - begin)))
        begin += len(table)
    return pa.concat_tables(found).to_pandas().set_index(rows)


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether cells of a type are numbers or times already, so that none is lost."""
    return pa.types.is_primitive(kind)


@task(name="say warnings", persist_result=False)
def say_warnings(plan: ChecksPlan) -> None:
    """Say them in the run's log."""
    for one in of_table(results.read(plan.table("warnings"))):
        log.warning("%s: %s", one.kind.value, one.message)


def dataset_checked(plan: ChecksPlan) -> DatasetReady:
    """Announcement of a data set with its warnings, which are said in the log too."""
    say_warnings(plan)
    return plan.data.model_copy(update={"warnings": plan.table("warnings")})
