"""New rows beside those that their model knows: looked at, announced once, answered."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

from baton.chain import looks
from baton.chain.events import (
    DriftDetected,
    EventName,
    ModelTrained,
    PredictionsMonitored,
    PredictionsReady,
    chain_begun_by,
)
from baton.chain.looks import Look
from baton.errors import InputError
from baton.monitoring.found import of_table
from baton.settings import settings
from baton.terms import Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.monitor import announce as announced
from flows.monitor import monitor
from flows.predict import predict
from flows.promote import promote
from tasks import labelling, monitoring
from tasks.labelling import joined, labels_of, learnt, note
from tasks.monitoring import Watching, plan_monitoring
from tasks.platform import results, tracking
from tasks.platform.going import chain_going
from tasks.promotion import back, by_hand
from tests.integration.stages import forget_runs, run
from tests.integration.test_promotion import FEW, evaluated_like, evaluated_of, model_of

CHAIN = "a" * 12
TABLE = {"problem": "table"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder of the tables of these tests."""
    return tmp_path_factory.mktemp("monitoring")


def _rows(path, seed, *, moved=0.0, n_rows=500):
    """New rows at a place, as the training rows were but for what has moved."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=list("abc"))
    table.assign(a=table.a + moved).to_csv(path, index=False)
    return {"path": str(path)}


@pytest.fixture(scope="module")
def wine(place):
    """Parameters of a table with a number to predict."""
    random = np.random.default_rng(3)
    table = pd.DataFrame(random.normal(size=(600, 3)), columns=list("abc"))
    table = table.assign(y=2 * table.a - table.b + random.normal(0, 0.3, 600))
    table.to_csv(place / "wine.csv", index=False)
    return {"path": str(place / "wine.csv"), "target": "y", "name": f"wine-{uuid4().hex[:8]}"}


@pytest.fixture(scope="module")
def first(wine, place, prefect):
    """What the first chain has evaluated; it asked for predictions, and to be begun anew."""
    new = _rows(place / "new.csv", 1)
    asked = Options(**FEW, model="linear_regression", predict=new, retrain={"seed": 7})
    return evaluated_of(wine, asked, uuid4().hex[:12])


@pytest.fixture
def heard(monkeypatch, first):
    """What stages announce, once the first model is the champion."""
    said = []

    def announce(event, *, cached=False):
        said.append(event)
        return announced(event, cached=cached)

    for flow in ("predict", "monitor", "promote"):
        monkeypatch.setattr(f"flows.{flow}.announce", announce)
    if tracking.aliases_of(first.model.name).get("champion") != first.model.version:
        run(promote, first)
    return said


def _predicted(heard, wine, rows):
    """Announcement of predictions, by a chain of their own."""
    run(predict, "table", rows | {"name": wine["name"]})
    return heard[-1]


@pytest.mark.usefixtures("prefect")
def test_new_rows_are_looked_at_and_drift_is_announced_once(
    first, wine, heard, tmp_path, monkeypatch
):
    """As usual; drifted, with the order of a chain; drifted again, held back by the cool-down.

    A look that is begun again says what it said. The table, the page, Prefect's artifact and the
    version's tags say the same; the page says what the gate decided of the chain that was begun.
    """
    monkeypatch.setattr(monitoring, "chain_going", lambda _: "")  # each stage began one here
    usual = _predicted(heard, wine, _rows(tmp_path / "usual.csv", 1))
    run(monitor, usual)
    same = heard[-1]
    assert isinstance(same, PredictionsMonitored)
    assert not same.drifted
    assert "no column moved" in same.reason

    moved = _predicted(heard, wine, _rows(tmp_path / "moved.csv", 2, moved=1.5))
    for _ in range(2):
        run(monitor, moved)
    detected = heard[-1]
    assert isinstance(detected, DriftDetected)
    assert detected == heard[-2]
    assert detected.drifted[0] == "a"
    order = detected.generate
    assert order.chain == chain_begun_by(EventName.DRIFT_DETECTED, moved.chain)
    assert order.parameters["seed"] == 7
    assert order.parameters["path"] == wine["path"]
    assert order.options.retrain == {"seed": 7}

    later = _predicted(heard, wine, _rows(tmp_path / "later.csv", 3, moved=1.5))
    run(monitor, later)
    assert isinstance(heard[-1], PredictionsMonitored)
    assert heard[-1].drifted
    assert "cool_down" in heard[-1].held_back

    found = of_table(pq.read_table(results.path_of(detected.columns.key)))
    assert found.drifted[0].name == "a"
    assert found.reason == detected.reason
    page = results.checked(detected.page).read_text("utf-8")
    assert f"chain {order.chain} trains anew" in page
    with get_client(sync_client=True) as client:
        keys = {one.key: one for one in client.read_artifacts()}
    assert keys[f"drift-table-{moved.chain}"].data
    tags = tracking._client().get_model_version(first.model.name, "1").tags
    assert tags["baton.drift_page"].endswith(".html")

    run(promote, first.model_copy(update={"chain": order.chain}))
    decided = sorted(results.report_path(detected.page.key).parent.glob("drift_*.html"))
    assert "is the champion" in decided[-1].read_text("utf-8")


@pytest.mark.usefixtures("prefect")
def test_drift_is_held_back_while_it_says_nothing_new(wine, heard, tmp_path, monkeypatch):
    """Of a former champion's rows, of a past period's, and while a chain of the problem runs."""
    moved = _predicted(heard, wine, _rows(tmp_path / "moved.csv", 2, moved=1.5))

    def held_back(**change):
        ready = moved.model_copy(update={"chain": uuid4().hex[:12]} | change)
        plan = plan_monitoring(ready, {})
        monkeypatch.setattr(monitoring, "chain_going", lambda _: change.get("going", ""))
        return monitoring._held_back(plan, [], datetime.now(UTC))

    assert held_back() == ""
    assert "made up for" in held_back(is_past=True, period="2021-03")
    monkeypatch.setattr(monitoring, "aliases_of", lambda _: {"champion": 9})
    assert "version 9 is the champion" in held_back()
    monkeypatch.undo()
    monkeypatch.setattr(monitoring, "chain_going", lambda _: "b" * 12)
    plan = plan_monitoring(moved, {})
    assert "not over" in monitoring._held_back(plan, [], datetime.now(UTC))


@pytest.mark.usefixtures("prefect")
def test_a_model_without_a_profile_is_said_to_have_none(wine, heard, tmp_path, monkeypatch):
    """An earlier version of Baton evaluated it: what to do is said, and nothing fails."""
    ready = _predicted(heard, wine, _rows(tmp_path / "rows.csv", 1))
    monkeypatch.setattr(monitoring, "profile_of_version", lambda _: {})
    run(monitor, ready.model_copy(update={"chain": uuid4().hex[:12]}))
    assert isinstance(heard[-1], PredictionsMonitored)
    assert "run its chain again" in heard[-1].reason
    assert heard[-1].page is None


@pytest.mark.parametrize(
    ("watch", "said"),
    [({"level": 2}, "level"), ({"cooldown": 1}, "cooldown"), ({"cool_down": "x"}, "cool_down")],
)
def test_a_watch_that_is_not_understood_is_refused(watch, said):
    """In one line that names the key."""
    with pytest.raises(InputError, match=f"watch: {said}") as error:
        plan_monitoring(None, watch)
    assert "\n" not in str(error.value)


def test_the_cool_down_is_in_seconds():
    """As prefect.yaml says it."""
    assert Watching.model_validate({"cool_down": 90}).cool_down == timedelta(seconds=90)


@pytest.mark.usefixtures("prefect")
def test_a_period_is_predicted_once_whoever_is_the_champion_later(first, wine, heard, tmp_path):
    """Asked for again, the first answer stands: version, rows and file; the folder is one table.

    Another champion predicts other periods. A period whose answer is gone is predicted anew.
    """
    (tmp_path / "new").mkdir()
    for month in ("2021-03", "2021-04"):
        _rows(tmp_path / "new" / f"{month}.csv", 5, n_rows=60)
    rows = {"path": str(tmp_path / "new" / "{period}.csv"), "name": wine["name"]}

    def asked(period):
        state = run(predict, "table", rows, None, None, period)
        return heard[-1], state

    before, state = asked("2021-03")
    assert isinstance(before, PredictionsReady)
    assert (state, before.period) == ("Completed", "2021-03")
    other = evaluated_like(first, wine, Options(**FEW, model="decision_tree"), uuid4().hex[:12])
    by_hand(other.model.name, other.model.version, "somebody", "to see")
    again, state = asked("2021-03")
    assert state == "Cached"
    assert again.predictions == before.predictions
    assert (again.model, again.chain != before.chain) == (first.model, True)
    assert asked("2021-04")[0].model == other.model
    back(other.model.name, "somebody", "as it was")

    folder = next((settings().results / "periods" / model_of(wine)).iterdir())
    whole = pd.read_parquet(folder)
    assert whole.groupby("period").size().to_dict() == {"2021-03": 60, "2021-04": 60}
    assert {"_row", "predicted", "_version", "_at"} <= set(whole.columns)
    versions = whole.groupby("period")["_version"].unique().explode().tolist()
    assert versions == [first.model.version, other.model.version]
    results.path_of(before.predictions.key).unlink()
    anew, _ = asked("2021-03")
    assert anew.predictions.digest == before.predictions.digest


@pytest.mark.usefixtures("prefect")
def test_an_empty_or_unknown_period_is_refused(wine, heard, tmp_path):
    """In one line, and the others' answers stay."""
    (tmp_path / "2021-05.csv").write_text("a,b,c\n")
    rows = {"path": str(tmp_path / "{period}.csv"), "name": wine["name"]}
    for period, said in (("2021-05", "no rows"), ("2021-06", "2021-06.csv"), ("May", "no period")):
        with pytest.raises(InputError, match=said):
            asyncio.run(predict("table", rows, None, None, period))
    with pytest.raises(InputError, match="stands in no parameter"):
        asyncio.run(predict("table", {"name": wine["name"]}, None, None, "2021-05"))
    with pytest.raises(InputError, match="give a period"):
        asyncio.run(predict("table", rows))


