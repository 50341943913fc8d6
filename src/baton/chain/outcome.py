"""What came of a chain, as the object that ``baton run --json`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from baton.chain import stored
from baton.chain.events import ModelEvaluated, ModelRef, PageRef, PredictionsReady, TableRef
from baton.chain.runs import ChainRun, Json, StageRun
from baton.errors import InputError

THEIRS = "<BATON_HOME of the workers>"
"""What stands for a folder of which this machine does not know where it is."""

_NOTHING: Json = {
    "metrics": {},
    "intervals": {},
    "baseline": {},
    "drivers": {},
    "warnings": [],
    "model": None,
    "results": {},
    "report": None,
    "notebook": None,
}
"""What a chain has made before it ends."""


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
    warned = chain.evaluated.warnings if chain.evaluated else None
    if warned := warned or (chain.ready.warnings if chain.ready else None):
        content["warnings"] = _warnings(warned, results.folder)
    if chain.evaluated:
        content |= _evaluated(chain.evaluated, results)
    if chain.predicted:
        content |= _predicted(chain.predicted, results)
    if chain.noted:
        content["notebook"] = results.place_of(chain.noted.page)
    return content


def _evaluated(evaluated: ModelEvaluated, results: _Results) -> Json:
    study, ranked = evaluated.data.study, evaluated.leaderboard
    tables = evaluated.tables.items()
    return {
        "metrics": evaluated.scores,
        "intervals": {name: list(ends) for name, ends in evaluated.intervals.items()},
        "baseline": evaluated.baseline,
        "drivers": evaluated.drivers,
        "model": _model(evaluated.model),
        "results": {name: results.place_of(table) for name, table in tables},
        "report": results.place_of(evaluated.report),
        **({"search": _searched(study, results.folder)} if study else {}),
        **({"leaderboard": _ranked(ranked, results.folder)} if ranked else {}),
    }


def _warnings(reference: TableRef, results: Path) -> list[Json]:
    """What to beware of; nothing where its table is on another machine."""
    if not stored.path_of(results, reference).is_file():
        return []
    try:
        lines: list[Json] = stored.read_table(results, reference).to_pylist()
    except InputError as error:
        return [{"kind": "unreadable", "columns": [], "message": str(error)}]
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


def _ranked(leaderboard: TableRef, results: Path) -> list[Json]:
    """Candidates, the best first; none where their table is on another machine."""
    if not stored.path_of(results, leaderboard).is_file():
        return []
    try:
        lines: list[Json] = stored.read_table(results, leaderboard).to_pylist()
    except InputError:
        return []
    return lines


def _predicted(ready: PredictionsReady, results: _Results) -> Json:
    tables = {"new_rows": ready.raw, "new_predictions": ready.predictions}
    return {
        "model": _model(ready.model),
        "results": {name: results.place_of(ref) for name, ref in tables.items()},
        "n_rows": ready.predictions.n_rows,
    }


def _model(model: ModelRef) -> Json:
    content: Json = model.model_dump(include={"name", "version", "run_id"})
    return content | {"uri": model.uri}
