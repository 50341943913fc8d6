"""Files of a home that were damaged at rest: noticed, put aside, made again; never a wrong answer.

One chain that has ended is damaged in one file at a time and repeated, stage by stage, in this
process. What the commands do with a damaged home is in ``tests/e2e/test_storage_faults.py``.
"""

import asyncio
import shutil
from dataclasses import dataclass

import pytest

from baton.chain.events import ModelEvaluated
from baton.settings import settings
from baton.terms import Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import TABLES, EvaluationPlan
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained

pytestmark = pytest.mark.usefixtures("prefect")

PARAMS = {"rows": 300}
OPTIONS = Options(n_repeats=1, importance_rows=20, explain_rows=5, model="decision_tree")
CHAIN = "0123456789ab"
TABLE_FILES = [("data", name) for name in ("raw", "features")] + [
    ("evaluation", name) for name in TABLES
]


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


@pytest.fixture
def chain(ended):
    """That chain; what a test damaged is whole again afterwards, by another run."""
    yield ended
    run_chain()


def truncate(path, other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path, other):
    path.write_bytes(b"")


def flip(path, other):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def swap(path, other):
    shutil.copy(other, path)


def remove(path, other):
    path.unlink()


FAULTS = [truncate, empty, flip, swap, remove]


def table_path(chain, table):
    return settings().results / chain.evaluated.tables[table].key


def same(chain, again):
    """Whether a repeat came to the very answers, to the byte of every table."""
    assert again.evaluated.scores == chain.evaluated.scores
    assert again.evaluated.intervals == chain.evaluated.intervals
    digests = [{n: t.digest for n, t in one.evaluated.tables.items()} for one in (chain, again)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("table", ["raw", "features", "metrics"])
def test_a_damaged_table_is_made_again_the_same(chain, table, fault):
    """Byte for byte, so that nothing after it is made anew; what stood there is put aside."""
    path = table_path(chain, table)
    was, other = path.read_bytes(), table_path(chain, "shap_local")
    fault(path, other)
    damaged = path.read_bytes() if path.exists() else None
    asides = set(path.parent.glob("*.aside*"))
    again = run_chain()
    same(chain, again)
    assert again.made["train"] == "Cached"
    assert path.read_bytes() == was
    kept = [one.read_bytes() for one in set(path.parent.glob("*.aside*")) - asides]
    assert kept == ([] if damaged is None else [damaged])


def test_a_repeat_makes_nothing(chain):
    """Each stage finds what it made."""
    assert set(run_chain().made.values()) == {"Cached"}