@pytest.mark.usefixtures("prefect")
def test_a_promotion_begins_predictions_where_they_were_asked_for(first, heard, place):
    """By the promoted version, of the rows that the chain named, in a chain of their own."""
    run(promote, first)
    order = heard[-1].predict
    assert order.chain == chain_begun_by(EventName.MODEL_PROMOTED, first.chain)
    assert (order.parameters, order.model) == ({"path": str(place / "new.csv")}, first.model)
    run(predict, "", None, None, order)
    assert (heard[-1].chain, heard[-1].model) == (order.chain, first.model)
    plain = first.data.model_copy(update={"options": Options()})
    run(promote, first.model_copy(update={"data": plain}))
    assert heard[-1].predict is None


@pytest.mark.usefixtures("prefect")
def test_a_chain_is_over_once_its_model_was_decided_about(first):
    """Until then the problem has one that goes on; others' chains do not count."""
    with get_client(sync_client=True) as client:
        forget_runs(client)
        run(evaluate, ModelTrained(**first.model_dump(include=set(ModelTrained.model_fields))))
        assert chain_going("table") == first.chain
        assert chain_going("iris") == ""
        run(promote, first)
        assert chain_going("table") == ""
        later = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=1))
        client.create_flow_run(generate, parameters=TABLE, state=later)  # as a schedule does
        assert chain_going("table") == ""
        client.create_flow_run(generate, parameters=TABLE, state=Scheduled())
        assert chain_going("table")
        forget_runs(client)


