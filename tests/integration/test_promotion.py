"""Champions: who becomes one, what is written down of it, and that nothing is left half done."""

import json
import multiprocessing
import os
from itertools import pairwise
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from baton.chain import decisions, records
from baton.chain.decisions import Outcome
from baton.chain.events import ModelEvaluated
from baton.errors import InputError, NoModelError
from baton.evaluation import metrics
from baton.models.answers import output_of
from baton.settings import settings
from baton.terms import Options, Split
from flows.generate import generate
from flows.predict import predict
from flows.promote import promote
from flows.train import train
from tasks import promotion
from tasks.data import dataset_ready, plan_dataset
from tasks.platform import tracking
from tasks.prediction import plan_prediction
from tasks.promotion import back, by_hand
from tasks.rows import read_rows
from tasks.training import TrainingPlan, model_trained
from tests.conftest import ROOT
from tests.integration.stages import evaluated, run
from tests.integration.test_registered_models import data_of, home, register  # noqa: F401

FEW = {"n_repeats": 1, "importance_rows": 20, "explain_rows": 5}
NAME = "baton-table-wine"


def evaluated_of(parameters, options, chain):
    """Announcement of the evaluation of a chain of `table`."""
    return evaluated("table", parameters, options, chain)


def evaluated_like(first, parameters, options, chain):
    """Announcement of another model's evaluation, its tables and page those of the first one's.

    Nothing but its scores is measured: drawing a page takes longer than all that is tested here.
    """
    run(generate, "table", parameters, options)
    data = dataset_ready(plan_dataset("table", parameters, options, chain))
    run(train, data)
    trained = model_trained(TrainingPlan(data))
    rows = read_rows(data, Split.TEST)
    output = output_of(tracking.load_model.fn(trained.model), rows)
    scores = dict(metrics.evaluate(data.kind, rows["y"], output))
    other = {"chain": chain, "data": data, "model": trained.model, "scores": scores}
    return first.model_copy(update=other | {"intervals": {}})


@pytest.fixture
def wine(tmp_path):
    """Parameters of a table with a number to predict."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(random.normal(size=(600, 3)), columns=list("abc"))
    table = table.assign(y=2 * table.a - table.b + random.normal(0, 0.3, 600))
    table.to_csv(tmp_path / "wine.csv", index=False)
    return {"path": str(tmp_path / "wine.csv"), "target": "y", "name": f"wine-{uuid4().hex[:8]}"}


def champions(name=NAME):
    """Version of each alias."""
    return tracking.aliases_of(name)


def model_of(parameters):
    """Name of the table's model."""
    return f"baton-table-{parameters['name']}"


@pytest.mark.usefixtures("prefect")
def test_a_chain_ends_with_a_decision(wine):
    """The first model is the champion; a worse one is rejected, a clearly better one promoted.

    Log, aliases, tags, report, record and Prefect's artifact say the same; a stage that is begun
    again says what was decided, and decides nothing again; predictions are the champion's.
    """
    name = model_of(wine)
    weak = evaluated_of(wine, Options(**FEW, model="decision_tree"), "0" * 12)
    run(promote, weak)
    assert champions(name) == {"champion": 1}
    worse = evaluated_like(
        weak, wine, Options(**FEW, model="decision_tree", model_params={"max_depth": 1}), "1" * 12
    )
    run(promote, worse)
    assert champions(name) == {"champion": 1}
    better = evaluated_like(weak, wine, Options(**FEW, model="linear_regression"), "2" * 12)
    for _ in range(2):
        run(promote, better)
    assert champions(name) == {"champion": 3, "previous": 1}

    log = decisions.read(settings(), name)
    assert [one.outcome.value for one in log] == ["promoted", "rejected", "promoted"]
    assert [one.champion for one in log] == [1, 1, 3]
    assert log[0].reason.endswith("there was no champion")
    assert "worse by" in log[1].reason
    assert "better by" in log[2].reason
    assert log[2].low > 0
    assert log[2].n_rows == better.data.n_test
    folder = decisions.place(settings(), name)
    assert pd.read_parquet(folder)["version"].tolist() == [1, 2, 3]

    tags = tracking._client().get_model_version(name, "2").tags
    assert tags["baton.decision"] == "rejected"
    assert tags["baton.decision_reason"] == log[1].reason[:500]
    kept = records.find(settings(), chain_id="1" * 12)
    page = (settings().results / kept.report.key).read_text("utf-8")
    assert "Not promoted: version 1 stays the champion" in page
    with get_client(sync_client=True) as client:
        found = client.read_artifacts()
    assert any("Champion: version 3" in str(one.data) for one in found)

    assert plan_prediction("table", {"name": wine["name"]}, None, "3" * 12).reference.version == 3
    back(name, "ada", "it is late")
    assert champions(name) == {"champion": 1}
    assert plan_prediction("table", {"name": wine["name"]}, None, "3" * 12).reference.version == 1
    run(promote, better.model_copy(update={"chain": "4" * 12}))
    assert champions(name) == {"champion": 1}
    assert "taken back by ada" in decisions.read(settings(), name)[-1].reason
    run(predict, "table", {"name": wine["name"]})


