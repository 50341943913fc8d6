"""What every problem promises: the test kit on each of Baton's own, and on the README's example."""

import re
import sys
import types

import numpy as np
import pandas as pd
import pytest

from baton import problems
from baton.testing import ProblemContract
from tests.conftest import ROOT
from tests.shops import make_shop


def _moons():
    """The problem that the README shows, as a reader would save it."""
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    module = sys.modules["readme_moons"] = types.ModuleType("readme_moons")
    exec(code, module.__dict__)
    return module.problem


class TestMoonsOfTheReadme(ProblemContract):
    problem = _moons()


class TestIris(ProblemContract):
    problem = "iris"


class TestSpheres(ProblemContract):
    problem = "spheres"
    params = {"rows": "300"}


class TestTable(ProblemContract):
    problem = "table"

    @pytest.fixture
    def values(self, tmp_path):
        path = tmp_path / "table.csv"
        rows = [f"{i},{'abc'[i % 3]},2024-01-{i % 28 + 1:02},{i % 2}" for i in range(300)]
        path.write_text("\n".join(["number,letter,day,answer", *rows]))
        return {"path": str(path), "target": "answer"}


class TestChurn(ProblemContract):
    problem = "churn"

    @pytest.fixture
    def values(self, tmp_path):
        return {
            "url": str(make_shop(tmp_path / "shop.sqlite")),
            "orders": "orders",
            "order_key": "id",
            "order_time": "ordered",
            "customer_key": "customer",
        }


class TestRelational(ProblemContract):
    problem = "relational"

    @pytest.fixture
    def values(self, tmp_path):
        shop = make_shop(tmp_path / "shop.sqlite")
        return {"url": str(shop), "table": "orders", "target": "total", "time": "ordered"}


class TestTaxi(ProblemContract):
    problem = "taxi"

    @pytest.fixture
    def values(self, tmp_path):
        """Two months of made-up trips."""
        rng = np.random.default_rng(0)
        for month in ("2021-01", "2021-02"):
            began = pd.to_datetime(f"{month}-03")
            began = began + pd.to_timedelta(rng.integers(0, 10**6, 400), "s")
            distance = rng.exponential(3, 400)
            pd.DataFrame(
                {
                    "lpep_pickup_datetime": began,
                    "lpep_dropoff_datetime": began + pd.to_timedelta(120 + 180 * distance, "s"),
                    "PULocationID": rng.integers(1, 9, 400),
                    "DOLocationID": rng.integers(1, 9, 400),
                    "passenger_count": rng.choice([1, 2, None], 400).astype(float),
                    "trip_distance": distance,
                }
            ).to_parquet(tmp_path / f"green_tripdata_{month}.parquet")
        return {"train": "2021-01", "test": "2021-02", "source": str(tmp_path)}


def test_every_problem_is_tested():
    """A new one gets a class above."""
    tested = {one.problem for one in ProblemContract.__subclasses__()}
    own = {
        name
        for name in problems.names()
        if problems.PLUG_INS.module(name).startswith("baton.problems")
    }
    assert {one for one in tested if isinstance(one, str)} == own