def test_a_look_that_began_a_chain_is_found_by_it(tmp_path):
    """By the id that its event decides; one that was held back began none."""
    home = settings().model_copy(update={"home": tmp_path})
    now = datetime.now(UTC)
    look = Look(chain=CHAIN, at=now, version=1, is_drifted=True, reason="x")
    looks.append(home, "baton-x", look)
    begun = chain_begun_by(EventName.DRIFT_DETECTED, CHAIN)
    assert looks.that_began(home, "baton-x", begun) == look
    assert looks.that_began(home, "baton-x", CHAIN) is None
    looks.append(home, "baton-x", look.model_copy(update={"held_back": "why"}))
    assert looks.that_began(home, "baton-x", begun) is None


def _labels(path, seed, *, noise, ids="wine", n_rows=200):
    """Rows with ids, and a file of their labels: as the model learnt them, but for noise."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=list("abc"))
    table.insert(0, ids, [f"w{n}" for n in range(n_rows)])
    table.to_csv(path / "rows.csv", index=False)
    y = 2 * table.a - table.b + random.normal(0, noise, n_rows)
    pd.DataFrame({ids: table[ids], "y": y}).sample(frac=1, random_state=1).to_csv(
        path / "labels.csv", index=False
    )
    return {"path": str(path / "rows.csv")}


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(("noise", "is_worse"), [(0.3, False), (2.0, True)])
def test_late_labels_say_how_well_the_champion_did(
    first, wine, heard, tmp_path, noise, is_worse, monkeypatch
):
    """They are joined by an id, in any order; a model that got worse begins a chain, once."""
    monkeypatch.setattr(monitoring, "chain_going", lambda _: "")
    rows = _labels(tmp_path, int(10 * noise), noise=noise)
    run(monitor, _predicted(heard, wine, rows))
    name = first.model.name
    labels = labels_of(str(tmp_path / "labels.csv"), ("wine", "y"))
    labelled = joined(name, labels, "wine", "y")
    assert (len(labelled.rows), labelled.model) == (200, first.model)
    by_id = dict(zip(labels["wine"], labels["y"], strict=True))
    assert labelled.rows["actual"].tolist() == [by_id[one] for one in labelled.rows["wine"]]

    monkeypatch.setattr(labelling, "COOL_DOWN", timedelta(0))
    found = learnt(labelled, "table", "y")
    note(found)
    assert found.judged.is_worse is is_worse
    assert found.judged.scores["rmse"] == pytest.approx(noise, rel=0.3)
    assert (found.event is not None) is is_worse
    if found.event:
        assert found.event.generate.parameters["seed"] == 7
        again = learnt(labelled, "table", "y")
        assert again.event is None
        assert "these labels were announced" in again.look.held_back


@pytest.mark.usefixtures("prefect")
def test_labels_that_fit_no_predictions_are_refused(first, wine, heard, tmp_path):
    """Wrong ids, a missing column, an id twice, no labels at all: a line each, nothing is lost."""
    rows = _labels(tmp_path, 3, noise=0.3, ids="bottle")
    run(monitor, _predicted(heard, wine, rows))
    path = tmp_path / "other.csv"

    def refused(content, columns=("bottle", "y")):
        path.write_text(content)
        with pytest.raises(InputError) as error:
            joined(first.model.name, labels_of(str(path), columns), *columns)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "none of 2 ids, such as 'x1'" in refused("bottle,y\nx1,1\nx2,2\n")
    assert "'w0'" in refused("bottle,y\nx1,1\nx2,2\n")
    assert "bottle" in refused("botle,y\nx1,1\n")
    assert "id 'w1' is there twice" in refused("bottle,y\nw1,1\nw1,2\n")
    assert "has no label" in refused("bottle,y\nw1,\n")
    assert "no predicted rows" in refused("cork,y\nw1,1\n", ("cork", "y"))
