"""Names and values of relational features against featuretools'."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from baton.relational.compute import compute
from baton.relational.planner import plan
from tests.conftest import ROOT
from tests.oracle import case

ANSWER = ROOT / "tests" / "data" / "relational" / "featuretools.json"

KNOWN_AS_MISSING = "IS_WEEKEND(shipped)"
"""Of a date that is hidden or missing featuretools says that it is no weekend."""


@pytest.fixture(scope="module")
def answer():
    return json.loads(ANSWER.read_text())


@pytest.fixture(scope="module")
def ours():
    """Baton's values, and the orders in the order of their ids."""
    entities = case.entities()
    orders = entities.frames[case.TARGET]
    rows = pl.Series(range(len(orders)))
    values = compute(entities, case.features(), rows, orders["ordered"])
    return pl.concat([orders.select("order_id", "customer_id"), values], how="horizontal").sort(
        "order_id"
    )


FEATURES = [f for f in case.features() if f.name != KNOWN_AS_MISSING]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_every_value_is_that_of_featuretools(feature, ours, answer):
    """Nulls, ties, hidden dates and two keys to one table included.

    One thing differs on purpose: a parent that is not there has no count and no sum, of which
    featuretools says 0.
    """
    theirs = answer["values"][feature.name]
    is_lost = (ours["customer_id"] == case.STRANGER) & feature.name.startswith("customers.")
    assert is_lost.sum() == (1 if feature.name.startswith("customers.") else 0)
    for found, wanted, lost in zip(ours[feature.name], theirs, is_lost, strict=True):
        if lost:
            assert found is None
        elif wanted is None or isinstance(wanted, str):
            assert found == wanted
        else:
            assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_a_date_that_is_not_known_is_no_weekday_either(ours, answer):
    """The other difference: where the date is hidden, the flag is missing and not False."""
    theirs = answer["values"][KNOWN_AS_MISSING]
    assert set(theirs) == {0.0}
    assert ours[KNOWN_AS_MISSING].is_null().all()


def test_the_plan_is_that_of_featuretools(answer):
    """Same names, but for keys and for the last of what is no number."""
    planned = {f.name for f in plan(case.SCHEMA, case.TARGET, case.PRIMITIVES, case.DEPTH)}
    others = set(answer["planned"]) - planned
    assert planned <= set(answer["planned"])
    assert {name for name in others if "LAST(" not in name} == {"customer_id", "from_id", "to_id"}


@pytest.mark.skipif("BATON_ORACLE" not in os.environ, reason="runs featuretools: BATON_ORACLE=1")
def test_featuretools_still_answers_so():
    """The file is what featuretools says, asked in an environment of its own."""
    script = ROOT / "tests" / "oracle" / "featuretools_oracle.py"
    uv = Path(sys.executable).parent / "uv"
    packages = ("featuretools==1.31.0", "pandas<3", "setuptools<81")
    apart = [word for package in packages for word in ("--with", package)]
    done = subprocess.run(
        [uv, "run", "--isolated", "--no-project", "--quiet", *apart, "python", script],
        input=json.dumps(case.question()),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if os.environ["BATON_ORACLE"] == "write":
        ANSWER.write_text(done.stdout)
    assert json.loads(done.stdout) == json.loads(ANSWER.read_text())
