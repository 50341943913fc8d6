"""What came of a chain, as the object that ``baton run --json`` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from baton.chain import stored
from baton.chain.decisions import TOLD
from baton.chain.events import (
    Coverage,
    DecisionThreshold,
    DriftDetected,
    ModelDecided,
    ModelEvaluated,
    ModelPromoted,
    ModelRef,
    PageRef,
    PredictionsReady,
    RowsMonitored,
    TableRef,
)
from baton.chain.runs import ChainRun, Json, StageRun
from baton.errors import InputError

THEIRS = "<BATON_HOME of the workers>"
"""What stands for a folder of which this machine does not know where it is."""

_FIRST = 5
"""Rows of an answer that are shown."""

_NOTHING: Json = {
    "title": None,
    "summary": "",
    "columns": [],
    "metrics": {},
    "intervals": {},
    "baseline": {},
    "headline": None,
    "coverage": None,
    "threshold": None,
    "drivers": {},
    "drivers_unit": "",
    "leaderboard": [],
    "warnings": [],
    "model": None,
    "decision": None,
    "drift": None,
    "results": {},
    "report": None,
    "notebook": None,
}
"""What a chain has made before it ends."""

_UNREADABLE: Json = {"kind": "unreadable", "columns": []}
"""A warning in place of those that were altered."""


def never_begun(problem: str, error: str) -> Json:
    """Outcome of a chain that did not begin."""
    begun: Json = {"chain": None, "problem": problem, "state": "FAILED", "stages": []}
    return {**begun, **_NOTHING, "error": error}


@dataclass(frozen=True)
class _Results:
    """Folder of results, or what is here in place of the workers' one."""

    folder: Path
    is_elsewhere: bool

    def place_of(self, reference: TableRef | PageRef) -> str:
        """File of a table or a page; the workers', by its name there, where it is not here."""
        path = stored.path_of(self.folder, reference)
        if isinstance(reference, PageRef):  # which a person opens
            stored.brought(self.folder, reference)
        is_theirs = self.is_elsewhere and not path.exists()
        return f"{THEIRS}/{self.folder.name}/{reference.key}" if is_theirs else str(path)


def of_chain(chain: ChainRun, results: Path, *, is_elsewhere: bool = False) -> Json:
    """Outcome of a chain.

    Parameters
    ----------
    chain : ChainRun
    results : Path
        Folder of results.
    is_elsewhere : bool
        Whether the workers may have another home than this one: what is not here is named as
        theirs.
    """
    now = datetime.now(UTC)
    content: Json = {
        "chain": chain.id,
        "problem": chain.problem,
        "state": chain.state,
        "stages": [_stage(run, now) for run in chain.stages],
        **_NOTHING,
    }
    return content | _made(chain, _Results(results, is_elsewhere)) | _error(chain)


