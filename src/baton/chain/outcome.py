"""What came of a chain, as the object that ``baton run --json`` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from baton.chain import stored
from baton.chain.events import ModelEvaluated, ModelRef, PredictionsReady, TableRef
from baton.chain.runs import ChainRun, Json, StageRun

_NOTHING: Json = {
    "metrics": {},
    "intervals": {},
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


def of_chain(chain: ChainRun, results: Path) -> Json:
    """Outcome of a chain.

    Parameters
    ----------
    chain : ChainRun
    results : Path
        Folder of results.
    """
    now = datetime.now(UTC)
    content: Json = {
        "chain": chain.id,
        "problem": chain.problem,
        "state": "COMPLETED" if chain.state == "COMPLETED" else "FAILED",
        "stages": [_stage(run, now) for run in chain.stages],
        **_NOTHING,
    }
    return content | _made(chain, results) | _error(chain)


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


def _made(chain: ChainRun, results: Path) -> Json:
    content: Json = {}
    if chain.evaluated:
        content |= _evaluated(chain.evaluated, results)
    if chain.predicted:
        content |= _predicted(chain.predicted, results)
    if chain.noted:
        content["notebook"] = str(stored.path_of(results, chain.noted.page))
    return content


def _evaluated(evaluated: ModelEvaluated, results: Path) -> Json:
    study = evaluated.data.study
    tables = evaluated.tables.items()
    return {
        "metrics": evaluated.scores,
        "intervals": {name: list(ends) for name, ends in evaluated.intervals.items()},
        "model": _model(evaluated.model),
        "results": {name: str(stored.path_of(results, table)) for name, table in tables},
        "report": str(stored.path_of(results, evaluated.report)),
        **({"search": _searched(study, stored.lineage(results, study))} if study else {}),
    }


def _searched(study: TableRef, lineage: Json) -> Json:
    """What is known of the search; nothing where its table is on another machine."""
    if not lineage:
        return {}
    best = {"trial": lineage["best"], lineage["metric"]: lineage["value"]}
    return {
        "study": lineage["study"],
        "n_trials": study.n_rows,
        "best": best | {"params": lineage["params"]},
    }


def _predicted(ready: PredictionsReady, results: Path) -> Json:
    tables = {"new_rows": ready.raw, "new_predictions": ready.predictions}
    return {
        "model": _model(ready.model),
        "results": {name: str(stored.path_of(results, ref)) for name, ref in tables.items()},
        "n_rows": ready.predictions.n_rows,
    }


def _model(model: ModelRef) -> Json:
    content: Json = model.model_dump(include={"name", "version", "run_id"})
    return content | {"uri": model.uri}
