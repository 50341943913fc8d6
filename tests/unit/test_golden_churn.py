"""The published figures of churn on AdventureWorks, through Baton's own problem."""

import polars as pl
import pytest

from baton import models, problems
from baton.evaluation import metrics
from baton.problems.churn import labels
from baton.terms import ROW

CHURN = problems.get("churn")
PUBLISHED = {"accuracy": 0.9118, "roc_auc": 0.9660}


@pytest.fixture(scope="module")
def made(shared):
    """Raw table under the default parameters."""
    params = parsed(shared)
    tables = {name: CHURN.read(params, name) for name in CHURN.sources(params)}
    return CHURN.join(params, tables)


def parsed(shared, **values):
    url = str(shared("adventureworks") / "adventureworks.sqlite")
    return problems.parse(CHURN, {"url": url, **values})


def ruled(raw, params):
    """The same table under another rule: the features do not depend on it."""
    orders = pl.from_pandas(raw[[params.order_key, params.customer_key, params.order_time]])
    return raw.assign(churn=labels(orders, params).to_numpy())


def scored(raw, params):
    """Metrics on the held-out rows, by the problem's own model."""
    goal = CHURN.goal(raw, params)
    table = CHURN.features(raw, params)
    split = CHURN.split(table, raw, params)
    rows = table.drop(columns=ROW)
    train, test = rows[split == "train"], rows[split == "test"]
    model = models.fit(
        train, models.Recipe(goal.target, goal.kind, family=goal.model, params=goal.model_params)
    )
    return metrics.classification(test[goal.target], model.predict_proba(test), model.classes)


def test_orders_customers_and_labels(made, shared):
    """Counts and rates of both rules, and how far they differ."""
    raw = made
    rules = [ruled(raw, parsed(shared, rule=r))["churn"] for r in ("documented", "as_coded")]
    documented, as_coded = (churn.dropna() for churn in rules)
    assert len(raw) == 31_465
    assert raw["CustomerID"].nunique() == 19_119
    assert len(documented) == len(as_coded) == 19_704
    assert documented.mean() == pytest.approx(0.725, abs=0.0005)
    assert as_coded.mean() == pytest.approx(0.561, abs=0.0005)
    assert (documented != as_coded).mean() == pytest.approx(0.396, abs=0.0005)
    assert rules[0].equals(raw["churn"])


def test_the_features_are_whole(made):
    """More than two hundred for every order, each as of its date; the keys are whole."""
    raw = made
    assert raw.shape[1] > 200
    assert raw["Customer.COUNT(SalesOrderHeader)"].notna().all()
    assert not [note for note in raw.attrs["notes"] if "does not have" in note]


def test_the_rule_as_coded_reaches_what_was_published(made, shared):
    """On a split at random over the labelled orders, which is comparable to the published one.

    Customers stand on both sides of it, and the rule is not the documented one.
    """
    params = parsed(shared, rule="as_coded", split="random")
    found = scored(ruled(made, params), params)
    assert found["accuracy"] >= PUBLISHED["accuracy"]
    assert found["roc_auc"] >= PUBLISHED["roc_auc"]


def test_the_honest_figure_under_the_documented_rule(made, shared):
    """Split by customer, the default: what to expect of a customer who was never seen.

    Measured: accuracy .914, AUC .965; seeds 1 to 3 give .911 to .912, .965 to .971.
    """
    found = scored(made, parsed(shared))
    assert found["accuracy"] == pytest.approx(0.914, abs=0.01)
    assert found["roc_auc"] == pytest.approx(0.965, abs=0.006)