def _stage(run: StageRun, now: datetime) -> Json:
    return {
        "stage": run.stage.value,
        "state": run.state,
        "flow_run_id": run.flow_run_id,
        "seconds": _rounded(run.seconds(now)),
        "hop_seconds": _rounded(run.hop_seconds),
        "cached": run.is_cached,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _error(chain: ChainRun) -> Json:
    return {"error": chain.input_error or chain.failure} if chain.failure else {}


def _made(chain: ChainRun, results: _Results) -> Json:
    content: Json = {}
    if data := chain.ready or (chain.evaluated and chain.evaluated.data):
        content["title"] = data.title
    warned = chain.evaluated.warnings if chain.evaluated else None
    warned = warned or (chain.predicted.warnings if chain.predicted else None)
    if warned := warned or (chain.ready.warnings if chain.ready else None):
        content["warnings"] = _lines(warned, results.folder, _UNREADABLE)
    if chain.evaluated:
        content |= _evaluated(chain.evaluated, results)
    if chain.decided:
        content |= _decided(chain.decided, results)
    if chain.predicted:
        content |= _predicted(chain.predicted, results)
    if chain.monitored:
        content["drift"] = _monitored(chain.monitored, results)
    if chain.noted:
        content["notebook"] = results.place_of(chain.noted.page)
    return content


def _evaluated(evaluated: ModelEvaluated, results: _Results) -> Json:
    study = evaluated.data.study
    tables = evaluated.tables.items()
    return {
        "metrics": evaluated.scores,
        "intervals": {name: list(ends) for name, ends in evaluated.intervals.items()},
        "baseline": evaluated.baseline,
        "headline": evaluated.data.headline,
        "coverage": _stated(evaluated.coverage),
        "threshold": _stated(evaluated.threshold),
        "drivers": evaluated.drivers,
        "drivers_unit": evaluated.drivers_unit,
        "summary": evaluated.summary,
        "columns": _lines(evaluated.columns, results.folder),
        "leaderboard": _lines(evaluated.leaderboard, results.folder),
        "model": _model(evaluated.model),
        "results": {name: results.place_of(table) for name, table in tables},
        "report": results.place_of(evaluated.report),
        **({"search": _searched(study, results.folder)} if study else {}),
    }


def _decided(decided: ModelDecided, results: _Results) -> Json:
    """What the gate said, and the report with it."""
    said = decided.model_dump(mode="json", include=TOLD)
    is_promoted = isinstance(decided, ModelPromoted)
    found: Json = {"decision": {"promoted": is_promoted, "version": decided.model.version, **said}}
    return found | ({"report": results.place_of(decided.page)} if decided.page else {})


def _stated(found: Coverage | DecisionThreshold | None) -> Json | None:
    return None if found is None else found.model_dump(mode="json")


def _lines(reference: TableRef | None, results: Path, unreadable: Json | None = None) -> list[Json]:
    """Lines of a small table; none where it is on another machine, or was altered.

    What stands for one that was altered is given, but for its ``message``.
    """
    if reference is None or not stored.brought(results, reference).is_file():
        return []
    try:
        lines: list[Json] = stored.read_table(results, reference).to_pylist()
    except InputError as error:
        return [] if unreadable is None else [{**unreadable, "message": str(error)}]
    return lines


def _searched(study: TableRef, results: Path) -> Json:
    """What is known of the search; nothing where its table is on another machine."""
    try:
        lineage = stored.lineage(results, study)
    except InputError as error:
        return {"error": str(error)}
    if not lineage:
        return {}
    best = {"trial": lineage["best"], lineage["metric"]: lineage["value"]}
    return {
        "study": lineage["study"],
        "n_trials": study.n_rows,
        "best": best | {"params": lineage["params"]},
    }


def _predicted(ready: PredictionsReady, results: _Results) -> Json:
    tables = {
        "new_rows": ready.raw,
        "new_predictions": ready.predictions,
        "new_doubts": ready.doubts,
    }
    return {
        "model": _model(ready.model),
        "results": {name: results.place_of(ref) for name, ref in tables.items() if ref},
        "n_rows": ready.predictions.n_rows,
        "n_doubts": ready.doubts.n_rows if ready.doubts else 0,
        "first_rows": _first_rows(ready.predictions, results.folder),
    }


def _monitored(found: RowsMonitored, results: _Results) -> Json:
    """How far the new rows are from those that the model knows, and what is begun by it."""
    is_announced = isinstance(found, DriftDetected)
    begun = found.generate.chain if isinstance(found, DriftDetected) and found.generate else None
    return {
        "drifted": list(found.drifted),
        "reason": found.reason,
        "announced": is_announced,
        "held_back": "" if isinstance(found, DriftDetected) else found.held_back,
        "begins": begun,
        "columns": results.place_of(found.columns) if found.columns else None,
        "page": results.place_of(found.page) if found.page else None,
    }


def _first_rows(reference: TableRef, results: Path) -> list[Json]:
    """First rows of a table, ready for JSON; none where it is on another machine."""
    path = stored.brought(results, reference)
    if not path.is_file():
        return []
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(stored.checked(results, reference)) as file:
            rows = next(file.iter_batches(_FIRST)).to_pylist()
    except (InputError, StopIteration):
        return []
    return [{name: plain(value) for name, value in row.items()} for row in rows]


def plain(value: Any) -> Any:
    """Value of a cell, ready for JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _model(model: ModelRef) -> Json:
    content: Json = model.model_dump(include={"name", "version", "run_id"})
    return content | {"uri": model.uri}