@pytest.mark.long  # tests/unit/test_gate.py decides about a champion that cannot be scored
@pytest.mark.usefixtures("prefect")
def test_a_champion_that_cannot_answer_stays_and_says_why(wine, tmp_path):
    """The challenger's table lacks a column of the champion's: nothing to compare, nothing lost."""
    name = model_of(wine)
    first = evaluated_of(wine, Options(**FEW, model="decision_tree"), "0" * 12)
    run(promote, first)
    table = pd.read_csv(wine["path"]).drop(columns="a")
    table.to_csv(tmp_path / "narrow.csv", index=False)
    narrow = wine | {"path": str(tmp_path / "narrow.csv")}
    second = evaluated_like(first, narrow, Options(**FEW, model="linear_regression"), "1" * 12)
    run(promote, second)
    assert champions(name) == {"champion": 1}
    reason = decisions.read(settings(), name)[-1].reason
    assert "champion version 1 cannot be compared with" in reason
    assert "columns are missing: a;" in reason
    assert "--version 2 decides without it" in reason


def test_a_gate_that_is_not_understood_is_refused():
    """One line with the fact and the fix, before anything is decided."""
    recorded = json.loads((ROOT / "tests/data/chain/recorded.json").read_text("utf-8"))
    of_kind = [one for one in recorded["events"] if one["event"] == "baton.model.evaluated"]
    first = ModelEvaluated.model_validate(of_kind[0]["payload"])
    assert promotion.plan_promotion(first, {"guard": "mcc"}).metric == "accuracy"
    for gate, said in (({"margn": 1}, "margn"), ({"metric": "rmse"}, "no metric of a class")):
        with pytest.raises(InputError, match=said):
            promotion.plan_promotion(first, gate)


@pytest.fixture
def three(home):  # noqa: F811
    """Three registered versions of one model."""
    for key in "123":
        register(data_of("wine"), key * 32)
    return home


def test_people_decide_too(three):
    """A person's word is in the log; what is not there is one clear line, and changes nothing."""
    by_hand(NAME, 1, "ada", "to begin with")
    by_hand(NAME, 3, "ada", "agreed")
    assert champions() == {"champion": 3, "previous": 1}
    with pytest.raises(InputError, match="champion already"):
        by_hand(NAME, 3, "ada", "again")
    with pytest.raises(NoModelError, match="no version 9 of baton-table-wine; its newest is 3"):
        by_hand(NAME, 9, "ada", "x")
    decision, event = back(NAME, "eve", "too slow")
    assert champions() == {"champion": 1}
    assert (decision.outcome, event.champion) == (Outcome.ROLLED_BACK, 1)
    with pytest.raises(InputError, match="no previous champion"):
        back(NAME, "eve", "further")
    by_hand(NAME, 2, "ada", "next")
    tracking._client().delete_model_version(NAME, "1")
    with pytest.raises(InputError, match=r"version 1 .* was deleted"):
        back(NAME, "eve", "to what is gone")
    assert champions()["champion"] == 2
    log = decisions.read(settings(), NAME)
    assert [one.by for one in log] == ["ada", "ada", "eve", "ada"]
    assert [one.number for one in log] == [1, 2, 3, 4]


