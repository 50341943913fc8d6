"""Files of a home that were damaged at rest: noticed, put aside, made again; never a wrong answer.

One chain that has ended is damaged in one file at a time and repeated, stage by stage, in this
process. What the commands do with a damaged home is in ``tests/e2e/test_storage_faults.py``.
"""

import asyncio
import json
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
from mlflow import artifacts
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from baton.chain.events import ModelEvaluated
from baton.settings import settings
from baton.terms import Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained

pytestmark = pytest.mark.usefixtures("prefect")

PARAMS = {"rows": 300}
OPTIONS = Options(n_repeats=1, importance_rows=20, explain_rows=5, model="decision_tree")
CHAIN = "0123456789ab"


@dataclass(frozen=True)
class Ended:
    """A chain that has ended."""

    evaluated: ModelEvaluated
    made: dict[str, str]
    """State of each stage: Completed, or Cached."""


def run_chain() -> Ended:
    """Run the stages one after the other, as their events would."""

    async def run(flow, *arguments):
        return (await flow(*arguments, return_state=True)).name

    made = {"generate": asyncio.run(run(generate, "spheres", PARAMS, OPTIONS))}
    data = dataset_ready(plan_dataset("spheres", PARAMS, OPTIONS, CHAIN))
    made["train"] = asyncio.run(run(train, data))
    trained = model_trained(TrainingPlan(data))
    made["evaluate"] = asyncio.run(run(evaluate, trained))
    return Ended(model_evaluated(ReportPlan(EvaluationPlan(trained))), made)


@pytest.fixture(scope="module")
def ended():
    """A chain that has ended, without a fault."""
    return run_chain()


def truncate(path, other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path, other):
    path.write_bytes(b"")


def flip(path, other):
    content = bytearray(path.read_bytes() or b"?")
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path, other):
    path.write_bytes(other.read_bytes())


def remove(path, other):
    path.unlink()


FAULTS = [truncate, empty, flip, swap, remove]


def files_of(chain):
    """Files of a home that a repeat of the chain must find whole, by their kind."""
    found = chain.evaluated
    tables = {name: settings().results / ref.key for name, ref in found.tables.items()}
    ledgers = {f"ledger of {n}": p.with_name(f"{p.name}.json") for n, p in tables.items()}
    report = settings().results / found.report.key
    artifacts = settings().mlflow / "artifacts"
    logged = {
        f"logged {path.name}": path
        for path in sorted(artifacts.glob(f"*/{found.model.run_id}/artifacts/**/*"))
        if path.is_file()
    }
    folder = next(c for c in artifacts.glob("*/models/*/artifacts/MLmodel") if _is_of(c, found))
    model = {f"model's {p.name}": p for p in sorted(folder.parent.rglob("*")) if p.is_file()}
    whole = {"report": report, "mark": report.with_name("evaluated")}
    own = {"id": settings().home / "id", "lock": settings().locks / "experiment.lock"}
    return tables | ledgers | whole | logged | model | own


def _is_of(card, evaluated):
    return evaluated.model.run_id in card.read_text("utf-8")


def asides():
    """What is kept under another name in this home."""
    return {path: path.read_bytes() for path in settings().home.rglob("*.aside*")}


def check(chain, faults):
    """Damage files, repeat the chain, and find the same answers and every file whole again."""
    files = files_of(chain)
    was = {name: path.read_bytes() for name, path in files.items()}
    before = asides()
    others = dict(zip(files, [*list(files.values())[1:], files["raw"]], strict=True))
    damaged = {}
    for name, fault in faults.items():
        fault(files[name], others[name])
        if files[name].exists():
            damaged[name] = files[name].read_bytes()
    again = run_chain()
    assert again.evaluated.scores == chain.evaluated.scores
    assert again.evaluated.intervals == chain.evaluated.intervals
    kept = {content for path, content in asides().items() if path not in before}
    for name in faults:
        if not name.startswith("model's"):  # a version that is damaged stays, and another is made
            _check_whole(name, files[name], was[name])
        if name in chain.evaluated.tables and name in damaged:
            assert damaged[name] in kept
    assert set(run_chain().made.values()) == {"Cached"}
    return again


def _check_whole(name, path, was):
    if name == "id":
        assert len(path.read_text()) == 32
    elif name.endswith(".html") or name == "report":
        assert path.read_text("utf-8").rstrip().endswith("</html>")
    elif path.suffix in {".parquet", ".png"}:
        assert path.read_bytes() == was
    elif path.suffix == ".json":
        json.loads(path.read_bytes())


def test_every_kind_of_file_is_made_again_at_once(ended):
    """Each file of a home has another fault; one repeat mends all of them."""
    names = [name for name in files_of(ended) if not name.startswith("model's")]
    check(ended, {name: FAULTS[n % len(FAULTS)] for n, name in enumerate(names)})


@pytest.mark.long
def test_a_damaged_model_is_trained_anew_and_registered_anew(ended):
    """Its version stays and is passed over; the new one answers the same."""
    again = check(ended, {"model's model.skops": flip})
    assert again.made["train"] == "Completed"
    assert again.evaluated.model.version == ended.evaluated.model.version + 1
    assert again.evaluated.model.digest == ended.evaluated.model.digest


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_each_file_by_itself_is_made_again(fault):
    """Every kind of file of a home with every fault, one at a time."""
    chain = run_chain()
    pictures = [name for name in files_of(chain) if name.endswith(".png")]
    for name in [one for one in files_of(chain) if one not in pictures[1:]]:
        chain = check(chain, {name: fault})


def test_a_store_that_is_busy_is_no_damage(ended, monkeypatch):
    """Its error is told: a second version of the same would be made otherwise."""
    busy = MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)
    monkeypatch.setattr(artifacts, "download_artifacts", Mock(side_effect=busy))
    with pytest.raises(MlflowException, match="database is locked"):
        TrainingPlan(ended.evaluated.data).is_done  # noqa: B018


@pytest.mark.usefixtures("ended")
def test_a_ledger_of_another_result_vouches_for_nothing():
    """A whole result with its ledger, copied into the place of another, is no answer."""
    chain = run_chain()
    files = files_of(chain)
    for suffix in ("", ".json"):
        here, there = (files[n].with_name(files[n].name + suffix) for n in ("metrics", "raw"))
        here.write_bytes(there.read_bytes())
    assert run_chain().evaluated.scores == chain.evaluated.scores
    assert files["metrics"].read_bytes() != files["raw"].read_bytes()
