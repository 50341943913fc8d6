"""What is predicted of a period: kept once, for whoever reads all periods as one table.

One Parquet file a period, below ``period=…``: pandas, Arrow and DuckDB read the folder above, which
is that of one question, as one table. Predicting belongs in ``tasks/prediction.py``.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from prefect.runtime import flow_run

from baton import disk, problems
from baton.chain import periods
from baton.chain.events import ModelRef, PredictionsReady
from baton.errors import InputError
from baton.lineage import digest_of
from baton.settings import settings
from baton.stores import shelf
from tasks.platform import results
from tasks.platform.stage import exclusive
from tasks.platform.tracking import model_for

_READY = b"baton.ready"
"""Key of the file's metadata: what was announced of it."""

_BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Period:
    """A period of a problem's new rows, and where the answer to them stands."""

    name: str
    """Such as ``2021-03``."""
    parameters: dict[str, Any]
    """Of the problem, for this period."""
    path: Path

    @property
    def _key(self) -> str:
        return self.path.relative_to(settings().results).as_posix()

    @property
    def lock(self) -> AbstractContextManager[None]:
        """Held by whoever predicts it."""
        return exclusive(f"periods/{digest_of(self._key)[:32]}")

    def kept(self, chain: str) -> PredictionsReady | None:
        """Announcement of what was predicted of it before, if all of that is there still."""
        try:
            said = json.loads(pq.read_schema(shelf.take(self.path)).metadata[_READY])
            begun = said["retrain"] if said["chain"] == chain else None
            ready = PredictionsReady.model_validate(said | {"chain": chain, "retrain": begun})
            for table in (ready.raw, ready.predictions):
                results.checked(table)
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowInvalid, InputError):
            return None
        # An end may have come between the disk and the shelf.
        if shelf.is_used() and not shelf.has(self.path):
            shelf.put(self.path)
        return ready

    def keep(self, ready: PredictionsReady) -> None:
        """Keep the answer, with its version and time, as the period's."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(".answers.new")
        told = {_READY: json.dumps(ready.payload()).encode()}
        with disk.told(settings().results):
            _write(new, ready, told)
            new.replace(self.path)
        shelf.put(self.path)


def _write(path: Path, ready: PredictionsReady, told: dict[bytes, bytes]) -> None:
    now, writer = datetime.now(UTC), None
    try:
        for batch in results.batches(ready.predictions, _BATCH_ROWS):
            table = batch.append_column(
                "_version", pa.array([ready.model.version] * len(batch), pa.int32())
            ).append_column("_at", pa.array([now] * len(batch), pa.timestamp("us", "UTC")))
            table = table.replace_schema_metadata(told)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def period_of(
    problem: str, parameters: dict[str, Any], period: str, model: ModelRef | int | None
) -> Period | None:
    """Settle which period is predicted; None if none was asked for.

    Parameters
    ----------
    problem : str
    parameters : dict
        `{period}` in them stands for the period.
    period : str
        Such as ``2021-03``; or ``month``: the last whole one before the time of the run.
    model : ModelRef or int, optional
        Version that was asked for: another one's answers are others.

    Raises
    ------
    InputError
        If it is no period, or nothing in the parameters depends on it.
    """
    if not period:
        if periods.is_named(parameters):
            raise InputError(f"{periods.PLACE} stands in the parameters: give a period")
        return None
    if not periods.is_named(parameters):
        raise InputError(
            f"period {period!r}: {periods.PLACE} stands in no parameter, so that every period"
            " would have the same rows; such as -p path=new/{period}.csv"
        )
    at = flow_run.scheduled_start_time or datetime.now(UTC)
    name = periods.settled(period, datetime.fromisoformat(str(at)))
    found = problems.get(problem)
    registered = model_for(found, {one: parameters.get(one) for one in found.names_models})
    version = model.version if isinstance(model, ModelRef) else model
    asked = digest_of({"parameters": parameters, "version": version})[:16]
    folder = settings().results / "periods" / registered / asked
    path = folder / f"period={name}" / "answers.parquet"
    return Period(name, periods.filled(parameters, name), path)