@pytest.mark.parametrize("step", ["move_aliases", "tag_version", "append"])
def test_a_promotion_that_was_interrupted_is_finished(three, monkeypatch, step):
    """Whoever looks next finishes it: aliases and log say the same, and nothing twice."""
    by_hand(NAME, 1, "ada", "to begin with")
    place = decisions if step == "append" else promotion
    with monkeypatch.context() as patch:
        patch.setattr(place, step, _killed)
        with pytest.raises(_Killed):
            by_hand(NAME, 2, "ada", "better")
    back(NAME, "eve", "no")
    log = decisions.read(settings(), NAME)
    assert [(one.version, one.champion) for one in log] == [(1, 1), (2, 2), (2, 1)]
    assert champions() == {"champion": 1}


class _Killed(BaseException):
    """What ends a process wherever it is."""


def _killed(*_, **__):
    raise _Killed


def test_an_alias_is_moved_in_two_steps_and_a_kill_between_them_is_finished(three, monkeypatch):
    """Neither two champions nor none are left."""
    by_hand(NAME, 1, "ada", "to begin with")
    moved = []

    def first_only(name, wanted):
        moved.append(wanted)
        tracking.move_aliases(name, {"previous": wanted["previous"]})
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "move_aliases", first_only)
        with pytest.raises(_Killed):
            by_hand(NAME, 2, "ada", "better")
    assert champions() == {"champion": 1, "previous": 1}
    promotion.finish(NAME)
    assert champions() == {"champion": 2, "previous": 1}


def test_what_was_begun_for_a_version_that_was_deleted_is_dropped(three, monkeypatch):
    """It could never be finished, and would stand in everybody's way."""
    by_hand(NAME, 1, "ada", "to begin with")
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "move_aliases", _killed)
        with pytest.raises(_Killed):
            by_hand(NAME, 2, "ada", "better")
    tracking._client().delete_model_version(NAME, "2")
    by_hand(NAME, 3, "ada", "instead")
    assert champions() == {"champion": 3, "previous": 1}
    assert [one.version for one in decisions.read(settings(), NAME)] == [1, 3]


def test_an_alias_that_was_moved_in_mlflow_is_no_way_back(three):
    """Champion and previous are one: nothing is written down, and a line says so."""
    by_hand(NAME, 1, "ada", "to begin with")
    by_hand(NAME, 2, "ada", "better")
    tracking._client().set_registered_model_alias(NAME, "champion", "1")
    with pytest.raises(InputError, match=r"version 1 .* is both champion and previous"):
        back(NAME, "eve", "no")
    assert len(decisions.read(settings(), NAME)) == 2


def test_a_damaged_entry_is_said_and_changes_nothing(three):
    """One line with the file and the fix."""
    by_hand(NAME, 1, "ada", "to begin with")
    entry = decisions.place(settings(), NAME) / "000001.parquet"
    entry.write_bytes(entry.read_bytes()[:100])
    with pytest.raises(InputError, match=r"000001.parquet is no whole decision"):
        by_hand(NAME, 2, "ada", "x")
    assert champions() == {"champion": 1}


def _race(folder, number):
    os.environ["BATON_HOME"] = folder
    settings.cache_clear()
    version = number % 3 + 1
    try:
        by_hand(NAME, version, f"racer {number}", "first")
    except InputError as error:
        assert "champion already" in str(error)
        return 0
    return 1


@pytest.mark.long  # one after the other, and interrupted, above
def test_raced_promotions_leave_one_log_one_champion_and_one_previous(three):
    """Fifty from four processes: each against the champion of its moment, none lost, none twice."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        n_done = sum(pool.starmap(_race, [(str(three), n) for n in range(50)], chunksize=1))
    log = decisions.read(settings(), NAME)
    assert [one.number for one in log] == list(range(1, n_done + 1))
    for before, after in pairwise(log):
        assert after.previous == before.champion
        assert after.champion != before.champion
    assert champions() == {"champion": log[-1].champion, "previous": log[-1].previous}
